"""CARD.md, training.svg and LICENSE beside the exported files."""
import json
import os

DATA = [
    ("English prose, documentation, mathematics", "156 MB", "ELTeC and classic books (public domain), Wikipedia extracts by way of wikipedia-movie-data and HippoRAG (CC-BY-SA), World Factbook (CC0), presidential speeches, PEPs, digitalgov and 18F (public domain / CC0), Rust RFCs (MIT or Apache-2.0), EIPs (CC0), Kubernetes KEPs (Apache-2.0), PowerShell-Docs and tldr (CC-BY-4.0), OWASP cheat sheets (CC-BY-SA-4.0), GSM8K train (MIT)"),
    ("code", "38 MB", "CPython library (PSF-2.0), Debian and npm packages (MIT, BSD-3-Clause, Apache-2.0)"),
    ("English dialogue and meetings", "34 MB", "QMSum (MIT; AMI and ICSI CC-BY-4.0), schema-guided dialogue (CC-BY-SA-4.0), Taskmaster (CC-BY-4.0), ethereum/pm (CC-BY-SA-3.0)"),
    ("Chinese", "27 MB", "pingcap/docs-cn (CC-BY-SA-3.0), JavaGuide (Apache-2.0), react.dev (CC-BY-4.0), DRCD and CMRC 2018/2019 (CC-BY-SA), KdConv and CrossWOZ (Apache-2.0)"),
    ("other languages", "15 MB", "ELTeC French, German, Spanish, Portuguese (public domain), react.dev (CC-BY-4.0), tldr (CC-BY-4.0)"),
    ("logs, JSON, tables", "14 MB", "SchemaStore (Apache-2.0), OTRF Security-Datasets (MIT), World Factbook (CC0), fivethirtyeight (CC-BY-4.0), templates of our own"),
]


