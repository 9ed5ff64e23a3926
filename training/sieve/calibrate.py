"""How loud each input channel of a layer is on a few sentences, for quantisation."""
import numpy as np
import torch

from .model import NAMES, Encoder

LEVELLED = {"query": ("query", "key", "value"), "up": ("up",)}


def levels(weights, cfg, rows):
    """NAME.level for the inputs of query/key/value and of the first feed-forward product: sqrt(max|x| / max|w|) per channel, geometric mean 1."""
    m = Encoder({**cfg, "projection": 0}).eval()
    m.load(weights)
    loud = {}

    def watch(key):
        def hook(_, inputs, __):
            top = inputs[0].reshape(-1, inputs[0].shape[-1]).abs().amax(0)
            loud[key] = torch.maximum(loud.get(key, top), top)
        return hook

    for l, layer in enumerate(m.layers):
        for n in LEVELLED:
            getattr(layer, n).register_forward_hook(watch((l, n)))
    with torch.no_grad():
        for r in rows:
            m.hidden(torch.tensor([r]), torch.ones(1, len(r)))
    out = {}
    for (l, n), x in loud.items():
        w = np.max([np.abs(weights[f"encoder.layer.{l}.{NAMES[k]}.weight"]).max(0) for k in LEVELLED[n]], 0)
        s = np.sqrt(np.maximum(x.numpy(), 1e-4) / np.maximum(w, 1e-4))
        out[f"encoder.layer.{l}.{NAMES[n]}.level"] = (s / np.exp(np.log(s).mean())).astype(np.float32)
    return out
