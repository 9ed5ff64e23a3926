"""Turn the corpus into token files: one uint16 stream per group for training, documents with byte counts for validation.

    python -m scout.data --corpus DIR --work DIR
"""
import argparse
import json
import os

import numpy as np
from tokenizers import Tokenizer

from .corpus import GROUPS, group_of, read, shards
from .tokenizer import BOS, EOS

BLOCK = 1024


def encode(tok, docs, size=256):
    """Yield (document, ids); special-token strings inside the text stay text."""
    batch = []
    for d in docs:
        batch.append(d)
        if len(batch) == size:
            yield from zip(batch, tok.encode_batch_fast([x["text"] for x in batch], add_special_tokens=False))
            batch = []
    if batch:
        yield from zip(batch, tok.encode_batch_fast([x["text"] for x in batch], add_special_tokens=False))


def prepare(corpus, work):
    tok = Tokenizer.from_file(os.path.join(work, "tokenizer.json"))
    tok.encode_special_tokens = True
    out = {g: open(os.path.join(work, f"train-{g}.bin.part"), "wb") for g in GROUPS}
    count, size = dict.fromkeys(GROUPS, 0), dict.fromkeys(GROUPS, 0)
    for path in shards(corpus, "train"):
        for d, e in encode(tok, read(path)):
            g = group_of(d)
            out[g].write(np.array([BOS] + e.ids + [EOS], dtype=np.uint16).tobytes())
            count[g] += len(e.ids) + 2
            size[g] += len(d["text"].encode())
        print(os.path.basename(path), count, flush=True)
    for g, f in out.items():
        f.close()
        os.replace(os.path.join(work, f"train-{g}.bin.part"), os.path.join(work, f"train-{g}.bin"))
    ids, docs = [], []
    for path in shards(corpus, "valid"):
        for d, e in encode(tok, read(path)):
            docs.append({"group": group_of(d), "kind": d.get("kind"), "lang": d.get("lang"), "source": d.get("source"),
                         "tokens": len(e.ids), "bytes": len(d["text"].encode())})
            ids.append(np.array(e.ids, dtype=np.uint16))
    np.concatenate(ids).tofile(os.path.join(work, "valid.bin"))
    with open(os.path.join(work, "valid.json"), "w") as f:
        json.dump(docs, f)
    meta = {"train_tokens": count, "train_bytes": size, "valid_tokens": sum(d["tokens"] for d in docs),
            "valid_bytes": sum(d["bytes"] for d in docs)}
    with open(os.path.join(work, "data.json"), "w") as f:
        json.dump(meta, f, indent=1)
    print(json.dumps(meta))


class Stream:
    """Seeded batches from the group streams. The state is one token cursor per group, so it is resumable,
    and windows shorter than a block walk through the block."""

    def __init__(self, work, mix, seed, cursors=None):
        self.seed, self.mix = seed, mix
        self.names = [g for g in GROUPS if mix.get(g, 0) > 0]
        self.p = np.array([mix[g] for g in self.names], dtype=np.float64)
        self.p /= self.p.sum()
        self.data = {g: np.memmap(os.path.join(work, f"train-{g}.bin"), dtype=np.uint16, mode="r") for g in self.names}
        self.cursors = dict.fromkeys(self.names, 0)
        self.cursors.update(cursors or {})
        self.perm = {}

    def _block(self, g, c):
        blocks = (len(self.data[g]) - 1) // BLOCK
        epoch, i = divmod(c // BLOCK, blocks)
        if self.perm.get(g, (None,))[0] != epoch:
            rng = np.random.default_rng([self.seed, 1, GROUPS.index(g), epoch])
            self.perm[g] = (epoch, rng.permutation(blocks))
        return int(self.perm[g][1][i]) * BLOCK + c % BLOCK

    def batch(self, step, rows, length):
        """int64 [rows, length + 1]"""
        rng = np.random.default_rng([self.seed, 2, step])
        out = np.empty((rows, length + 1), dtype=np.int64)
        for r, k in enumerate(rng.choice(len(self.names), size=rows, p=self.p)):
            g = self.names[k]
            c = self.cursors[g] = -(-self.cursors[g] // length) * length
            a = self._block(g, c)
            out[r] = self.data[g][a:a + length + 1]
            self.cursors[g] = c + length
        return out


def validation(work, length, max_tokens=None, longest=1500, seed=7):
    """Windows over single documents: row = [context token, targets...]. Every byte of a document is predicted once;
    the first token is predicted from BOS. Returns rows (ids, group) and bytes by group.
    With max_tokens a seeded subset, the same each time: documents of up to `longest` tokens, groups in their own shares."""
    with open(os.path.join(work, "valid.json")) as f:
        docs = json.load(f)
    ids = np.fromfile(os.path.join(work, "valid.bin"), dtype=np.uint16)
    start = np.concatenate([[0], np.cumsum([d["tokens"] for d in docs])])
    order, quota = np.arange(len(docs)), dict.fromkeys(GROUPS, float("inf"))
    if max_tokens:
        order = [i for i in np.random.default_rng(seed).permutation(len(docs)) if docs[i]["tokens"] <= longest]
        quota = {g: max_tokens * sum(d["tokens"] for d in docs if d["group"] == g) / len(ids) for g in GROUPS}
    rows, size = [], dict.fromkeys(GROUPS, 0)
    for i in order:
        d = docs[i]
        if quota[d["group"]] <= 0:
            continue
        x = np.concatenate([[BOS], ids[start[i]:start[i + 1]].astype(np.int64)])
        for a in range(0, len(x) - 1, length):
            rows.append((x[a:a + length + 1], d["group"]))
        size[d["group"]] += d["bytes"]
        quota[d["group"]] -= d["tokens"]
    return rows, size


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", required=True)
    a.add_argument("--work", required=True)
    a = a.parse_args()
    prepare(a.corpus, a.work)


if __name__ == "__main__":
    main()
