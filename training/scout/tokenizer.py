"""Train the byte-level BPE tokenizer on a stratified sample of the corpus.

Pre-tokenizer: the Llama 3 regex (digits in groups of one to three), which llama.cpp knows as "llama-bpe".

    python -m scout.tokenizer --corpus DIR --work DIR
"""
import argparse
import os
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import GROUPS, group_of, read, shards

SPECIALS = ["<|pad|>", "<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
PAD, BOS, EOS = 0, 1, 2
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA_CPP_PRE = "llama-bpe"
# Share of the tokenizer's training bytes. Chinese is over-weighted: a character costs three bytes.
SHARES = {"english": .36, "dialogue": .10, "code": .19, "chinese": .19, "other": .08, "records": .08}


def sample(corpus, megabytes, seed):
    want = {g: SHARES[g] * megabytes * 1e6 for g in GROUPS}
    rng = random.Random(seed)
    for path in shards(corpus, "train"):
        if all(v <= 0 for v in want.values()):
            break
        for d in read(path):
            g = group_of(d)
            if want[g] > 0 and rng.random() < 0.7:
                t = d["text"][:12000]
                want[g] -= len(t.encode())
                yield t


def train(corpus, vocab, megabytes, seed):
    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=SPECIALS, show_progress=False,
                                  max_token_length=24,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(sample(corpus, megabytes, seed), trainer)
    return tok


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--vocab", type=int, default=8192)
    a.add_argument("--megabytes", type=float, default=24)
    a.add_argument("--seed", type=int, default=20261121)
    a = a.parse_args()
    os.makedirs(a.work, exist_ok=True)
    tok = train(a.corpus, a.vocab, a.megabytes, a.seed)
    path = os.path.join(a.work, "tokenizer.json")
    tok.save(path)
    print("vocabulary", tok.get_vocab_size(), "->", path)


if __name__ == "__main__":
    main()
