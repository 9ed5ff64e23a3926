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
    """-log share of the gold sentences in softmax(heat * score); unit: rows of length 1, addressed by the item's ids"""
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
    c = F.pad(unit[q] @ unit[torch.from_numpy(distinct)].T, (0, 1), value=-1.0)
    score = heat * (w @ c[:, torch.from_numpy(place)].amax(-1))
    return torch.logsumexp(score, 0) - torch.logsumexp(score[gold], 0)


def renumber(items):
    """-> (distinct token ids of the items, the items with places in them instead of ids)"""
    known, places = np.unique(np.concatenate([np.concatenate([q, *s]) for _, q, s, _ in items]), return_inverse=True)
    out, at = [], 0
    for kind, q, s, gold in items:
        parts = []
        for x in (q, *s):
            parts.append(places[at: at + len(x)])
            at += len(x)
        out.append((kind, parts[0], parts[1:], gold))
    return torch.from_numpy(known), out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--table", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--seconds", type=float, default=600)
    a.add_argument("--questions", type=int, default=16, help="per step")
    a.add_argument("--rate", type=float, default=1e-3)
    a.add_argument("--pull", type=float, default=.5, help="weight of the squared distance to the distilled rows")
    a.add_argument("--share", type=float, default=.5, help="how far to go from the distilled to the trained table (WiSE-FT, 2109.01903)")
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
    weight = torch.nn.Parameter(some.log()[:, None].contiguous())
    heat = torch.nn.Parameter(torch.tensor(3.0))
    # only the rows of a batch move: dense moments of all rows would cost more than the loss
    opt = torch.optim.SparseAdam([{"params": [table], "top": a.rate}, {"params": [weight], "top": a.rate * 10}], betas=(.9, .99))
    own = torch.optim.Adam([{"params": [heat], "top": 1e-2}])
    items = Items(os.path.join(a.work, "items.npz"))
    kinds = items.by_kind()
    print({k: len(x) for k, x in kinds.items()}, flush=True)
    names, began, step, sums = sorted(kinds), time.time(), 0, {}
    while time.time() - began < a.seconds:
        done = (time.time() - began) / a.seconds
        for g in (*opt.param_groups, *own.param_groups):
            g["lr"] = g["top"] * max(.02, 1 - done)
        drawn = []
        for _ in range(a.questions):
            among = kinds[names[int(rng.integers(len(names)))]]
            drawn.append(items.item(among[int(rng.integers(len(among)))], rng, 64))
        known, drawn = renumber(drawn)
        rows = F.embedding(known, table, sparse=True)
        share = F.embedding(known, weight, sparse=True)[:, 0].exp()
        unit = F.normalize(rows, dim=-1)
        losses = [item_loss(unit, share, item, heat.exp()) for item in drawn]
        loss = torch.stack(losses).mean() + a.pull * ((rows - start[known]) ** 2).sum(-1).mean()
        opt.zero_grad()
        own.zero_grad()
        loss.backward()
        opt.step()
        own.step()
        for (kind, *_), x in zip(drawn, losses):
            s = sums.setdefault(kind, [0.0, 0])
            s[0] += float(x.detach())
            s[1] += 1
        step += 1
        if step % 200 == 0:
            print(step, round(time.time() - began), {k: round(x / n, 3) for k, (x, n) in sorted(sums.items())}, f"heat {float(heat.exp().detach()):.1f}", flush=True)
            sums = {}
    with torch.no_grad():
        vectors = start + a.share * (table - start)
        logs = some.log() + a.share * (weight[:, 0] - some.log())
        out = torch.where(torch.from_numpy(w) > 0, logs.exp(), torch.zeros(()))
    np.savez(os.path.join(a.work, "table-trained.npz"), vectors=vectors.numpy(), weights=out.numpy(), share=a.share, steps=step, questions=len(items))


if __name__ == "__main__":
    main()
