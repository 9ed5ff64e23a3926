"""Questions over several texts from the relevance records, in the format of the evaluation sets.

A record's text stands among others: the ones most like it (shared rare words) and random ones, none with the answer.
Evaluation sets are not read.
"""

import argparse
import collections
import gzip
import json
import math
import random
import re
from pathlib import Path

# source: records drawn, other texts around each
PLAN = {"squad": (400, 9), "selqa": (250, 6)}
MEETINGS = 120


def words(text):
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 3}


class Neighbours:
    """The texts of one source that share the most rare words with a text."""

    def __init__(self, texts):
        self.texts = texts
        self.words = [words(text) for text in texts]
        self.frequency = collections.Counter(word for each in self.words for word in each)
        self.places = collections.defaultdict(list)
        for place, each in enumerate(self.words):
            for word in each:
                self.places[word].append(place)

    def of(self, text, most):
        scores = collections.Counter()
        for word in words(text):
            seen = self.frequency[word]
            if 0 < seen < 0.05 * len(self.texts):
                for place in self.places[word]:
                    scores[place] += math.log(len(self.texts) / seen)
        return [self.texts[place] for place, _ in scores.most_common(most)]


def instance(record, neighbours, others, rng):
    answers = [record["text"][start:end] for start, end in record["answers"]]
    gold = [record["text"][start:end] for start, end in record["gold"]]

    def allowed(text):
        return text != record["text"] and not any(each.lower() in text.lower() for each in answers + gold)

    near = [text for text in neighbours.of(record["text"], 60) if allowed(text)][: others * 5 // 9]
    rest = [text for text in rng.sample(neighbours.texts, 40) if allowed(text) and text not in near]
    documents = near + rest[: others - len(near)]
    place = rng.randrange(len(documents) + 1)
    documents.insert(place, record["text"])
    return {
        "id": record["id"],
        "documents": [{"title": "", "text": text} for text in documents],
        "question": record["question"],
        "answers": answers or gold,
        "meta": {"gold_index": place},
    }


def meeting(record):
    meta = {"relevant_char_spans": record["gold"]}
    return {"id": record["id"], "context": record["text"], "question": record["question"], "answers": [], "meta": meta}


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--relevance", required=True, help="folder of train.jsonl.gz")
    a.add_argument("--work", required=True)
    a.add_argument("--seed", type=int, default=7)
    args = a.parse_args()
    rng = random.Random(args.seed)
    by_source = collections.defaultdict(list)
    with gzip.open(Path(args.relevance) / "train.jsonl.gz", "rt") as lines:
        for line in lines:
            record = json.loads(line)
            by_source[record["source"]].append(record)
    sets = {}
    for source, (count, others) in PLAN.items():
        records = by_source[source]
        neighbours = Neighbours(sorted({record["text"] for record in records}))
        sets[source] = [instance(record, neighbours, others, rng) for record in rng.sample(records, count)]
    sets["qmsum"] = [meeting(record) for record in rng.sample(by_source["qmsum"], MEETINGS)]
    folder = Path(args.work) / "fit"
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in sets.items():
        (folder / f"fit_{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


if __name__ == "__main__":
    main()
