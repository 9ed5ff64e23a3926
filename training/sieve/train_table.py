"""Trains the distilled table: weighted late interaction, listwise contrastive loss.

    python -m sieve.train_table --table $WORK/table-distilled --work $WORK --seconds 600

Reads WORK/items.npz (sieve.items), writes WORK/table-trained.npz.
"""
import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from .items import Items
from .table import read_table


def item_loss(unit, weights, item, heat):
    """-log share of the gold sentences in softmax(heat * score)"""
    _, q, s, gold = item
    distinct, inverse = np.unique(np.concatenate([np.asarray(x) for x in s]), return_inverse=True)
    width = max(map(len, s))
    place = np.full((len(s), width), len(distinct), np.int64)
    a = 0
    for i, x in enumerate(s):
        place[i, : len(x)] = inverse[a: a + len(x)]
        a += len(x)
    w = weights[q]
    w = w / w.sum().clamp(min=1e-6)
    c = F.pad(F.normalize(unit[q], dim=-1) @ F.normalize(unit[torch.from_numpy(distinct)], dim=-1).T, (0, 1), value=-1.0)
    score = heat * (w @ c[:, torch.from_numpy(place)].amax(-1))
    return torch.logsumexp(score, 0) - torch.logsumexp(score[gold], 0)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--table", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--seconds", type=float, default=600)
    a.add_argument("--rate", type=float, default=1e-3)
    a.add_argument("--pull", type=float, default=.5, help="weight of the squared distance to the distilled rows")
    a.add_argument("--seed", type=int, default=20261121)
    a.add_argument("--threads", type=int, default=2)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    v, w = read_table(a.table, 30522, 256)
    start = F.normalize(torch.from_numpy(v), dim=-1)
    table = torch.nn.Parameter(start.clone())
    some = torch.from_numpy(w.copy()).clamp(min=1e-3)
    weight = torch.nn.Parameter(some.log())
    heat = torch.nn.Parameter(torch.tensor(3.0))
    opt = torch.optim.Adam([{"params": [table], "lr": a.rate}, {"params": [weight], "lr": a.rate * 10}, {"params": [heat], "lr": 1e-2}], betas=(.9, .99))
    items = Items(os.path.join(a.work, "items.npz"))
    kinds = items.by_kind()
    print({k: len(x) for k, x in kinds.items()}, flush=True)
    names, began, step, sums = sorted(kinds), time.time(), 0, {}
    while time.time() - began < a.seconds:
        done = (time.time() - began) / a.seconds
        for g in opt.param_groups:
            g["lr"] = g.setdefault("top", g["lr"]) * max(.02, 1 - done)
        losses = []
        for _ in range(16):
            kind = names[int(rng.integers(len(names)))]
            x = item_loss(table, weight.exp(), items.item(kinds[kind][int(rng.integers(len(kinds[kind])))], rng, 64), heat.exp())
            losses.append(x)
            s = sums.setdefault(kind, [0.0, 0])
            s[0] += float(x.detach())
            s[1] += 1
        loss = torch.stack(losses).mean()
        opt.zero_grad()
        loss.backward()
        seen = (table.grad != 0).any(1)
        with torch.no_grad():
            table.grad[seen] += a.pull * 1e-2 * (table[seen] - start[seen])
        opt.step()
        step += 1
        if step % 200 == 0:
            print(step, round(time.time() - began), {k: round(x / n, 3) for k, (x, n) in sorted(sums.items())}, f"heat {float(heat.exp().detach()):.1f}", flush=True)
            sums = {}
    keep = torch.from_numpy(w) > 0
    out = torch.where(keep, weight.exp(), torch.zeros(()))
    np.savez(os.path.join(a.work, "table-trained.npz"), vectors=table.detach().numpy(), weights=out.detach().numpy(), steps=step, items=len(items))


if __name__ == "__main__":
    main()
