"""LLaMA (RMSNorm, RoPE, SwiGLU, tied embeddings, no biases). Parameter names are those of Hugging Face's LlamaForCausalLM."""
import json
import os

import torch
import torch.nn.functional as F
from torch import nn


def preset(name):
    with open(os.path.join(os.path.dirname(__file__), "presets.json")) as f:
        return json.load(f)[name]


def inv_freq(cfg):
    d = cfg["head_dim"]
    return 1.0 / (cfg["rope_theta"] ** (torch.arange(0, d, 2, dtype=torch.float32) / d))


def rope(x, cos, sin):
    h = x.shape[-1] // 2
    a, b = x[..., :h], x[..., h:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Norm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def linear(i, o):
    return nn.Linear(i, o, bias=False)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.h, self.kv, self.d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        n = c["hidden_size"]
        self.q_proj, self.o_proj = linear(n, self.h * self.d), linear(self.h * self.d, n)
        self.k_proj, self.v_proj = linear(n, self.kv * self.d), linear(n, self.kv * self.d)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.h, self.d).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.kv, self.d).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.kv, self.d).transpose(1, 2)
        q, k = rope(q, cos, sin), rope(k, cos, sin)
        r = self.h // self.kv
        k, v = k.repeat_interleave(r, 1), v.repeat_interleave(r, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, self.h * self.d))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        n, m = c["hidden_size"], c["intermediate_size"]
        self.gate_proj, self.up_proj, self.down_proj = linear(n, m), linear(n, m), linear(m, n)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Inner(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])


class ChunkedLoss(torch.autograd.Function):
    """Sum of cross-entropies of h @ W.T against y. The [N, vocabulary] logits exist a chunk at a time only,
    and the gradients are made in the forward pass, so nothing large is kept."""

    @staticmethod
    def forward(ctx, h, w, y, chunk):
        gh, gw = torch.empty_like(h), torch.zeros_like(w)
        total = h.new_zeros(())
        for a in range(0, len(h), chunk):
            x, t = h[a:a + chunk], y[a:a + chunk, None]
            p = torch.log_softmax(x @ w.t(), -1)
            total -= p.gather(1, t).sum()
            p.exp_()
            p.scatter_add_(1, t, p.new_full(t.shape, -1.0))
            torch.mm(p, w, out=gh[a:a + chunk])
            gw.addmm_(p.t(), x)
        ctx.save_for_backward(gh, gw)
        return total

    @staticmethod
    def backward(ctx, g):
        gh, gw = ctx.saved_tensors
        return gh * g, gw * g, None, None


class Scout(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.model = Inner(cfg)
        self.register_buffer("inv_freq", inv_freq(cfg), persistent=False)
        std = cfg["hidden_size"] ** -0.5
        out = std / (2 * cfg["num_hidden_layers"]) ** 0.5
        for n, p in self.named_parameters():
            if "embed" in n:
                nn.init.normal_(p, std=0.02)
            elif n.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(p, std=out)
            elif p.dim() == 2:
                nn.init.normal_(p, std=std)

    def hidden(self, ids):
        a = torch.arange(ids.shape[1], device=ids.device, dtype=torch.float32)[:, None] * self.inv_freq
        cos, sin = a.cos(), a.sin()
        x = self.model.embed_tokens(ids)
        for l in self.model.layers:
            x = l(x, cos, sin)
        return self.model.norm(x)

    def forward(self, ids):
        return self.hidden(ids) @ self.model.embed_tokens.weight.t()

    def loss_sum(self, x, y, chunk=512):
        h = self.hidden(x)
        return ChunkedLoss.apply(h.reshape(-1, h.shape[-1]), self.model.embed_tokens.weight, y.reshape(-1), chunk)

    @torch.no_grad()
    def nll(self, x, y, chunk=512):
        """float [B, T]: surprisal of y given x in nats"""
        h = self.hidden(x)
        h, t = h.reshape(-1, h.shape[-1]), y.reshape(-1)
        w = self.model.embed_tokens.weight
        out = [F.cross_entropy(h[a:a + chunk] @ w.t(), t[a:a + chunk], reduction="none") for a in range(0, len(h), chunk)]
        return torch.cat(out).view(y.shape)

    def parameters_total(self):
        return sum(p.numel() for p in self.parameters())
