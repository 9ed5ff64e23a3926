"""python -m unittest discover tests   (in training/; needs no corpus and no package)"""
import collections
import os
import sys
import unittest

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from keep.export import padding, token_classifier, weights_of  # noqa: E402
from keep.labels import Words, base, record_rows, turn_rows  # noqa: E402
from keep.train import Keep  # noqa: E402
from sieve.folder import session  # noqa: E402

torch.set_num_threads(1)
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2, "layer_norm_eps": 1e-12, "max_position_embeddings": 300, "vocab_size": 500}
COMMON = "the of and a in to is was it that not he by at".split()
WORDS = Words(collections.Counter({**{w: 5000 - i for i, w in enumerate(COMMON)}, **{f"w{i}": 900 for i in range(300)}, "charter": 3, "house": 800}))


def at(text, targets, word):
    i = text.index(word)
    return targets[i: i + len(word)]


class Labels(unittest.TestCase):
    def test_what_counts(self):
        text = "It was not signed by the University of Notre Dame in 1962, by user_id or charter."
        t = base(text, WORDS, {"signed"})
        for word, value in (("was", .02), ("not", .4), ("signed", .45), ("University of Notre Dame", .6), ("1962", .6), ("user_id", .6), ("in", .02), (",", .02)):
            self.assertTrue(np.allclose(at(text, t, word), value), (word, at(text, t, word)))
        self.assertGreater(at(text, t, "charter").min(), .1)
        self.assertLess(at(text, t, "charter").max(), .36)

    def test_a_first_word_is_no_name_because_it_is_first(self):
        text = "House was sold. The Charter was not."
        t = base(text, WORDS)
        self.assertLess(at(text, t, "House").max(), .6)
        self.assertLess(at(text, t, "The").max(), .1)
        self.assertTrue(np.allclose(at(text, t, "Charter"), .6))

    def test_answers_and_words_of_the_question(self):
        text = "he was born in the old house. it is a charter."
        a = text.index("old house")
        record = {"source": "squad", "question": "Where was he born?", "text": text, "gold": [[0, 29]], "answers": [[a, a + 9]]}
        (_, t, weight), *more = record_rows([record], WORDS)
        self.assertEqual((weight, len(more)), (2, 5))
        self.assertTrue(np.allclose(at(text, t, "old house"), 1))
        self.assertTrue(np.allclose(at(text, t, "born"), .6))
        self.assertLess(at(text, t, "charter").max(), .2)

    def test_guessed_answers_are_not_in_the_question(self):
        text = "In 1934 the Charter Hall was sold by Old Smith to Mary Jones."
        record = {"source": "selqa", "question": "Who did Old Smith sell it to?", "text": text, "gold": [[0, len(text)]], "answers": []}
        (_, t, _), *_ = record_rows([record], WORDS)
        self.assertTrue(np.allclose(at(text, t, "Mary Jones"), .8))
        self.assertTrue(np.allclose(at(text, t, "Old Smith"), .6))
        (_, t, _), *_ = record_rows([{**record, "question": "When was it sold?"}], WORDS)
        self.assertTrue(np.allclose(at(text, t, "1934"), .8))
        self.assertLess(at(text, t, "Mary Jones").max(), .7)

    def test_what_a_later_turn_takes_up_counts(self):
        text = "User: find me some burgers downtown please\nAssistant: here are burgers for you and more"
        (turn, t, _), *_ = turn_rows([text], WORDS, 5)
        self.assertTrue(np.allclose(at(turn, t, "burgers"), .8))
        self.assertLess(at(turn, t, "downtown").max(), .4)


class Graph(unittest.TestCase):
    def test_graph_equals_torch_and_rows_stand_alone(self):
        torch.manual_seed(4)
        m = Keep(SMALL).eval()
        with torch.no_grad():
            m.body.words.weight.mul_(40)
        rng = np.random.default_rng(2)
        rows = [[101, *rng.integers(105, 500, int(n)), 102] for n in rng.integers(1, 60, 7)]
        w = weights_of(m)
        exact, small = session(token_classifier(w, SMALL, int8=False)), session(token_classifier(w, SMALL))
        for r in rows:
            x = np.array([r], np.int64)
            with torch.no_grad():
                theirs = m(torch.from_numpy(x), torch.ones(1, len(r))).numpy()
            ours = exact.run(None, {"input_ids": x, "attention_mask": np.ones_like(x)})[0]
            self.assertEqual(ours.shape, (1, len(r), 2))
            self.assertLess(np.abs(ours - theirs).max(), 1e-4)
        for s in (exact, small):
            self.assertLess(padding(s, rows), 1e-5)


if __name__ == "__main__":
    unittest.main()
