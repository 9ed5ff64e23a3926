"""A model folder: tokenizer, manifest, checksums; and running what was exported."""
import hashlib
import json
import os
import platform
import time

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

CLS, SEP, PAD = 101, 102, 0
FEEDS = {"input_ids": "token ids, [CLS] first and [SEP] last; pad on the right with any id", "attention_mask": "1 for a token, 0 for padding",
         "token_type_ids": "0 up to the first [SEP], 1 after it"}


def open_tokenizer(text):
    """The uncased WordPiece tokenizer without truncation and padding."""
    t = Tokenizer.from_str(text if isinstance(text, str) else text.decode("utf8"))
    t.no_truncation()
    t.no_padding()
    return t


def session(model, threads=1):
    o = ort.SessionOptions()
    o.intra_op_num_threads = threads
    o.log_severity_level = 3
    return ort.InferenceSession(model if isinstance(model, str) else model.SerializeToString(), o, providers=["CPUExecutionProvider"])


def batches(lengths, size):
    """Row numbers in batches of equal length: no row is padded."""
    by = {}
    for i, n in enumerate(lengths):
        by.setdefault(n, []).append(i)
    for n in sorted(by):
        for a in range(0, len(by[n]), size):
            yield by[n][a: a + size]


def encode(s, rows, size=16):
    """Vectors [len(rows), d] of token id rows."""
    out = None
    for part in batches([len(r) for r in rows], size):
        x = np.array([rows[i] for i in part], np.int64)
        v = s.run(None, {"input_ids": x, "attention_mask": np.ones_like(x)})[0]
        if out is None:
            out = np.zeros((len(rows), v.shape[1]), np.float32)
        out[part] = v
    return out


def speed(s, length, size=16, seconds=4, vocabulary=30522, types=False):
    """Tokens per CPU second of one thread on random rows."""
    x = np.random.default_rng(0).integers(1000, vocabulary, (size, length))
    feed = {"input_ids": x, "attention_mask": np.ones_like(x)}
    if types:
        feed["token_type_ids"] = (np.arange(length)[None] * np.ones_like(x) > 12).astype(np.int64)
    for _ in range(2):
        s.run(None, feed)
    n, c = 0, time.process_time()
    while time.process_time() - c < seconds:
        s.run(None, feed)
        n += x.size
    return round(n / (time.process_time() - c))


def padding_difference(s, rows, types=False):
    """Largest change of a row's output when it stands padded among other rows."""
    worst = 0.0
    longest = max(len(r) for r in rows)
    x, m, t = (np.zeros((len(rows), longest), np.int64) for _ in range(3))
    for i, r in enumerate(rows):
        x[i, : len(r)], m[i, : len(r)], t[i, 12: len(r)] = r, 1, 1
    more = {"token_type_ids": t} if types else {}
    among = s.run(None, {"input_ids": x, "attention_mask": m, **more})[0]
    for i, r in enumerate(rows):
        more = {"token_type_ids": t[i: i + 1, : len(r)]} if types else {}
        alone = s.run(None, {"input_ids": x[i: i + 1, : len(r)], "attention_mask": m[i: i + 1, : len(r)], **more})[0]
        worst = max(worst, float(np.abs(alone[0] - among[i]).max()))
    return worst


def processor():
    flags, name = set(), platform.processor()
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                if key.strip() == "flags":
                    flags = set(value.split())
    except OSError:
        pass
    return " ".join([name, *(f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if f in flags)])


def dump(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")


def write_tokenizer(out, tokenizer, context):
    tokenizer.save(os.path.join(out, "tokenizer.json"), pretty=False)
    dump(os.path.join(out, "tokenizer_config.json"), {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                                                      "unk_token": "[UNK]", "mask_token": "[MASK]", "model_max_length": context, "clean_up_tokenization_spaces": False})


def port(name, kind, shape, meaning):
    return {"name": name, "type": kind, "shape": shape, "meaning": meaning}


def encoder_graph(file, inputs, output):
    return {"encoder": {"file": file, "inputs": [port(n, "int64", ["b", "n"], FEEDS[n]) for n in inputs], "outputs": [output]}}


def write_manifest(out, files, **fields):
    path = lambda n: os.path.join(out, n)
    listed = {}
    for n in files:
        with open(path(n), "rb") as f:
            data = f.read()
        listed[n] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    head = {k: fields.pop(k) for k in ("name", "kind", "version", "licence")}
    dump(path("manifest.json"), {**head, "files": listed, "tokenizer": "tokenizer.json", "vocab_size": 30522, "bos_token_id": CLS, "eos_token_id": SEP, "pad": PAD,
                                 "add_bos": "[CLS] (bos_token_id) in front and [SEP] (eos_token_id) behind, as tokenizer.json adds them", **fields})
