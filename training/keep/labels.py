"""Labels for a token classifier that says which words of a text matter, without a question and without a large model.

    python -m keep.labels --corpus $CORPUS --relevance $RELEVANCE --minilm ../models/minilm --work $WORK

Every character of a text gets a target in [0, 1]; a token takes the highest of its characters. What counts:

answers      the answer spans of question-answer records (SQuAD): 1; where a record names only the sentence that answers (SelQA),
             its names and numbers that the question does not have, numbers alone for "when", "how many" and "year": .8
questions    content words that stand again in a question about the text: .6
names        runs of capitalised words with the small words inside them, numbers, identifiers; the model reads lower case, so
             that it has to find them by the words and their context: .6
negations    not, no, never, ... : .4
again        content words that stand again in another sentence, the title (prose) or a later turn (dialogue): .45, dialogue .8
rare         every other content word by its rarity in the corpus: .1 to .35
function     the most frequent words outside names, and punctuation: .02

Writes WORK/keep.npz, and WORK/words.json with the word counts that the rule "frequent words go first" is made of.
"""
import argparse
import collections
import json
import math
import os
import re

import numpy as np

from sieve.folder import open_tokenizer
from sieve.pairs import held_out
from sieve.records import load
from sieve.text import documents, sentence_ranges

WORD = re.compile(r"\w+(?:[.,:/'’\-]\w+)*")
SMALL = r"(?:of|the|and|de|for|van|von|la|le|du|del|da|&)"
CAPITAL = r"[A-Z][\w'’\-]*(?:\.(?=\s[A-Z]))?"
NAME = re.compile(rf"{CAPITAL}(?:(?:,?\s|\s{SMALL}\s|\s{SMALL}\s{SMALL}\s){CAPITAL})*")
SPELLED = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
           "hundred thousand million billion half twice first second third fourth fifth monday tuesday wednesday thursday friday saturday sunday january february march april june july august "
           "september october november december today tomorrow morning afternoon evening am pm").split()
NUMBER = re.compile(r"[$€£]?\d(?:[\w.,:/\-]*\w)?%?")
IDENTIFIER = re.compile(r"(?=[\w-]*[A-Za-z])(?=[\w-]*(?:\d|_|[a-z][A-Z]))[\w-]{3,}")
NEGATIONS = frozenset("not no never none nothing nor neither nobody nowhere without cannot except unless".split())
FUNCTION = 250      # most frequent words that count as function words
DIALOGUE = re.compile(r"^[^\s:][^:\n]{0,40}:\s+(.+)$", re.M)
LIMITS = {"prose": 9000, "turns": 14000, "meeting": 1500}
REPEATS = {"squad": 6, "selqa": 3}      # there are few real questions


class Words:
    """Counts of lower-case words in the corpus."""

    def __init__(self, counts):
        self.counts, self.total = counts, sum(counts.values())
        self.function = {w for w, _ in counts.most_common(FUNCTION) if not w.isdigit()} - set(SPELLED) - NEGATIONS

    def rarity(self, word):
        """0 for the most frequent content words to 1 for words seen once or never."""
        p = math.log(self.counts.get(word, 0) + 1) / math.log(self.total / 500)
        return 1 - min(1.0, p)


def count_words(docs):
    c = collections.Counter()
    for text in docs:
        c.update(m.group().lower() for m in WORD.finditer(text))
    return Words(c)


def base(text, words, again=frozenset(), recurring=.45, starts=None):
    """Targets per character from the text alone; `again`: lower-case words that stand elsewhere as well."""
    t = np.full(len(text), .02, np.float32)
    starts = {a for a, _ in sentence_ranges(text)} if starts is None else starts
    for m in WORD.finditer(text):
        w = m.group().lower()
        if w in NEGATIONS or w.endswith(("n't", "n’t")):
            t[m.start(): m.end()] = .4
            continue
        if w in words.function:
            continue
        value = recurring if w in again else .1 + .25 * words.rarity(w)
        if w in SPELLED or NUMBER.fullmatch(m.group()):
            value = .6
        t[m.start(): m.end()] = value
    for m in NAME.finditer(text):
        a, b = m.span()
        first = WORD.match(text, a)
        if first and a in starts and first.end() < b and first.group().lower() in words.function:
            a = first.end()      # "The United States": the article stands there because the sentence starts
        span = text[a:b]
        if a in starts and " " not in span.strip() and words.counts.get(span.lower(), 0) > 300:
            continue
        if span.strip().lower() not in words.function:
            t[a:b] = np.maximum(t[a:b], .6)
    for m in [*NUMBER.finditer(text), *IDENTIFIER.finditer(text)]:
        t[m.start(): m.end()] = np.maximum(t[m.start(): m.end()], .6)
    return t


def standing_again(text, words, title=""):
    """Content words that occur in two sentences, or in the title."""
    seen = collections.Counter()
    for a, b in sentence_ranges(text):
        seen.update({m.group().lower() for m in WORD.finditer(text, a, b)})
    out = {w for w, n in seen.items() if n > 1}
    return {w for w in out | {m.group().lower() for m in WORD.finditer(title)} if w not in words.function}


