"""Sentences of a text and of the corpus; the rules follow src/tokenize/sentences.ts in short."""
import re

from scout.corpus import group_of, read, shards

BREAK = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡؟।]+[\"'”’」』）】》]*|\n)\s*")
ABBREVIATIONS = frozenset("mr mrs ms dr prof sr jr st vs cf al ca fig figs eq sec ch vol no nos nr pp p art ed rev gen col sgt capt lt sen gov inc ltd co corp dept est "
                          "jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e etc".split())
LAST_WORD = re.compile(r"[\w.]{1,20}$")
LIST_MARK = re.compile(r"[-*+•]\s|\d{1,4}[.)]\s|#{1,6}\s|[|><]|```")


def sentence_ranges(text):
    """[(start, end)] covering the text without gaps; each range holds its trailing white space. Code points."""
    ranges, start, line = [], 0, 0
    for m in BREAK.finditer(text):
        at, end = m.start(), m.end()
        first = text[at]
        begin, line = line, (end if "\n" in m.group() else line)
        if end < len(text):
            following = text[end]
            if first == "\n":
                blank = m.group().count("\n") > 1
                if not blank and following.islower() and not LIST_MARK.match(text, end):
                    continue
                if not blank and at - begin >= 40 and following.isalpha() and not LIST_MARK.match(text, begin):
                    continue
            elif first in ".!?…":
                if following.islower() or following in ",;:":
                    continue
                word = LAST_WORD.search(text, max(0, at - 20), at)
                word = word.group().lower() if word else ""
                if first == "." and (word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or re.fullmatch(r"(\w\.)+\w", word)):
                    continue
                if first == "." and re.fullmatch(r"\d{1,3}", word) and text[begin:at].strip() == word:
                    continue
        if text[start:end].strip():
            ranges.append((start, end))
            start = end
    if start < len(text):
        if text[start:].strip() or not ranges:
            ranges.append((start, len(text)))
        else:
            ranges[-1] = (ranges[-1][0], len(text))
    return ranges


def sentences(text):
    return [text[a:b].strip() for a, b in sentence_ranges(text)]


def documents(corpus, split, wanted=("english", "dialogue", "records"), first=False):
    """(group, document) of the text shards of a split, or of its first text shard."""
    for path in [p for p in shards(corpus, split) if "code" not in p][: 1 if first else None]:
        for d in read(path):
            g = group_of(d)
            if g in wanted:
                yield g, d


def wordpieces(tokenizer, texts, limit):
    """Token ids with [CLS] and [SEP], cut to `limit`."""
    return [e.ids if len(e.ids) <= limit else e.ids[: limit - 1] + [e.ids[-1]] for e in tokenizer.encode_batch(list(texts))]
