"""Questions of our own from the corpus: lists of sentences of which some belong to the query.

An item is {kind, query, sentences, documents, gold}: sentences in reading order, documents[i] the number of the text sentence i
stands in, gold the numbers of the sentences that answer. Kinds: heading (to its section), paragraph (sentence to the rest of
its paragraph), reply (turn to the next one), title (to its body), hops (a film and what another text says of a person in it).
"""
import re
import zlib

from .text import documents, sentences

HEADING = re.compile(r"^(#{1,4}) +(.{4,80})$")
SPEAKER = re.compile(r"^\**[A-Z][\w .()'-]{0,40}\**:\** ")
NAME = re.compile(r"(?:[A-Z](?:\.|[\w'-]+) )+[A-Z][\w'-]+")
MOST = 60      # sentences of an item


def held_out(text, share=8):
    return zlib.crc32(text[:200].encode("utf8")) % 100 < share


def sections(text):
    """[(heading, body)] of a Markdown text"""
    out, heading, body, fence = [], None, [], False
    for line in text.split("\n"):
        if line.startswith("```"):
            fence = not fence
        m = None if fence else HEADING.match(line)
        if m:
            out.append((heading, "\n".join(body)))
            heading, body = m.group(2), []
        else:
            body.append(line)
    out.append((heading, "\n".join(body)))
    return [(h, b) for h, b in out if h and len(b.split()) > 12]


