"""Exports the student: int8 graph, manifest with measured numbers.

    python -m sieve.export_student --work $WORK --corpus $CORPUS --minilm ../models/minilm --out ../models/student
"""
import argparse
import os
import shutil

import numpy as np
import onnx
import torch

from . import graphs
from .calibrate import levels
from .folder import encode, encoder_graph, open_tokenizer, padding_difference, port, processor, session, speed, write_manifest, write_tokenizer
from .minilm import CONTEXT, sample
from .model import Encoder
from .packages import MINILM
from .train_student import HELD_OUT, read_pieces

LICENCE = """{name} model weights and graph
Copyright 2026 The Sluice authors

Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied. See the License for the specific language governing permissions and limitations under the License.

{source}
Note on data: trained on openly licensed text, some of it under CC-BY and CC-BY-SA licences; CARD.md lists it. The text is not part of these files.
"""


def agreement(x, y):
    c = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    return {"mean": round(float(c.mean()), 4), "p01": round(float(np.quantile(c, .01)), 4), "min": round(float(c.min()), 4)}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--corpus", required=True)
    a.add_argument("--minilm", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--version", default="0.1.0")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = lambda n: os.path.join(a.out, n)
    c = torch.load(os.path.join(a.work, "student.pt"), map_location="cpu")
    cfg, m = c["config"], Encoder(c["config"]).eval()
    m.load_state_dict(c["model"])
    w = m.export()
    with open(os.path.join(a.minilm, "tokenizer.json")) as f:
        tokenizer = open_tokenizer(f.read())
    rows, vectors = read_pieces(a.work)
    w.update(levels(w, cfg, [list(r) for r in rows[:150]]))
    onnx.save(graphs.sentence_encoder(w, cfg), path("encoder.onnx"))
    i8, f32, teacher = session(path("encoder.onnx")), session(graphs.sentence_encoder(w, cfg, int8=False)), session(os.path.join(a.minilm, "encoder.onnx"))
    held = [list(r) for r in rows[-HELD_OUT:]]
    valid = sample(a.corpus, tokenizer, 1500)
    x, y = encode(i8, held), encode(f32, held)
    some = sorted(held[:64], key=len)
    with torch.no_grad():
        reference = np.concatenate([m(torch.tensor([r]), torch.ones(1, len(r))).numpy() for r in some])
    checks = {"fp32_vs_torch": float(np.abs(reference - encode(f32, some)).max()), "padding_difference": padding_difference(i8, some), "int8_cosine_with_fp32": agreement(x, y)}
    quality = {"cosine_with_minilm_held_out_sentences": agreement(x, vectors[-HELD_OUT:].astype(np.float32)),
               "cosine_with_minilm_valid": agreement(encode(i8, valid), encode(teacher, valid)), "sentences": [len(held), len(valid)]}
    print(checks, quality, flush=True)
    if checks["padding_difference"] > 1e-5 or checks["fp32_vs_torch"] > 1e-4 or checks["int8_cosine_with_fp32"]["min"] < .97:
        raise SystemExit("quality or parity failed")
    write_tokenizer(a.out, tokenizer, CONTEXT)
    with open(path("LICENSE"), "w") as f:
        f.write(LICENCE.format(name="student", source="Derived from all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0): its vectors were the teacher, its tokens' vectors the start values; its tokenizer.\n"))
    shutil.copyfile(os.path.join(a.minilm, "NOTICE"), path("NOTICE"))
    fields = dict(name="student", kind="sentence-encoder", version=a.version, licence="Apache-2.0", context_length=CONTEXT, dimension=cfg["projection"], max_batch=64,
                  parameters=sum(p.numel() for p in m.parameters()), precision={"encoder": "int8"},
                  training={"sentences": c["sentences"], "tokens": c["state"]["tokens"], "steps": c["state"]["step"], "seconds": round(c["state"]["spent"]), "seed": c["seed"]},
                  quality=quality, checks=checks, processor=processor(),
                  tokens_per_cpu_second_one_thread={f"{n}_n{k}": speed(s, k) for n, s in (("int8", i8), ("fp32", f32)) for k in (25, 128)},
                  graph=encoder_graph("encoder.onnx", ("input_ids", "attention_mask"), port("vectors", "float32", ["b", cfg["projection"]], "length 1; compare by inner product")),
                  architecture=cfg, teacher=MINILM, made_by="training/sieve", date="2026-11-21")
    write_manifest(a.out, ("tokenizer.json", "tokenizer_config.json", "encoder.onnx"), **fields)
    print(fields["tokens_per_cpu_second_one_thread"])


if __name__ == "__main__":
    main()
