"""python -m unittest discover tests   (in training/; needs no corpus and no package)"""
import os
import sys
import tempfile
import unittest

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from sieve import graphs  # noqa: E402
from sieve.calibrate import levels  # noqa: E402
from sieve.folder import batches, encode, padding_difference, session  # noqa: E402
from sieve.judge import bm25, cross_scores, kept, multi_document, pair, query_terms, terms  # noqa: E402
from sieve.model import Encoder  # noqa: E402
from sieve.pairs import passage_items, heading_items, paragraph_items, reply_items  # noqa: E402
from sieve.records import part_of  # noqa: E402
from sieve.table import late_interaction, pca, read_table, token_weights, write_table  # noqa: E402
from sieve.text import sentence_ranges, sentences  # noqa: E402
from sieve.train_table import item_loss  # noqa: E402

torch.set_num_threads(1)
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2, "layer_norm_eps": 1e-12, "max_position_embeddings": 300, "vocab_size": 500}


def weights(**more):
    torch.manual_seed(5)
    m = Encoder({**SMALL, **more}).eval()
    with torch.no_grad():
        for p in m.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * .1)
        m.words.weight.mul_(40)
    return m, m.export()


def rows(count, longest, seed=2):
    rng = np.random.default_rng(seed)
    return [[101, *rng.integers(105, 500, int(rng.integers(1, longest))), 102] for _ in range(count)]


class Graphs(unittest.TestCase):
    def test_sentence_encoder_equals_torch(self):
        m, w = weights(projection=48)
        x = rows(9, 40)
        ours = encode(session(graphs.sentence_encoder(w, SMALL, int8=False)), x)
        with torch.no_grad():
            theirs = np.concatenate([m(torch.tensor([r]), torch.ones(1, len(r))).numpy() for r in x])
        self.assertEqual(ours.shape, (9, 48))
        self.assertLess(np.abs(ours - theirs).max(), 1e-5)
        self.assertLess(np.abs(np.linalg.norm(ours, axis=1) - 1).max(), 1e-5)

    def test_cross_encoder_equals_torch(self):
        m, w = weights(cross=True)
        question, lines = [200, 201, 202], [r[1:-1] for r in rows(6, 20)]
        ours = cross_scores(session(graphs.cross_encoder(w, SMALL, int8=False)), question, lines)
        for line, score in zip(lines, ours):
            ids, first = pair(question, line)
            with torch.no_grad():
                t = m(torch.tensor([ids]), torch.ones(1, len(ids)), torch.tensor([[0] * first + [1] * (len(ids) - first)]))
            self.assertLess(abs(float(t[0]) - score), 1e-4)

    def test_int8_stays_near_fp32(self):
        m, w = weights()
        x = rows(30, 60)
        exact = encode(session(graphs.sentence_encoder(w, SMALL, int8=False)), x)
        for more in ({}, levels(w, SMALL, rows(20, 40, seed=9))):
            cosine = (encode(session(graphs.sentence_encoder({**w, **more}, SMALL)), x) * exact).sum(1)
            self.assertGreater(cosine.min(), .98)

    def test_rows_depend_neither_on_neighbours_nor_on_padding(self):
        _, w = weights()
        for int8 in (True, False):
            s = session(graphs.sentence_encoder(w, SMALL, int8=int8))
            self.assertLess(padding_difference(s, rows(7, 90)), 1e-6)
            loud = np.array([[101, 110, 111, 102], [101, 499, 499, 102]])
            both = s.run(None, {"input_ids": loud, "attention_mask": np.ones_like(loud)})[0]
            alone = s.run(None, {"input_ids": loud[:1], "attention_mask": np.ones_like(loud[:1])})[0]
            self.assertLess(np.abs(both[0] - alone[0]).max(), 1e-6)
        _, w = weights(cross=True)
        self.assertLess(padding_difference(session(graphs.cross_encoder(w, SMALL)), rows(7, 60), types=True), 1e-5)

    def test_weights_use_seven_bits_per_channel(self):
        a = np.random.default_rng(0).standard_normal((8, 32)).astype(np.float32) * np.logspace(-3, 2, 8, dtype=np.float32)[:, None]
        q, scale = graphs.quantise_rows(a, 63)
        self.assertEqual((np.abs(q).max(1) == 63).all(), True)
        self.assertLess((np.abs(q * scale[:, None] - a) / scale[:, None]).max(), .5001)


