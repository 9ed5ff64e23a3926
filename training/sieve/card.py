"""Cards of table, student and cross, from their manifests and the retention table of sieve.judge.

    python -m sieve.card --judge $WORK/judge.json --plain $WORK/judge-table.json --out ../models --work $WORK --only student,table
"""
import argparse
import json
import os

from scout.card import DATA, read_log

from .judge import RATES

KINDS = {"squad": "SQuAD, 5-10 texts", "selqa": "SelQA, 5-10 texts", "qmsum": "QMSum, meeting windows", "hops": "own: two texts joined by a name", "title": "own: title to text",
         "heading": "own: heading to section", "paragraph": "own: sentence to its paragraph", "reply": "own: turn to reply"}
PARTS = ("English prose, documentation, mathematics", "English dialogue and meetings", "logs, JSON, tables")


def retention(judged, arms):
    out = [f"| | {' | '.join(arms.values())} |", f"| --- |{' ---: |' * len(arms)}"]
    for kind, name in KINDS.items():
        if kind in judged:
            row = judged[kind]
            out.append(f"| {name} ({row['items']}) | " + " | ".join(" ".join(f"{x:.2f}".lstrip("0") for x in row[a]) if a in row else "" for a in arms) + " |")
    return "\n".join(out)


HOW = f"""Share of the gold sentences that a token budget of {'/'.join(f'{r:.2f}'.lstrip('0') for r in RATES)} of the text keeps, best sentence first, on held-out question-relevance records (8 % of the texts, never trained
on) mixed with the texts of 4 to 9 others, half of them those that share the question's rare words, and on held-out questions of our own from the corpus. Some hundred items: differences below .03 say little. The product's
own table is made by `sluice eval` on other sets."""

SOURCES = """
| part | sources |
| --- | --- |
{rows}
| questions | SQuAD (CC-BY-SA-4.0), SelQA (Apache-2.0; Wikipedia text CC-BY-SA), QMSum (MIT; AMI and ICSI CC-BY-4.0), as in the relevance records; no record of an evaluation set |

Part of the text is under share-alike or attribution licences; the weights hold no text. The teacher was itself trained on public pairs, MS MARCO among them."""


def sources():
    return SOURCES.format(rows="\n".join(f"| {a} | {d} |" for a, _, d in DATA if a in PARTS))


def speeds(m):
    rates = ", ".join(f"{k.replace('_n', ' at ')} {v:,}" for k, v in m["tokens_per_cpu_second_one_thread"].items())
    return f"Tokens per CPU second, one thread, rows of equal length in batches of 16, machine shared with other work, on {m['processor']}: {rates}.\nThis processor has VNNI; one with AVX2 alone is slower in int8."


def plot(path, work):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "sieve"
    import matplotlib.pyplot as plt
    log = read_log(os.path.join(work, "student.jsonl"))
    fig, (a, b) = plt.subplots(1, 2, figsize=(9, 3.2))
    x = [l["tokens"] / 1e6 for l in log]
    a.plot(x, [l["loss"] for l in log])
    a.set_ylabel("1 - cosine with the teacher, training")
    b.plot(x, [l["held_out"]["mean"] for l in log], label="mean")
    b.plot(x, [l["held_out"]["p01"] for l in log], label="lowest 1 %")
    b.set_ylabel("cosine with the teacher, held out")
    b.legend()
    for c in (a, b):
        c.set_xlabel("million tokens")
        c.grid(alpha=.3)
    fig.tight_layout()
    fig.savefig(path, metadata={"Date": None})


def student(m, judged):
    t, q, c, g = m["training"], m["quality"], m["checks"], m["architecture"]
    h, v = q["cosine_with_minilm_held_out_sentences"], q["cosine_with_minilm_valid"]
    return f"""# student {m['version']}

Sentence vectors, {g['num_hidden_layers']} layers, distilled from MiniLM's (`models/minilm`) for the times when MiniLM is too slow. English, uncased; compare its vectors with its own only.

| | |
| --- | --- |
| architecture | BERT shape: {g['num_hidden_layers']} layers, width {g['hidden_size']}, {g['num_attention_heads']} heads, feed-forward {g['intermediate_size']:,}; mean over the tokens, projection to {g['projection']}, length 1 |
| size | {m['parameters']:,} parameters; {m['files']['encoder.onnx']['bytes']:,} bytes, int8 |
| tokenizer | MiniLM's: WordPiece, uncased, 30,522 tokens |
| trained | {t['tokens']:,} tokens, {t['steps']:,} steps on {t['sentences']:,} sentences, {t['seconds'] / 60:.0f} minutes of a shared machine; seed {t['seed']} |
| licence | Apache-2.0, see `LICENSE` and `NOTICE` |

## Quality

| cosine with MiniLM | mean | lowest 1 % |
| --- | ---: | ---: |
| {q['sentences'][0]:,} held-out training sentences | {h['mean']:.3f} | {h['p01']:.3f} |
| {q['sentences'][1]:,} sentences of `valid-00` | {v['mean']:.3f} | {v['p01']:.3f} |

![training](training.svg)

{HOW}

{retention(judged, {'bm25': 'BM25', 'bm25+document': 'BM25, document', 'table': 'table', 'student': 'student', 'minilm': 'MiniLM', 'bm25+document+table': 'BM25, document, table', 'bm25+document+student': 'BM25, document, student', 'bm25+document+minilm': 'BM25, document, MiniLM'})}

{speeds(m)}

## Checks

int8 with fp32: cosine mean {c['int8_cosine_with_fp32']['mean']:.4f}, lowest {c['int8_cosine_with_fp32']['min']:.4f}; fp32 graph and PyTorch {c['fp32_vs_torch']:.1e}; a row alone and padded among others {c['padding_difference']:.1e}.
Quantisation as in `models/minilm`.

## Limits

Two layers and little training: finer meaning, negation and word order are weaker than in MiniLM. English only.

## Data
{sources()}

## Reproduce

`training/README.md`, section sieve. Seeded; threads and time-based decay make runs equal in kind, not bit for bit.
"""


