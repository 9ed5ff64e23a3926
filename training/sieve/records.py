"""The question-relevance records, split by text so that no text stands in two parts."""
import gzip
import hashlib
import json
import os


def part_of(text):
    """train 88 %, tune 4 %, test 8 %, by a hash of the text"""
    n = int.from_bytes(hashlib.sha256(text.encode("utf8")).digest()[:4], "big") % 100
    return "test" if n < 8 else "tune" if n < 12 else "train"


def load(folder):
    """{'train': [...], 'tune': [...], 'test': [...]} of {id, source, question, text, gold, answers}"""
    parts = {"train": [], "tune": [], "test": []}
    with gzip.open(os.path.join(folder, "train.jsonl.gz"), "rt", encoding="utf8") as f:
        for line in f:
            r = json.loads(line)
            parts[part_of(r["text"])].append(r)
    return parts
