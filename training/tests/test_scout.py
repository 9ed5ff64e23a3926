"""python -m unittest discover tests   (in training/; needs no corpus)"""
import os
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from scout import graphs  # noqa: E402
from scout.corpus import GROUPS  # noqa: E402
from scout.data import Stream  # noqa: E402
from scout.export import dump, engine_nll, hf_config, load_shipped, plain_feed, reference  # noqa: E402
from scout.model import Scout, preset  # noqa: E402

torch.set_num_threads(1)
CFG = {**preset("cpu")["model"], "vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}


def model():
    torch.manual_seed(3)
    m = Scout(CFG)
    with torch.no_grad():
        for p in m.parameters():
            p.copy_((p * 3 if p.dim() == 2 else p).half().float())
    return m.eval()


def run(proto):
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    return ort.InferenceSession(proto.SerializeToString(), o, providers=["CPUExecutionProvider"])


class Loss(unittest.TestCase):
    def test_chunked_loss_has_the_gradient_of_cross_entropy(self):
        m, x = model(), torch.randint(0, 300, (3, 41))
        y = x.roll(-1, 1)
        m.loss_sum(x, y, chunk=17).backward()
        a = {n: p.grad.clone() for n, p in m.named_parameters()}
        m.zero_grad()
        F.cross_entropy(m(x).view(-1, 300), y.view(-1), reduction="sum").backward()
        for n, p in m.named_parameters():
            self.assertTrue(torch.allclose(a[n], p.grad, rtol=1e-3, atol=1e-3), n)


class Data(unittest.TestCase):
    def test_stream_resumes_where_it_stopped(self):
        with tempfile.TemporaryDirectory() as d:
            for i, g in enumerate(GROUPS):
                (np.arange(5000, dtype=np.uint16) + i * 6000).tofile(os.path.join(d, f"train-{g}.bin"))
            mix = dict.fromkeys(GROUPS, 1)
            one, two = Stream(d, mix, 1), Stream(d, mix, 1)
            for s in range(5):
                one.batch(s, 7, 512)
                two.batch(s, 7, 512)
            three = Stream(d, mix, 1, dict(two.cursors))
            for s, length in ((5, 512), (6, 1024)):
                self.assertTrue(np.array_equal(one.batch(s, 7, length), three.batch(s, 7, length)))


class Graphs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.m = model()
        w = {k: p.numpy() for k, p in cls.m.state_dict().items()}
        cls.f32, cls.i8, cls.eng = run(graphs.scorer(w, CFG)), run(graphs.scorer(w, CFG, int8=True)), run(graphs.engine(w, CFG))
        cls.x = np.random.default_rng(1).integers(0, 300, (3, 261)).astype(np.int64)

    def test_scorer_and_engine_agree_with_torch(self):
        ref = reference(self.m, self.x)
        self.assertLess(np.abs(self.f32.run(None, {"ids": self.x})[0] - ref).max(), 1e-3)
        self.assertLess(np.abs(engine_nll(self.eng, CFG, self.x, [261]) - ref).max(), 1e-3)
        self.assertLess(np.abs(engine_nll(self.eng, CFG, self.x, [100, 160, 1]) - ref).max(), 1e-3)

    def test_rows_and_later_tokens_do_not_matter(self):
        for s in (self.f32, self.i8):
            full = s.run(None, {"ids": self.x})[0]
            for n in (1, 2, 64, 127, 128, 129, 200):
                self.assertTrue(np.array_equal(s.run(None, {"ids": self.x[1:2, :n]})[0][0], full[1, :n]), n)

    def test_second_positions_are_used_where_selected(self):
        empty = np.zeros((2, 1, 2, 0, 32), np.float32)
        f = plain_feed(CFG, self.x[:1, :40], empty, empty)
        z = self.eng.run(None, f)[0]
        moved = dict(f, query_positions=f["query_positions"] * 0, query_positions_2=f["query_positions"] + 5,
                     key_positions_2=f["key_positions"] + 5, select=np.ones((1, 1, 1, 1), np.float32))
        self.assertLess(np.abs(self.eng.run(None, moved)[0] - z).max(), 1e-3)
        last = self.eng.run(None, dict(f, logits_from=np.array([-1], np.int64)))[0]
        self.assertEqual(last.shape, (1, 1, 300))
        self.assertLess(np.abs(last[0, 0] - z[0, -1]).max(), 1e-4)

    def test_weights_come_back_from_the_exported_engine(self):
        m = model()
        with tempfile.TemporaryDirectory() as d:
            onnx.save(graphs.engine({k: p.numpy() for k, p in m.state_dict().items()}, CFG), os.path.join(d, "engine.onnx"))
            dump(os.path.join(d, "config.json"), hf_config(CFG, CFG["max_position_embeddings"]))
            dump(os.path.join(d, "manifest.json"), {"training": {"tokens": 5}})
            back, cfg = load_shipped(d)
        self.assertEqual(cfg, CFG)
        for k, p in m.state_dict().items():
            self.assertTrue(torch.equal(p, back.state_dict()[k]), k)


if __name__ == "__main__":
    unittest.main()
