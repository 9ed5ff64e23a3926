"""Training questions as token ids: the training records in multi-document form and questions of our own.

    python -m sieve.items --minilm ../models/minilm --corpus $CORPUS --relevance $RELEVANCE --work $WORK      # WORK/items.npz
"""
import argparse
import os

import numpy as np

from . import records
from .folder import open_tokenizer
from .judge import multi_document
from .pairs import self_made

KINDS = ("squad", "selqa", "qmsum", "heading", "paragraph", "reply", "title", "hops")


class Items:
    """Item i: kind, question ids, sentence ids, documents, gold."""

    def __init__(self, path):
        z = np.load(path)
        self.ids, self.ends, self.first, self.kind, self.where, self.gold = (z[k] for k in ("ids", "ends", "first", "kind", "where", "gold"))
        self.starts = np.concatenate([[0], self.ends[:-1]])

    def __len__(self):
        return len(self.kind)

    def row(self, n):
        return self.ids[self.starts[n]: self.ends[n]].astype(np.int64)

    def item(self, i, rng=None, most=10 ** 9):
        """-> (kind, question ids, [sentence ids], gold places); at most `most` sentences, the gold ones always"""
        a, b = self.first[i] + 1, self.first[i + 1]
        gold = [n for n in range(a, b) if self.gold[n]]
        rest = [n for n in range(a, b) if not self.gold[n]]
        if rng is not None and b - a > most:
            gold = [gold[k] for k in rng.permutation(len(gold))[: most // 3]]
            rest = [rest[k] for k in rng.permutation(len(rest))[: most - len(gold)]]
        chosen = gold + rest
        return KINDS[self.kind[i]], self.row(self.first[i]), [self.row(n) for n in chosen], list(range(len(gold)))

    def by_kind(self):
        return {k: np.flatnonzero(self.kind == n) for n, k in enumerate(KINDS) if (self.kind == n).any()}


def write_items(path, items, tokenizer, longest=80):
    ids, ends, first, kind, where, gold, total, count = [], [], [0], [], [], [], 0, 0
    for i in items:
        rows = [e.ids[1:-1][:longest] for e in tokenizer.encode_batch([i["query"], *i["sentences"]])]
        if not all(rows):
            continue
        for n, r in enumerate(rows):
            ids.append(np.array(r, np.uint16))
            total += len(r)
            ends.append(total)
            where.append(-1 if n == 0 else i["documents"][n - 1])
        gold += [False, *(n in set(i["gold"]) for n in range(len(i["sentences"])))]
        count += len(rows)
        first.append(count)
        kind.append(KINDS.index(i["kind"]))
    np.savez(path, ids=np.concatenate(ids), ends=np.array(ends), first=np.array(first), kind=np.array(kind, np.int8), where=np.array(where, np.int16), gold=np.array(gold))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--minilm", required=True, help="folder with tokenizer.json")
    a.add_argument("--corpus", required=True)
    a.add_argument("--relevance", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--per-kind", type=int, default=3000)
    a.add_argument("--seed", type=int, default=20261121)
    a = a.parse_args()
    with open(os.path.join(a.minilm, "tokenizer.json")) as f:
        tokenizer = open_tokenizer(f.read())
    rng = np.random.default_rng(a.seed)
    train = records.load(a.relevance)["train"]
    path = os.path.join(a.work, "items.npz")

    def every():
        yield from multi_document(train, train, rng)
        yield from self_made(a.corpus, rng, a.per_kind)

    write_items(path, every(), tokenizer)
    print({k: len(v) for k, v in Items(path).by_kind().items()})


if __name__ == "__main__":
    main()