def cut(lists, rng, gold_of=None):
    """Sentences of several texts one after the other, at most MOST, those of list `gold_of` kept first."""
    size = sum(map(len, lists))
    if size > MOST:
        keep = max(4, (MOST - (len(lists[gold_of]) if gold_of is not None else 0)) // max(1, len(lists) - 1))
        lists = [x if i == gold_of else x[(at := int(rng.integers(max(1, len(x) - keep + 1)))): at + keep] for i, x in enumerate(lists)]
    return [s for x in lists for s in x], [i for i, x in enumerate(lists) for _ in x]


def heading_items(text, rng):
    s = [(h, sentences(b)[:14]) for h, b in sections(text)]
    s = [(h, x) for h, x in s if 2 <= len(x) and len(h.split()) >= 2]
    if len(s) < 3:
        return
    for n in rng.permutation(len(s))[:2]:
        flat, where = cut([x for _, x in s], rng, n)
        yield {"kind": "heading", "query": s[n][0], "sentences": flat, "documents": [0] * len(flat), "gold": [i for i, w in enumerate(where) if w == n][:6]}


def paragraph_items(text, rng):
    p = [sentences(x) for x in re.split(r"\n\s*\n", text)]
    p = [[s for s in x if len(s) > 25] for x in p]
    p = [x for x in p if 3 <= len(x) <= 14]
    if len(p) < 3:
        return
    n = int(rng.integers(len(p)))
    at = int(rng.integers(len(p[n])))
    query = p[n][at]
    flat, where = cut([x[:at] + x[at + 1:] if i == n else x for i, x in enumerate(p)], rng, n)
    gold = [i for i, w in enumerate(where) if w == n and abs(i - where.index(n) - at) <= 2]
    yield {"kind": "paragraph", "query": query, "sentences": flat, "documents": [0] * len(flat), "gold": gold}


def reply_items(text, rng):
    turns = [t.strip() for t in text.split("\n") if SPEAKER.match(t.strip())]
    bare = [SPEAKER.sub("", t) for t in turns]
    good = [i for i in range(len(turns) - 1) if len(bare[i].split()) >= 7 and len(bare[i + 1].split()) >= 7]
    for n in rng.permutation(good)[:2]:
        a = max(0, int(n) - int(rng.integers(10, 30)))
        window = [i for i in range(a, min(len(turns), a + 40)) if i != n]
        if len(window) >= 8:
            yield {"kind": "reply", "query": bare[n], "sentences": [turns[i] for i in window], "documents": [0] * len(window), "gold": [window.index(n + 1)]}


def passages(corpus, split):
    """[(title, body)] of the encyclopaedic texts"""
    out = []
    for _, d in documents(corpus, split, wanted=("english",)):
        if d["source"] in ("OSU-NLP-Group/HippoRAG", "prust/wikipedia-movie-data"):
            title, _, body = d["text"].partition("\n")
            if len(body.split()) > 15:
                out.append((re.sub(r" \(.*\)$", "", title.strip()), body.strip()))
    return out


def texts_item(kind, query, texts, wanted, rng):
    """Whole texts in random order; wanted: text -> predicate on its sentences."""
    order = rng.permutation(len(texts))
    flat, where, gold = [], [], []
    for place, n in enumerate(order):
        title, body = texts[n]
        for k, s in enumerate(sentences(body)[:10]):
            if n in wanted and wanted[n](k, s):
                gold.append(len(flat))
            flat.append(f"{title}: {s}" if k == 0 and not s.startswith(title[:12]) else s)
            where.append(place)
    return {"kind": kind, "query": query, "sentences": flat, "documents": where, "gold": gold}


def passage_items(all_passages, rng, limit):
    """title and hops items. Wrong texts share a name or a year with the right ones where such texts exist."""
    by_title, mentions = {}, {}
    for i, (title, body) in enumerate(all_passages):
        by_title.setdefault(title, i)
        for name in set(NAME.findall(body)) | set(re.findall(r"\b(?:18|19|20)\d\d\b", body)):
            mentions.setdefault(name, []).append(i)

    def wrong(not_these, keys, count):
        near = [j for k in keys for j in (lambda m: [m[x] for x in rng.permutation(len(m))[:3]])(mentions.get(k, [])) if j not in not_these]
        near = list(dict.fromkeys(near))[: count // 2 + 1]
        return near + [int(j) for j in rng.integers(len(all_passages), size=count - len(near)) if int(j) not in not_these]

    order, done = rng.permutation(len(all_passages)), {"title": 0, "hops": 0}
    for i in order:
        title, body = all_passages[i]
        names = [n for n in dict.fromkeys(NAME.findall(body)) if n != title]
        links = [n for n in names if n in by_title and by_title[n] != i] + [n for n in names if n not in by_title and 2 <= len(mentions.get(n, [])) <= 30]
        links = links[:4]
        if links and done["hops"] < limit:
            name = links[int(rng.integers(len(links)))]
            other = by_title.get(name)
            if other is None:
                others = [j for j in mentions[name] if j != i and all_passages[j][0] != title]
                other = others[int(rng.integers(len(others)))] if others else None
            if other is not None:
                lines = sentences(all_passages[other][1])[:10]
                usable = [s for s in lines if len(s.split()) > 6 and (by_title.get(name) == other or name in s)]
                if usable:
                    said = usable[int(rng.integers(len(usable)))]
                    # what the other text says, with the linking name taken out: the two sentences meet in it
                    words = [w for w in re.findall(r"[\w'-]+", said.replace(name, " ").replace(all_passages[other][0], " ")) if w not in name.split()]
                    keep = sorted(rng.permutation(len(words))[: int(rng.integers(3, 8))])
                    query = f"{title}: {' '.join(words[k] for k in keep)}" if rng.random() < .5 else f"{' '.join(words[k] for k in keep)} {title}?"
                    texts = [all_passages[j] for j in (i, other, *wrong({i, other}, names[:6], int(rng.integers(5, 9))))]
                    item = texts_item("hops", query, texts, {0: lambda k, s: name in s, 1: lambda k, s: s == said}, rng)
                    if len(item["gold"]) >= 2:
                        done["hops"] += 1
                        yield item
        if done["title"] < limit:
            texts = [all_passages[j] for j in (i, *wrong({i}, names[:4], int(rng.integers(4, 8))))]
            item = texts_item("title", title, texts, {0: lambda k, s: k < 3}, rng)
            if item["gold"] and len(title.split()) >= 2:
                done["title"] += 1
                yield item
        if min(done.values()) >= limit:
            return


def self_made(corpus, rng, per_kind, held=False):
    """All kinds; held: only from documents kept for tests, else only from the others."""
    counts = dict.fromkeys(("heading", "paragraph", "reply"), 0)
    for g, d in documents(corpus, "train", wanted=("english", "dialogue")):
        if held_out(d["text"]) != held:
            continue
        makers = (reply_items,) if g == "dialogue" else (heading_items, paragraph_items)
        for make in makers:
            kind = make.__name__.partition("_")[0]
            if counts[kind] < per_kind:
                for item in make(d["text"], rng):
                    if item["gold"] and len(item["sentences"]) >= 5:
                        counts[kind] += 1
                        yield item
        if min(counts.values()) >= per_kind:
            break
    found = [p for p in passages(corpus, "train") if held_out(p[0] + p[1]) == held]
    yield from passage_items(found, rng, per_kind)
