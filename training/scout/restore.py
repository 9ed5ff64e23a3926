"""Read the weights back from an exported engine.onnx, to go on training where no checkpoint is left."""
import json
import os

import numpy as np
import onnx
import torch
from onnx import numpy_helper


def weights(folder, cfg):
    """state dict of Scout(cfg), and the tokens it was trained on"""
    t = {i.name.removesuffix(".f16"): numpy_helper.to_array(i).astype(np.float32)
         for i in onnx.load(os.path.join(folder, "engine.onnx")).graph.initializer if i.name.startswith("model.")}
    h, kv, d, m = cfg["num_attention_heads"], cfg["num_key_value_heads"], cfg["head_dim"], cfg["intermediate_size"]
    out = {}
    for n, x in t.items():
        p, _, last = n.rpartition(".")
        if last == "qkv":
            for name, part in zip(("q", "k", "v"), np.split(x.T, [h * d, (h + kv) * d])):
                out[f"{p}.self_attn.{name}_proj.weight"] = part
        elif last == "gate_up":
            for name, part in zip(("gate", "up"), np.split(x.T, [m])):
                out[f"{p}.mlp.{name}_proj.weight"] = part
        elif last == "o":
            out[f"{p}.self_attn.o_proj.weight"] = x.T
        elif last == "down":
            out[f"{p}.mlp.down_proj.weight"] = x.T
        else:
            out[n] = x
    with open(os.path.join(folder, "manifest.json")) as f:
        tokens = json.load(f)["training"]["tokens"]
    return {n: torch.from_numpy(np.ascontiguousarray(x)) for n, x in out.items()}, tokens
