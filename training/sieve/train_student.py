"""Distils MiniLM's sentence vectors into a two-layer encoder.

    python -m sieve.train_student --wheel WHEEL --work $WORK --seconds 1500       # start, or go on from WORK/student.pt

Loss: 1 - cosine with the teacher's vector, and the squared error of the similarities inside a batch.
"""
import argparse
import glob
import json
import math
import os
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

from .model import Encoder
from .packages import MINILM, load_bert
from .table import alone

CONFIG = {"hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 8, "num_hidden_layers": 2, "layer_norm_eps": 1e-12, "max_position_embeddings": 256, "projection": 384,
          "vocab_size": 30522}
HELD_OUT = 2000      # the last sentences of the last piece: never trained on


def read_pieces(work):
    """-> (rows of token ids, teacher vectors float16) of the pieces that exist"""
    z = np.load(os.path.join(work, "sentences.npz"))
    ids, ends = z["ids"], z["ends"]
    starts = np.concatenate([[0], ends[:-1]])
    paths = sorted(p for p in glob.glob(os.path.join(work, "teacher-*.f16.npy")) if ".tmp." not in p)
    if not paths:
        raise SystemExit(f"no teacher-*.f16.npy in {work}: run sieve.teach first")
    size = len(np.load(paths[0], mmap_mode="r"))
    rows, vectors = [], []
    for p in paths:
        n = int(os.path.basename(p)[8:11]) * size
        v = np.load(p)
        rows += [ids[b:e].astype(np.int64) for b, e in zip(starts[n: n + len(v)], ends[n: n + len(v)])]
        vectors.append(v)
    return rows, np.concatenate(vectors)


def start_values(m, wheel):
    """Words: MiniLM's vectors of single tokens on their first components; the projection leads back from there."""
    w, c, _ = load_bert(wheel, MINILM["marker"])
    x = alone(w, {**c, "max_position_embeddings": 8})
    x = x - x.mean(0)
    _, basis = np.linalg.eigh((x.T @ x / len(x)).astype(np.float64))
    basis = basis[:, ::-1][:, : m.c["hidden_size"]].astype(np.float32)
    # a random rotation: LayerNorm weighs all dimensions alike, so variance is spread over them
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((basis.shape[1],) * 2))[0].astype(np.float32)
    with torch.no_grad():
        y = torch.from_numpy(x @ basis @ turn)
        m.words.weight.copy_(y / y.std())
        m.projection.weight.copy_(torch.from_numpy(basis @ turn))
        m.places.weight.mul_(.1)
        m.kinds.weight.mul_(0)
        for layer in m.layers:
            layer.output.weight.mul_(.2)
            layer.down.weight.mul_(.2)


def padded(rows):
    n = max(map(len, rows))
    x, m = torch.zeros(len(rows), n, dtype=torch.long), torch.zeros(len(rows), n)
    for i, r in enumerate(rows):
        x[i, : len(r)], m[i, : len(r)] = torch.from_numpy(r), 1
    return x, m


def epochs(lengths, size, rng):
    """Batches of similar length, for ever."""
    while True:
        order = rng.permutation(len(lengths))
        out = []
        for a in range(0, len(order), size * 64):
            part = order[a: a + size * 64]
            part = part[np.argsort(lengths[part], kind="stable")]
            out += [part[b: b + size] for b in range(0, len(part), size)]
        for i in rng.permutation(len(out)):
            if len(out[i]) > 8:
                yield out[i]


def measure(m, rows, vectors):
    out = []
    with torch.no_grad():
        for a in range(0, len(rows), 200):
            x, k = padded(rows[a: a + 200])
            out.append((m(x, k) * torch.from_numpy(vectors[a: a + 200].astype(np.float32))).sum(-1))
    c = torch.cat(out).numpy()
    return {"mean": float(c.mean()), "p01": float(np.quantile(c, .01))}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--seconds", type=float, default=1500, help="wall-clock training time in all, over which the rate decays")
    a.add_argument("--batch", type=int, default=256)
    a.add_argument("--rate", type=float, default=1.5e-3)
    a.add_argument("--every", type=int, default=100, help="steps between two lines of the log")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--seed", type=int, default=20261121)
    a.add_argument("--bf16", action="store_true", help="bfloat16 products (only where the processor has them)")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rows, vectors = read_pieces(a.work)
    held, held_v = rows[-HELD_OUT:], vectors[-HELD_OUT:]
    rows, vectors = rows[:-HELD_OUT], vectors[:-HELD_OUT]
    m = Encoder(CONFIG)
    path, log = os.path.join(a.work, "student.pt"), open(os.path.join(a.work, "student.jsonl"), "a")
    state = {"step": 0, "spent": 0.0, "tokens": 0}
    start_values(m, a.wheel)
    slow = [p for n, p in m.named_parameters() if n.startswith("words")]
    rest = [p for n, p in m.named_parameters() if not n.startswith("words")]
    opt = torch.optim.AdamW([{"params": rest, "top": a.rate}, {"params": slow, "top": a.rate * 2}], betas=(.9, .98), weight_decay=.01)
    if os.path.exists(path):
        c = torch.load(path)
        m.load_state_dict(c["model"])
        opt.load_state_dict(c["optimizer"])
        for g, top in zip(opt.param_groups, (a.rate, a.rate * 2)):
            g["top"] = top
        state = c["state"]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    feed = epochs(np.array([len(r) for r in rows]), a.batch, np.random.default_rng(a.seed + state["step"]))
    began, since, mean, saved = time.time() - state["spent"], 0, 0.0, time.time()

    def save():
        torch.save({"model": m.state_dict(), "optimizer": opt.state_dict(), "state": state, "config": CONFIG, "seed": a.seed, "sentences": len(rows)}, path + ".tmp")
        os.replace(path + ".tmp", path)

    print(f"{len(rows):,} sentences", measure(m, held, held_v), flush=True)
    while not stop and time.time() - began < a.seconds:
        done = (time.time() - began) / a.seconds
        scale = min(1, (state["step"] + 1) / 100) * (.02 + .98 * (.5 + .5 * math.cos(math.pi * done)))
        for g in opt.param_groups:
            g["lr"] = g["top"] * scale
        part = next(feed)
        x, k = padded([rows[i] for i in part])
        t = torch.from_numpy(vectors[part].astype(np.float32))
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            v = m(x, k)
        v = F.normalize(v.float(), dim=-1)
        cosine = (1 - (v * t).sum(-1)).mean()
        similar = ((v @ v.T - t @ t.T) ** 2).mean()
        loss = cosine + 5 * similar
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        state["step"] += 1
        state["tokens"] += int(k.sum())
        state["spent"] = time.time() - began
        mean += float(cosine.detach())
        since += 1
        if state["step"] % a.every == 0:
            line = {**state, "loss": round(mean / since, 4), "held_out": measure(m, held, held_v), "cpu": round(time.process_time())}
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
            mean, since = 0.0, 0
        if time.time() - saved > 180:
            save()
            saved = time.time()
    state["spent"] = time.time() - began
    save()
    print(json.dumps({**state, "held_out": measure(m, held, held_v)}), flush=True)


if __name__ == "__main__":
    main()