class Table(unittest.TestCase):
    def test_file_format(self):
        rng = np.random.default_rng(1)
        v = rng.standard_normal((50, 16)).astype(np.float32) * rng.random((50, 1)).astype(np.float32)
        v[7] = 0
        w = rng.random(50).astype(np.float32)
        with tempfile.TemporaryDirectory() as d:
            write_table(d, v, w)
            self.assertEqual([os.path.getsize(os.path.join(d, n)) for n in ("vectors.i8", "scales.f16", "weights.f32")], [800, 100, 200])
            back, again = read_table(d, 50, 16)
        self.assertTrue(np.array_equal(again, w))
        self.assertLess(np.abs(back - v).max(), .02)
        self.assertEqual(np.abs(back[7]).max(), 0)

    def test_late_interaction(self):
        v = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]] * 3
        w = np.array([0, 1, 3, 1, 1], np.float32)
        got = late_interaction(v, w, [0, 1, 2], [[1, 3], [2], [], [3, 2, 1]])
        self.assertTrue(np.allclose(got, [.25, .75, 0, 1]))

    def test_training_computes_the_same_scores(self):
        rng = np.random.default_rng(4)
        v, w = rng.standard_normal((60, 8)).astype(np.float32), rng.random(60).astype(np.float32)
        q, s = [3, 4, 5, 3], [[6, 7], [8, 9, 10, 3], [11]]
        score = 5 * late_interaction(v, w, q, s)
        want = np.log(np.exp(score).sum()) - score[1]
        got = item_loss(torch.nn.functional.normalize(torch.from_numpy(v), dim=-1), torch.from_numpy(w), ("", q, s, [1]), torch.tensor(5.0))
        self.assertAlmostEqual(float(got), float(want), places=4)

    def test_weights_and_components(self):
        ids = np.array([1000] * 99 + [1001] + [101] * 500)
        w = token_weights(ids, 1003)
        self.assertEqual(w[101], 0)
        self.assertLess(w[1000], w[1001])
        self.assertEqual(w[1002], 1)
        x = np.random.default_rng(3).standard_normal((200, 6)).astype(np.float32) * [9, 5, 1, 1, 1, .1]
        y, kept_share = pca(x, 2)
        self.assertGreater(kept_share, .9)
        self.assertLess(abs(np.corrcoef(y.T)[0, 1]), 1e-3)


class Text(unittest.TestCase):
    def test_sentences_cover_the_text(self):
        text = "# Title\n\nDr. Smith met J. Doe. They spoke at 3.5 km! Was it so?\n- one item\n- another item\n\nA line that goes on for a while and wraps\nhere. The end"
        ranges = sentence_ranges(text)
        self.assertEqual("".join(text[a:b] for a, b in ranges), text)
        self.assertEqual(sentences(text), ["# Title", "Dr. Smith met J. Doe.", "They spoke at 3.5 km!", "Was it so?", "- one item", "- another item",
                                           "A line that goes on for a while and wraps\nhere.", "The end"])

    def test_batches_have_one_length(self):
        lengths = [3, 5, 3, 3, 5, 9]
        got = list(batches(lengths, 2))
        self.assertEqual(sorted(i for b in got for i in b), list(range(6)))
        self.assertTrue(all(len({lengths[i] for i in b}) == 1 and len(b) <= 2 for b in got))


class Judging(unittest.TestCase):
    def test_budget(self):
        self.assertEqual(kept(np.array([3., 2, 1, 0]), [5, 9, 2, 4], .4), {0, 2})

    def test_bm25_prefers_the_rare_word(self):
        units = [terms(t) for t in ("the river runs", "the treaty was signed in 1648", "the river bends")]
        self.assertEqual(int(bm25(units, query_terms("When was the treaty signed?")).argmax()), 1)

    def test_gold_of_multi_document_items_is_the_gold_text(self):
        records = [{"source": "squad", "question": f"What is word{i} of town{i}?", "text": f"Filler stands here. In town{i} it is word{i}. More filler.",
                    "gold": [[20, 41]]} for i in range(14)]
        for i, item in enumerate(multi_document(records, records, np.random.default_rng(0))):
            self.assertEqual([item["sentences"][g] for g in item["gold"]], [f"In town{i} it is word{i}."])
            self.assertEqual(len(item["documents"]), len(item["sentences"]))
            self.assertTrue(5 <= len(set(item["documents"])) <= 10)

    def test_a_text_stands_in_one_part(self):
        self.assertEqual({part_of(f"text {i}") for i in range(500)}, {"train", "tune", "test"})


class Pairs(unittest.TestCase):
    def test_headings_paragraphs_and_replies(self):
        rng = np.random.default_rng(0)
        part = "\n\n".join(f"## About the subject {n}\n\n" + " ".join(f"Sentence {k} of part {n} says something of its own." for k in range(4)) for n in range(5))
        for item in heading_items(part, rng):
            n = item["query"].split()[-1]
            self.assertTrue(all(f"of part {n} " in item["sentences"][g] for g in item["gold"]))
        found = list(paragraph_items(part, rng))
        self.assertEqual(len(found), 1)
        self.assertNotIn(found[0]["query"], found[0]["sentences"])
        talk = "\n".join(f"Speaker {'AB'[n % 2]}: this is turn number {n} of a longer conversation" for n in range(40))
        for item in reply_items(talk, rng):
            n = int(item["query"].split()[4])
            self.assertIn(f"number {n + 1} of", item["sentences"][item["gold"][0]])

    def test_hops_join_two_texts(self):
        texts = [(f"Film Number {i}", f"Film Number {i} is a picture directed by Ann Writer{i % 7}. It was shown in many places during that year.") for i in range(60)]
        found = [i for i in passage_items(texts, np.random.default_rng(1), 20) if i["kind"] == "hops"]
        self.assertGreater(len(found), 5)
        for item in found:
            self.assertGreaterEqual(len({item["documents"][g] for g in item["gold"]}), 2)


if __name__ == "__main__":
    unittest.main()
