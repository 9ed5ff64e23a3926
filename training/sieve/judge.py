"""Retention of the gold sentences at a token budget, on multi-document records nothing was trained on.

    python -m sieve.judge --corpus $CORPUS --relevance $RELEVANCE --arms table=DIR,minilm=DIR,student=DIR,cross=DIR --out FILE.json
"""
import argparse
import functools
import hashlib
import json
import math
import os
import re

import numpy as np

from . import records
from .folder import batches, encode, open_tokenizer, session
from .pairs import self_made
from .table import late_interaction, read_table
from .text import sentence_ranges

OWN, OTHER = 120, 30
cached_ranges = functools.lru_cache(100000)(sentence_ranges)
RATES = (.5, .33, .2, .1)
STOP = frozenset("a an the of in on at to for from by with and or is are was were be been do does did has have had what which who whom whose when where why how that this these those it its as than "
                 "then there their they he she his her you your i me my we our can could would should will shall may might please tell much many".split())


def terms(text):
    out = []
    for w in re.findall(r"[^\W_]+(?:[.,'’:/@-][^\W_]+)*", text.lower()):
        w = re.sub(r"['’]s$", "", w)
        if re.fullmatch(r"[a-z]{4,}", w):
            w = re.sub(r"ies$", "y", w) if len(w) > 4 else w
            w = w if re.search(r"(?:ss|us|is)$", w) else re.sub(r"(?<=[sxz])es$|(?<=ch|sh)es$|s$", "", w)
            w = re.sub(r"ing$", "", w) if len(w) > 5 else w
            w = re.sub(r"ed$", "", w) if len(w) > 4 else w
            w = w[:-1] if len(w) > 3 and w.endswith("e") else w
        out.append(w)
    return out


def bm25(units, query, k1=1.2, b=.75):
    counts, n = [], len(units)
    for u in units:
        c = {}
        for t in u:
            c[t] = c.get(t, 0) + 1
        counts.append(c)
    mean = sum(map(len, units)) / max(1, n)
    out = np.zeros(n)
    for t in query:
        df = sum(t in c for c in counts)
        if df:
            idf = math.log(1 + (n - df + .5) / (df + .5))
            for i, c in enumerate(counts):
                f = c.get(t, 0)
                if f:
                    out[i] += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(units[i]) / mean))
    return out


def query_terms(question):
    every = list(dict.fromkeys(terms(question)))
    return [t for t in every if t not in STOP] or every


def z(x):
    s = x.std()
    return (x - x.mean()) / s if s > 1e-9 else np.zeros(len(x))


def prior(own, whole, where):
    """.6 z(document score) + .4 z(best sentence of the document), per sentence"""
    best = np.zeros(len(whole))
    for v, d in zip(own, where):
        best[d] = max(best[d], v)
    return .6 * z(whole[where]) + .4 * z(best[where])


