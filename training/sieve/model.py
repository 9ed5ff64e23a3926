"""The same encoders in PyTorch, for training and as the reference of the exported graphs."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, m = c["hidden_size"], c["intermediate_size"]
        self.heads = c["num_attention_heads"]
        for name in ("query", "key", "value", "output"):
            setattr(self, name, nn.Linear(d, d))
        self.up, self.down = nn.Linear(d, m), nn.Linear(m, d)
        self.norm1, self.norm2 = nn.LayerNorm(d, c["layer_norm_eps"]), nn.LayerNorm(d, c["layer_norm_eps"])

    def forward(self, x, mask):
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, n, d)
        x = self.norm1(x + self.output(y))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


NAMES = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value", "output": "attention.output.dense", "up": "intermediate.dense",
         "down": "output.dense", "norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}


class Encoder(nn.Module):
    """cfg as in graphs.py, and projection: size of the vector (0: the hidden size), or cross: True for a relevance logit."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        d = c["hidden_size"]
        self.words = nn.Embedding(c.get("vocab_size", 30522), d)
        self.places = nn.Embedding(c["max_position_embeddings"], d)
        self.kinds = nn.Embedding(2, d)
        self.norm = nn.LayerNorm(d, c["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.projection = nn.Linear(d, c["projection"], bias=False) if c.get("projection") else None
        if c.get("cross"):
            self.pooler, self.classifier = nn.Linear(d, d), nn.Linear(d, 1)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=.02 if p.shape[0] > 2048 else 1 / math.sqrt(p.shape[1]) * .7)

    def hidden(self, ids, mask, types=None):
        x = self.words(ids) + self.places.weight[: ids.shape[1]]
        x = self.norm(x + (self.kinds.weight[0] if types is None else self.kinds(types)))
        bias = ((1 - mask) * -1e9).to(x.dtype)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def forward(self, ids, mask, types=None):
        x = self.hidden(ids, mask, types)
        if self.c.get("cross"):
            return self.classifier(torch.tanh(self.pooler(x[:, 0])))[:, 0]
        m = mask[:, :, None].to(x.dtype)
        x = (x * m).sum(1) / m.sum(1).clamp(min=1)
        return F.normalize(self.projection(x) if self.projection is not None else x, dim=-1)

    def names(self):
        """own parameter name -> Hugging Face name"""
        own = {"words.weight": "embeddings.word_embeddings.weight", "places.weight": "embeddings.position_embeddings.weight", "kinds.weight": "embeddings.token_type_embeddings.weight",
               "norm.weight": "embeddings.LayerNorm.weight", "norm.bias": "embeddings.LayerNorm.bias", "pooler.weight": "pooler.dense.weight", "pooler.bias": "pooler.dense.bias"}
        out = {}
        for n in self.state_dict():
            if n.startswith("layers."):
                _, l, part, kind = n.split(".")
                out[n] = f"encoder.layer.{l}.{NAMES[part]}.{kind}"
            else:
                out[n] = own.get(n, n)
        return out

    def load(self, weights):
        """Copies what the Hugging Face weights hold; the rest keeps its start values."""
        with torch.no_grad():
            state = self.state_dict()
            for own, theirs in self.names().items():
                if theirs in weights:
                    state[own].copy_(torch.from_numpy(weights[theirs][: state[own].shape[0]]))

    def export(self):
        state = self.state_dict()
        return {theirs: state[own].detach().float().numpy() for own, theirs in self.names().items()}