def table(m, judged, plain):
    t = m["training"]
    other = "" if not plain else f"""
The same, on more questions, for the distilled table, the trained one and their mean, which is shipped:

{retention(plain, {'distilled': 'distilled', 'trained': 'trained', 'half': 'mean', 'bm25+document+distilled': 'BM25, document, distilled', 'bm25+document+trained': 'BM25, document, trained', 'bm25+document+half': 'BM25, document, mean'})}

The mean was chosen on these questions; on other held-out records and questions (`--part tune`) it was again at least as good as the distilled table alone.
"""
    return f"""# table {m['version']}

A static table of token vectors: relevance of a sentence for a question by look-ups. `score = sum over the question's tokens of weight share * max over the sentence's tokens of cosine`. English, uncased.

| | |
| --- | --- |
| made | every token of MiniLM's vocabulary embedded alone (`[CLS] token [SEP]`), principal components: {m['dimension']} of 384; {t['how']} |
| weights | a / (a + p), a = {t['smoothing']}, p the token's share of {t['frequencies_from_tokens']:,} corpus tokens{'; trained' if 'then trained' in t['how'] else ''}; 0 for special tokens |
| files | `vectors.i8` int8 [{m['table']['rows']:,}, {m['table']['dimension']}] row by row, `scales.f16`, `weights.f32`, one number per row, little-endian; a row times its scale is the vector |
| size | {sum(m['files'][n]['bytes'] for n in ('vectors.i8', 'scales.f16', 'weights.f32')):,} bytes |
| tokenizer | MiniLM's: WordPiece, uncased, 30,522 tokens; no special tokens around a text |
| licence | Apache-2.0, see `LICENSE` and `NOTICE` |

## Quality

{HOW}

{retention(judged, {'bm25': 'BM25', 'bm25+document': 'BM25, document', 'table': 'table', 'minilm': 'MiniLM', 'bm25+document+table': 'BM25, document, table', 'bm25+document+minilm': 'BM25, document, MiniLM'})}
{other}
## Limits

No context: a word has one vector, order and negation are not seen. English; other scripts are split into characters. The question's words decide, so it is weak where question and answer share no related word (replies).

## Data
{sources()}

## Reproduce

`training/README.md`, section sieve.
"""


def cross(m, judged):
    t, c = m["training"], m["checks"]
    return f"""# cross {m['version']}

Relevance of a sentence for a question, both read together: a two-layer cross encoder. English, uncased. Compare its scores within one question only.

| | |
| --- | --- |
| architecture | BERT-tiny: 2 layers, width 128, 2 heads, feed-forward 512; logit of the first position |
| size | {m['parameters']:,} parameters; {m['files']['encoder.onnx']['bytes']:,} bytes, int8 |
| start | the SPLADE-tuned BERT-tiny of the PyPI package `{m['source']['package']}` {m['source']['version']} (Apache-2.0), without its word head |
| input | {m['pair']} |
| trained | {t['steps']:,} steps of 8 questions with 16 sentences, out of {t['questions']:,} questions, {t['seconds'] / 60:.0f} minutes of a shared machine; seed {t['seed']} |
| licence | Apache-2.0, see `LICENSE` |

## Quality

{HOW}

{retention(judged, {'bm25+document': 'BM25, document', 'cross': 'cross', 'bm25+document+cross': 'BM25, document, cross', 'bm25+document+minilm': 'BM25, document, MiniLM', 'bm25+document+minilm+cross': 'BM25, document, MiniLM, cross', 'bm25+document+student+cross': 'BM25, document, student, cross', 'bm25+document+table+cross': 'BM25, document, table, cross'})}

{speeds(m)}

## Checks

Rank correlation of int8 and fp32 scores {c['int8_rank_correlation']:.4f}; fp32 graph and PyTorch {c['fp32_vs_torch']:.1e}; a row alone and padded among others {c['padding_difference']:.1e}.

## Limits

Small and trained on few kinds of questions: Wikipedia texts, meetings, documentation. No log, tool or code supervision.

## Data
{sources()}

## Reproduce

`training/README.md`, section sieve.
"""


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--judge", required=True, help="JSON of sieve.judge with the shipped models")
    a.add_argument("--plain", help="JSON of sieve.judge with the arms distilled, trained and half (the mean)")
    a.add_argument("--work", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--only", default="table,student")
    a = a.parse_args()

    def read(path):
        with open(path) as f:
            return json.load(f)

    judged = read(a.judge)
    for name in a.only.split(","):
        folder = os.path.join(a.out, name)
        m = read(os.path.join(folder, "manifest.json"))
        text = table(m, judged, read(a.plain) if a.plain else None) if name == "table" else {"student": student, "cross": cross}[name](m, judged)
        if name == "student":
            plot(os.path.join(folder, "training.svg"), a.work)
        with open(os.path.join(folder, "CARD.md"), "w") as f:
            f.write(text)


if __name__ == "__main__":
    main()