def multi_document(part, everything, rng, candidates=120):
    """
    Each record's text among 4 to 9 others of its source, half of them those of `candidates` with the most rare question words.
    Of other texts at most OTHER sentences, records with more than OWN sentences are left out (meetings).
    """
    texts = list(dict.fromkeys(r["text"] for r in everything))
    pool = {s: list(dict.fromkeys(r["text"] for r in everything if r["source"] == s)) for s in ("squad", "selqa", "qmsum")}
    split = {t: frozenset(terms(t)) for t in texts}
    items, frequency = [], {}
    for t in texts:
        for w in split[t]:
            frequency[w] = frequency.get(w, 0) + 1
    for r in part:
        if len(cached_ranges(r["text"])) > OWN:
            continue
        near = [t for t in pool[r["source"]] if t != r["text"]]
        some = [near[i] for i in rng.choice(len(near), min(candidates, len(near)), replace=False)]
        rare = {w: math.log(len(texts) / frequency[w]) for w in query_terms(r["question"]) if w in frequency}
        order = np.argsort([-sum(v for w, v in rare.items() if w in split[t]) for t in some], kind="stable")
        count = int(rng.integers(4, 10))
        others = [some[i] for i in order[: (count + 1) // 2]] + [some[i] for i in order[::-1][: count // 2]]
        flat, where, gold = [], [], []
        chosen = [r["text"], *others]
        for place, n in enumerate(rng.permutation(len(chosen))):
            t = chosen[n]
            ranges = cached_ranges(t)
            if n:
                at = int(rng.integers(max(1, len(ranges) - OTHER + 1)))
                ranges = ranges[at: at + OTHER]
            for a, b in ranges:
                if n == 0 and any(a < e and s < b for s, e in r["gold"]):
                    gold.append(len(flat))
                flat.append(t[a:b].strip())
                where.append(place)
        if gold:
            items.append({"kind": r["source"], "query": r["question"], "sentences": flat, "documents": where, "gold": gold})
    return items


def kept(scores, sizes, rate):
    """Best first while it fits; what does not fit is passed over."""
    left, picked = rate * sum(sizes), set()
    for i in np.argsort(-scores, kind="stable"):
        if sizes[i] <= left:
            picked.add(int(i))
            left -= sizes[i]
    return picked


class Arms:
    """Scores of the sentences of an item by every model that was given."""

    def __init__(self, folders):
        self.folders = folders
        any_folder = next(iter(folders.values()))
        with open(os.path.join(any_folder, "tokenizer.json")) as f:
            self.tokenizer = open_tokenizer(f.read())
        self.table = {n: read_table(p, 30522, self.manifest(p)["dimension"]) for n, p in folders.items() if self.manifest(p)["kind"] == "token-table"}
        self.encoders = {n: session(os.path.join(p, "encoder.onnx")) for n, p in folders.items() if self.manifest(p)["kind"] == "sentence-encoder"}
        self.cross = {n: session(os.path.join(p, "encoder.onnx")) for n, p in folders.items() if self.manifest(p)["kind"] == "cross-encoder"}

    def manifest(self, folder):
        with open(os.path.join(folder, "manifest.json")) as f:
            return json.load(f)

    def ids(self, texts):
        return [e.ids[1:-1] for e in self.tokenizer.encode_batch(list(texts))]

    def scores(self, rows):
        q, s = rows[0], rows[1:]
        out = {n: late_interaction(*t, q, s) for n, t in self.table.items()}
        framed = [[101, *x[:126], 102] for x in rows]
        for n, e in self.encoders.items():
            v = encode(e, framed, 32)
            out[n] = v[1:] @ v[0]
        for n, e in self.cross.items():
            out[n] = cross_scores(e, q, s)
        return out


def pair(question, sentence, limit=128):
    q = question[:40]
    return [101, *q, 102, *sentence[: limit - 3 - len(q)], 102], len(q) + 2


def cross_scores(s, question, sentences):
    rows = [pair(question, x) for x in sentences]
    out = np.zeros(len(rows), np.float32)
    for part in batches([len(r) for r, _ in rows], 32):
        x = np.array([rows[i][0] for i in part], np.int64)
        t = np.array([[0] * rows[i][1] + [1] * (x.shape[1] - rows[i][1]) for i in part], np.int64)
        out[part] = s.run(None, {"input_ids": x, "attention_mask": np.ones_like(x), "token_type_ids": t})[0]
    return out


def arms_of(item, models, rng):
    """name -> scores: each model alone and summed with BM25 and the document prior"""
    where = np.array(item["documents"])
    q = query_terms(item["query"])
    units = [terms(t) for t in item["sentences"]]
    own = bm25(units, q)
    whole = bm25([[t for u, w in zip(units, where) if w == d for t in u] for d in range(where.max() + 1)], q)
    base = z(own) + prior(own, whole, where)
    out = {"random": rng.random(len(units)), "bm25": own, "bm25+document": base}
    for n, v in models.items():
        out[n] = v
        out[f"bm25+document+{n}"] = base + z(v)
    if "cross" in models:
        for n in models:
            if n != "cross":
                out[f"bm25+document+{n}+cross"] = base + z(models[n]) + z(models["cross"])
    return out


def judge(items, arms, remember=None, seed=1):
    """{kind: {arm: [share of gold kept at each rate]}}; remember: folder that keeps the scores of a model file for the next run"""
    rng, sums, counts = np.random.default_rng(seed), {}, {}
    rows_of = [arms.ids([i["query"], *i["sentences"]]) for i in items]
    found = {n: remembered(arms, n, rows_of, remember) for n in arms.folders}
    for at, item in enumerate(items):
        sizes = [max(1, len(r)) for r in rows_of[at][1:]]
        counts[item["kind"]] = counts.get(item["kind"], 0) + 1
        for name, v in arms_of(item, {n: v[at] for n, v in found.items()}, rng).items():
            r = sums.setdefault(item["kind"], {}).setdefault(name, np.zeros(len(RATES)))
            for k, rate in enumerate(RATES):
                r[k] += len(kept(v, sizes, rate) & set(item["gold"])) / len(item["gold"])
    return {k: {"items": counts[k], **{n: [round(float(x), 4) for x in v / counts[k]] for n, v in a.items()}} for k, a in sums.items()}


def remembered(arms, name, rows_of, folder):
    """[scores of the sentences] per item"""
    manifest = arms.manifest(arms.folders[name])
    key = hashlib.sha256(json.dumps([manifest["files"], rows_of]).encode()).hexdigest()[:16]
    path = folder and os.path.join(folder, f"scores-{key}.npy")
    ends = np.cumsum([len(r) - 1 for r in rows_of])
    if path and os.path.exists(path):
        return np.split(np.load(path), ends[:-1])
    one = Arms({name: arms.folders[name]})
    out = [one.scores(rows)[name] for rows in rows_of]
    if path:
        np.save(path, np.concatenate(out))
    return out


def test_items(corpus, relevance, limit, per_kind, part="test", cache=None):
    """Held-out records in multi-document form, and questions of our own from held-out documents."""
    path = cache and os.path.join(cache, f"items-{part}-{limit}-{per_kind}.json")
    if path and os.path.exists(path):
        with open(path) as f:
            return json.load(f)
    parts = records.load(relevance)
    everything = parts["test"] + parts["tune"]       # other texts come from the held-out records too
    rng = np.random.default_rng(20261121 if part == "test" else 20261122)
    some = [r for source in ("squad", "selqa", "qmsum") for r in [r for r in parts[part] if r["source"] == source][:limit]]
    items = multi_document(some, everything, rng) + list(self_made(corpus, rng, per_kind, held=True))
    if path:
        with open(path, "w") as f:
            json.dump(items, f)
    return items


def show(table):
    for kind, arms in table.items():
        print(f"{kind} ({arms['items']})")
        for n, v in arms.items():
            if n != "items":
                print(f"  {n:34s} {' '.join(f'{x:.3f}' for x in v)}")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", required=True)
    a.add_argument("--relevance", required=True)
    a.add_argument("--arms", required=True, help="name=folder, comma separated")
    a.add_argument("--part", default="test", choices=("test", "tune"))
    a.add_argument("--limit", type=int, default=150, help="records per source")
    a.add_argument("--per-kind", type=int, default=80, help="questions of our own per kind")
    a.add_argument("--work", help="keep items and scores here for the next run")
    a.add_argument("--out")
    a = a.parse_args()
    arms = Arms(dict(x.split("=") for x in a.arms.split(",")))
    table = judge(test_items(a.corpus, a.relevance, a.limit, a.per_kind, a.part, a.work), arms, a.work)
    show(table)
    if a.out:
        with open(a.out, "w") as f:
            json.dump(table, f, indent=1)


if __name__ == "__main__":
    main()
