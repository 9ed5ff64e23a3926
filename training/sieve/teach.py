"""Sentences of the corpus and of the training records, and their vectors by the teacher.

    python -m sieve.teach --corpus $CORPUS --relevance $RELEVANCE --minilm ../models/minilm --work $WORK

Writes WORK/sentences.npz (token ids, borders, groups) and WORK/teacher.f16 in pieces; goes on where it stopped.
"""
import argparse
import math
import multiprocessing
import os
import time

import numpy as np

from . import records
from .folder import encode, open_tokenizer, session
from .text import documents, sentences, wordpieces

SHARE = {"english": .6, "dialogue": .28, "records": .12}
LONGEST = 96


def collect(corpus, relevance, count, rng):
    by, seen = {g: [] for g in SHARE}, set()
    for g, d in documents(corpus, "train", wanted=tuple(SHARE)):
        lines = [s for s in sentences(d["text"]) if 8 <= len(s) <= 600]
        for i in rng.permutation(len(lines))[:40]:
            if lines[i] not in seen:
                seen.add(lines[i])
                by[g].append(lines[i])
    extra = []
    for r in records.load(relevance)["train"]:
        extra += [s for s in (r["question"], *sentences(r["text"])) if 8 <= len(s) <= 600 and s not in seen]
        seen.update(extra[-200:])
    out, groups = extra, ["relevance"] * len(extra)
    for g, share in SHARE.items():
        take = min(len(by[g]), int((count - len(extra)) * share))
        out += [by[g][i] for i in rng.permutation(len(by[g]))[:take]]
        groups += [g] * take
    order = rng.permutation(len(out))
    return [out[i] for i in order], [groups[i] for i in order]


def piece_path(work, n):
    return os.path.join(work, f"teacher-{n:03d}.f16.npy")


def teach(job):
    work, minilm, n, size = job
    z = np.load(os.path.join(work, "sentences.npz"))
    ids, ends = z["ids"], z["ends"]
    starts = np.concatenate([[0], ends[:-1]])
    rows = [ids[b:e].astype(np.int64) for b, e in zip(starts[n * size: (n + 1) * size], ends[n * size: (n + 1) * size])]
    t = time.process_time()
    vectors = encode(session(os.path.join(minilm, "encoder.onnx")), rows, 32).astype(np.float16)
    out = piece_path(work, n)
    np.save(out + ".tmp.npy", vectors)
    os.replace(out + ".tmp.npy", out)
    return f"piece {n}: {sum(map(len, rows)) / (time.process_time() - t):,.0f} tokens per CPU second"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", required=True)
    a.add_argument("--relevance", required=True)
    a.add_argument("--minilm", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--count", type=int, default=400000)
    a.add_argument("--piece", type=int, default=8000)
    a.add_argument("--processes", type=int, default=2)
    a = a.parse_args()
    os.makedirs(a.work, exist_ok=True)
    path = os.path.join(a.work, "sentences.npz")
    if not os.path.exists(path):
        with open(os.path.join(a.minilm, "tokenizer.json")) as f:
            tokenizer = open_tokenizer(f.read())
        texts, groups = collect(a.corpus, a.relevance, a.count, np.random.default_rng(20261121))
        rows = wordpieces(tokenizer, texts, LONGEST)
        with open(path + ".tmp", "wb") as f:
            np.savez(f, ids=np.concatenate([np.array(r, np.uint16) for r in rows]), ends=np.cumsum([len(r) for r in rows]), groups=np.array(groups))
        os.replace(path + ".tmp", path)
    z = np.load(path)
    ids, ends = z["ids"], z["ends"]
    print(f"{len(ends):,} sentences, {len(ids):,} tokens", flush=True)
    left = [n for n in range(math.ceil(len(ends) / a.piece)) if not os.path.exists(piece_path(a.work, n))]
    with multiprocessing.get_context("spawn").Pool(a.processes) as pool:      # one thread each: two threads in one graph wait for each other on a busy machine
        for line in pool.imap_unordered(teach, [(a.work, a.minilm, n, a.piece) for n in left]):
            print(line, flush=True)


if __name__ == "__main__":
    main()