def read_log(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def plot(out, run):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "scout"
    import matplotlib.pyplot as plt
    fig, (a, b) = plt.subplots(1, 2, figsize=(9, 3.2))
    for name, colour, label in (("log.jsonl", "tab:blue", "constant rate"), ("decay.jsonl", "tab:red", "decay")):
        log = read_log(os.path.join(run, name))
        p = [(x["tokens"] / 1e6, x["mean"]) for x in log if "mean" in x]
        v = [(x["tokens"] / 1e6, x["valid"]["bpb"]) for x in log if "valid" in x]
        if p:
            a.plot(*zip(*p[:: max(1, len(p) // 300)]), color=colour, label=label, linewidth=1)
        if v:
            b.plot(*zip(*v), "o-", color=colour, label=label, markersize=3, linewidth=1)
    a.set_ylabel("training loss, nats per token")
    b.set_ylabel("bits per byte, validation subset")
    a.set_ylim(top=8)
    for x in (a, b):
        x.set_xlabel("million tokens")
        x.grid(alpha=.3)
        x.legend()
    fig.tight_layout()
    fig.savefig(os.path.join(out, "training.svg"), metadata={"Date": None})


def write_card(out, run, m, cfg):
    plot(out, run)
    t, c, r, g = m["training"], m["checks"], m["tokens_per_cpu_second_one_thread"], m["training"]["bits_per_byte_by_group"]
    size = {n: f["bytes"] for n, f in m["files"].items()}
    sub = t["scorer_bits_per_byte_on_subset"]
    text = f"""# scout {m['version']}

A small causal language model for scoring and selecting text on a CPU. Trained from scratch by [`training/`](../../training/README.md).

| | |
| --- | --- |
| architecture | LLaMA: RMSNorm, RoPE (theta {cfg['rope_theta']:.0f}), SwiGLU, tied embeddings, no biases |
| size | {m['parameters']:,} parameters; {cfg['num_hidden_layers']} layers, width {cfg['hidden_size']}, {cfg['num_attention_heads']} heads ({cfg['num_key_value_heads']} for keys and values) of {cfg['head_dim']}, feed-forward {cfg['intermediate_size']} |
| tokenizer | byte-level BPE, {m['vocab_size']} tokens, Llama 3 pre-tokenizer; `<\\|bos\\|>` {m['bos_token_id']}, `<\\|eos\\|>` {m['eos_token_id']}, `<\\|pad\\|>` {m['pad']} |
| context | {m['context_length']} tokens |
| trained on | {t['tokens']:,} tokens, seed {t['seed']} |
| licence | Apache-2.0, see `LICENSE` |

## Files

| file | bytes | what |
| --- | ---: | --- |
| `scorer.onnx` | {size['scorer.onnx']:,} | ids `[B,T]` to surprisal in nats `[B,T]`, {m['precision']['scorer']} |
| `engine.onnx` | {size['engine.onnx']:,} | one decode step with explicit cache, positions, frequencies and masks; computes in fp32 |
| `tokenizer.json` | {size['tokenizer.json']:,} | adds no special token by itself: put {m['bos_token_id']} in front of a text. Decode with `clean_up_tokenization_spaces: false` (`tokenizer_config.json`) |
| `config.json` | {size['config.json']:,} | Hugging Face configuration of the same weights |
| `manifest.json` | | checksums, input and output names and shapes, every number below |

## Quality

Bits per byte on `valid-00` of the corpus ({t['validation_tokens']:,} tokens; documents kept apart, windows of {m['context_length']}, the first token of a document predicted from `<|bos|>`):

| overall | {' | '.join(g)} |
| ---: | {' | '.join('---:' for _ in g)} |
| {t['bits_per_byte']:.3f} | {' | '.join(f'{x:.3f}' for x in g.values())} |

{'The shipped scorer is int8' if m['precision']['scorer'] == 'int8' else 'The shipped scorer is fp32'}. On one subset of those documents: int8 {sub['int8']:.4f}, fp32 {sub['fp32']:.4f} bits per byte; rank correlation of the surprisals {c['int8_rank_correlation']:.5f}, mean absolute difference {c['int8_mean_abs_difference']:.4f} nats.

![training](training.svg)

Phases, mixture and what changed along the way: [`training/README.md`](../../training/README.md). Points of the validation curve are on small subsets, the table above is on all of `valid-00`.

## Checks made at export

| largest difference per token, nats | |
| --- | ---: |
| fp32 scorer and PyTorch | {c['scorer_fp32_vs_torch']:.1e} |
| engine (full attention) and PyTorch | {c['engine_vs_torch']:.1e} |
| engine (full attention) and fp32 scorer | {c['engine_vs_scorer_fp32']:.1e} |
| engine, fed in pieces through the cache, and fp32 scorer | {c['engine_cached_steps_vs_scorer_fp32']:.1e} |
| a row alone and the same row padded among others, fp32 / int8 scorer | {c['padding_fp32']:.1e} / {c['padding_int8']:.1e} |

The exported weights are rounded to float16 first, so the graphs, the Hugging Face folder and the GGUF file hold the same numbers.
The int8 scorer has 7-bit weights (`reduce_range`) per output channel and quantises activations per token, so neither padding, nor another row, nor a later token changes a surprisal.

Tokens per CPU second, one thread, batches of eight, on an AVX2 machine shared with other work: {', '.join(f"{k.replace('_T', ' at length ')} {v:,}" for k, v in r.items())}.

## Limits

- {m['parameters'] / 1e6:.1f} M parameters and {t['tokens'] / 1e6:.1f} M tokens: fluent enough to say which text is predictable, not to answer questions. Generated text is locally plausible and means nothing.
- English first; Chinese, French, German, Spanish and Portuguese are a small part, other languages were hardly seen.
- Not trained on conversations with a system prompt, and not aligned in any way. `<|im_start|>` and `<|im_end|>` exist in the vocabulary and are untrained.
- Surprisal depends on the window: a text scored from its middle on starts with little context.

## Data and licence cautions

| part | size | sources |
| --- | ---: | --- |
{chr(10).join(f'| {a} | {b} | {d} |' for a, b, d in DATA)}

Documents sharing a 13-gram with any evaluation record were removed before training; e-mail addresses were replaced. Names in public specifications and meeting transcripts are kept as published.
Part of the text is under share-alike (CC-BY-SA) or attribution (CC-BY) licences. The weights hold no text, but whoever takes the view that weights derive from their training text should know that. No licence file exists
for classic-books-markdown; only works of authors of the 18th and 19th century were taken from it.

## Reproduce

See `training/README.md`: tokenizer, data, training run, decay branch, export, one command each, seeded. Threads and time-based decay make runs equal in kind, not bit for bit.
"""
    with open(os.path.join(out, "CARD.md"), "w") as f:
        f.write(text)
    with open(os.path.join(out, "LICENSE"), "w") as f:
        f.write("""scout model weights, tokenizer and graphs
Copyright 2026 The Sluice authors

Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in compliance
with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is distributed
on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for
the specific language governing permissions and limitations under the License.

Note on data: the model was trained on openly licensed text, some of it under CC-BY and CC-BY-SA licences. CARD.md
lists the sources by kind with their licences. The training text is not part of these files.
""")
