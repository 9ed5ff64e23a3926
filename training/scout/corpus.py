"""Reading the corpus shards (JSON lines, xz) and sorting documents into groups."""
import glob
import json
import lzma
import os

GROUPS = ("english", "dialogue", "code", "chinese", "other", "records")


def group_of(d):
    lang, kind = d.get("lang", "en"), d.get("kind", "prose")
    if kind == "code":
        return "code"
    if kind in ("log", "json"):
        return "records"
    if lang == "zh":
        return "chinese"
    if lang != "en":
        return "other"
    return "dialogue" if kind == "dialogue" else "english"


def shards(corpus, split):
    found = sorted(glob.glob(os.path.join(corpus, f"{split}-*.jsonl.xz")))
    if not found:
        raise SystemExit(f"no {split}-*.jsonl.xz in {corpus}")
    return found


def read(path):
    with lzma.open(path, "rt", encoding="utf8") as f:
        for line in f:
            d = json.loads(line)
            if d.get("text"):
                yield d