def record_rows(records, words):
    """(text, targets, weight) of the question-answer records, one row per text with all its questions."""
    by = collections.defaultdict(list)
    for r in records:
        if r["source"] != "qmsum":
            by[r["text"]].append(r)
    for text, some in by.items():
        plain = base(text, words, standing_again(text, words))
        t = plain * .5
        for r in some:
            asked = {m.group().lower() for m in WORD.finditer(r["question"])} - words.function
            for a, b in r["gold"]:
                if not r["answers"]:
                    t[a:b] = np.maximum(t[a:b], plain[a:b])
                    for m in guesses(text, a, b, r["question"], asked):
                        t[m.start(): m.end()] = np.maximum(t[m.start(): m.end()], .8)
                for m in WORD.finditer(text, a, b):
                    if m.group().lower() in asked:
                        t[m.start(): m.end()] = np.maximum(t[m.start(): m.end()], .6)
        for r in some:
            for a, b in r["answers"]:
                t[a:b] = 1
        for _ in range(REPEATS[some[0]["source"]]):
            yield text, t, 2 if some[0]["answers"] else 1


def guesses(text, a, b, question, asked):
    """Names and numbers of the sentence [a, b) that may be the answer."""
    q = question.lower()
    numbers = re.search(r"\bwhen\b|\bhow (?:many|much|old|long|far)\b|\byear\b|\bdate\b", q)
    for kind in (NUMBER,) if numbers else (NAME, NUMBER):
        for m in kind.finditer(text, a, b):
            found = {w.group().lower() for w in WORD.finditer(m.group())}
            if found - asked == found and not (m.start() == a and " " not in m.group().strip()):
                yield m


def prose_rows(docs, words, rng, limit):
    for text in docs:
        title, _, body = text.partition("\n")
        paragraphs = [p for p in re.split(r"\n\s*\n", text) if 120 < len(p) < 2500]
        if not paragraphs:
            continue
        p = paragraphs[int(rng.integers(len(paragraphs)))]
        again = standing_again(text[:6000], words, title if len(title) < 120 else "")
        yield p, base(p, words, again), 1
        limit -= 1
        if limit == 0:
            return


def turn_rows(docs, words, limit):
    """Turns alone, as a chat is compressed turn by turn; what a later turn takes up again counts."""
    for text in docs:
        turns = [m.group(1) for m in DIALOGUE.finditer(text)]
        for i, turn in enumerate(turns):
            if len(turn) < 25:
                continue
            later = {m.group().lower() for x in turns[i + 1: i + 9] for m in WORD.finditer(x)} - words.function
            yield turn, base(turn, words, later, .8), 1
            limit -= 1
            if limit == 0:
                return


def meeting_rows(records, words):
    for r in records:
        if r["source"] != "qmsum":
            continue
        asked = {m.group().lower() for m in WORD.finditer(r["question"])} - words.function
        a, b = r["gold"][0][0], r["gold"][-1][1]
        text = r["text"][max(0, a - 200): min(b, a + 1500)]
        yield text, base(text, words, asked | standing_again(text, words), .6), 1


def token_rows(rows, tokenizer, context):
    """-> ids, targets, weights of every row, cut to the context; special tokens have no weight."""
    rows = [r for r in rows if len(r[0]) > 20]
    for (text, t, weight), e in zip(rows, tokenizer.encode_batch([r[0] for r in rows])):
        values = [max(t[a:b], default=0) if b > a else 0 for a, b in e.offsets]
        n = min(len(e.ids), context)
        yield e.ids[:n], values[:n], [weight if b > a else 0 for a, b in e.offsets][:n]


def write(path, rows):
    ids, targets, weights, ends = [], [], [], []
    for i, t, w in rows:
        ids += i
        targets += t
        weights += w
        ends.append(len(ids))
    np.savez(path, ids=np.array(ids, np.uint16), targets=np.array(targets, np.float16), weights=np.array(weights, np.float16), ends=np.array(ends, np.int64))
    print(f"{path}: {len(ends):,} rows, {len(ids):,} tokens, mean target {np.mean(targets):.3f}", flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", required=True)
    a.add_argument("--relevance", required=True)
    a.add_argument("--minilm", required=True, help="folder whose tokenizer.json is the uncased WordPiece vocabulary")
    a.add_argument("--work", required=True)
    a.add_argument("--context", type=int, default=256)
    a.add_argument("--seed", type=int, default=20261121)
    a = a.parse_args()
    os.makedirs(a.work, exist_ok=True)
    rng = np.random.default_rng(a.seed)
    with open(os.path.join(a.minilm, "tokenizer.json")) as f:
        tokenizer = open_tokenizer(f.read())
    by = {"english": [], "dialogue": []}
    for g, d in documents(a.corpus, "train", wanted=tuple(by), first=True):
        if not held_out(d["text"]):
            by[g].append((d["source"], d["text"]))
    words = count_words(t[:20000] for g in by.values() for _, t in g)
    with open(os.path.join(a.work, "words.json"), "w") as f:
        json.dump({"total": words.total, "counts": dict(words.counts.most_common(60000))}, f)
    # encyclopedic texts twice as often as the others: they are what is asked about
    wiki = [t for s, t in by["english"] if "movie" in s or "Hippo" in s or "factbook" in s]
    other = [t for s, t in by["english"] if not ("movie" in s or "Hippo" in s or "factbook" in s)]
    order = lambda x: [x[i] for i in rng.permutation(len(x))]
    parts = load(a.relevance)
    rows = [*record_rows(parts["train"], words), *meeting_rows(parts["train"][:4000], words),
            *prose_rows(order(wiki), words, rng, LIMITS["prose"] * 2 // 3), *prose_rows(order(other), words, rng, LIMITS["prose"] // 3),
            *turn_rows(order([t for s, t in by["dialogue"] if "dstc8" in s or "Taskmaster" in s]), words, LIMITS["turns"]),
            *turn_rows(order([t for s, t in by["dialogue"] if "dstc8" not in s and "Taskmaster" not in s]), words, LIMITS["meeting"])]
    write(os.path.join(a.work, "keep.npz"), token_rows(rows, tokenizer, a.context))


if __name__ == "__main__":
    main()
