"""BERT-shaped encoders as ONNX graphs, written node by node.

sentence encoder   input_ids, attention_mask [b,n] -> vectors [b,d]: mean over the mask, projected where the model has a
                   projection, length 1; token types are 0
cross encoder      the same and token_type_ids [b,n] -> scores [b]: relevance logit of the first position

Only ai.onnx operators (opset 21). Weights are 7-bit integers per output channel (reduce_range: no saturation without VNNI),
activations are quantised per token, embeddings are 8-bit integers with one scale per row. A row must not depend on the rows
beside it nor on its padding: integer products are exact, and the two sums over positions (attention, pooling) are matrix
products whose padded terms are zeros at the end, not a Softmax or a mean whose order of adding depends on the length.
"""
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from scout.graphs import FLOAT, INT64, IR, OPSET, Graph

HIDDEN = -1e9


class Encoder(Graph):
    """cfg: hidden_size, num_hidden_layers, num_attention_heads, layer_norm_eps; weights under their Hugging Face names, and
    NAME.level of calibrate.py for the inputs that are levelled before they are quantised (SmoothQuant, 2211.10438)."""

    def linear(self, x, name):
        """x [rows,in] -> [rows,out], with bias."""
        array, bias = self.w[name + ".weight"], self.w[name + ".bias"]
        if not self.int8:
            return self.op("Add", self.op("MatMul", x, self.plain(name + ".t", np.ascontiguousarray(array.T))), self.plain(name + ".bias", bias))
        level = self.w.get(name + ".level")
        if level is not None:    # loud input channels are made quieter, their weights louder: both then round better
            x, array = self.op("Mul", x, self.plain(name + ".level", 1 / level)), array * level
        q, s = self.quantised(x)
        values, scale = quantise_rows(array, 63)
        self.inits.append(numpy_helper.from_array(np.ascontiguousarray(values.T), name + ".i8"))
        y = self.op("Cast", self.op("MatMulInteger", q, name + ".i8", self.const(128, np.uint8)), to=FLOAT)
        y = self.op("Mul", self.op("Mul", y, self.plain(name + ".scale", scale)), s)
        return self.op("Add", y, self.plain(name + ".bias", bias))

    def plain(self, name, array):
        if name not in self.known:
            self.inits.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
            self.known[name] = name
        return name

    def quantised(self, x):
        """Per token: u8 = round(x / s) + 128 with s = max|x| / 127."""
        s = self.op("Mul", self.op("ReduceMax", self.op("Abs", x), self.i64(-1), keepdims=1), self.f32(1 / 127))
        s = self.op("Max", s, self.f32(1e-12))
        flat = self.op("Squeeze", s, self.i64(1))
        zero = self.op("Expand", self.const(128, np.uint8), self.op("Shape", flat))
        return self.op("QuantizeLinear", x, flat, zero, axis=0), s

    def norm(self, x, name):
        return self.op("LayerNormalization", x, self.plain(name + ".weight", self.w[name + ".weight"]), self.plain(name + ".bias", self.w[name + ".bias"]),
                       axis=-1, epsilon=self.c["layer_norm_eps"])

    def embed(self, types):
        """-> [b*n, hidden]"""
        name = "embeddings.word_embeddings.weight"
        ids = self.op("Reshape", "input_ids", self.i64(-1))
        if self.int8:
            values, scale = quantise_rows(self.w[name], 127)
            self.inits += [numpy_helper.from_array(values, "words.i8"), numpy_helper.from_array(scale[:, None], "words.scale")]
            x = self.op("Mul", self.op("Cast", self.op("Gather", "words.i8", ids), to=FLOAT), self.op("Gather", "words.scale", ids))
        else:
            x = self.op("Gather", self.plain(name, self.w[name]), ids)
        place, kinds = self.w["embeddings.position_embeddings.weight"][: self.c["max_position_embeddings"]], self.w["embeddings.token_type_embeddings.weight"]
        length = self.op("Shape", "input_ids", start=1, end=2)
        rest = self.op("Slice", self.plain("places", place + (0 if types else kinds[0])), self.i64(0), length, self.i64(0))
        if types:
            rest = self.op("Add", rest, self.op("Gather", self.plain("kinds", kinds), "token_type_ids"))
        x = self.op("Add", self.op("Reshape", x, self.shape), rest)
        return self.norm(self.op("Reshape", x, self.i64(-1, self.c["hidden_size"])), "embeddings.LayerNorm")

    def attention(self, x, l):
        p, h = f"encoder.layer.{l}.attention.", self.c["num_attention_heads"]
        d = self.c["hidden_size"] // h
        for kind in ("weight", "bias"):
            parts = [self.w[f"{p}self.{n}.{kind}"] for n in ("query", "key", "value")]
            self.w[f"{p}self.qkv.{kind}"] = np.concatenate([parts[0] * d ** -0.5, *parts[1:]])
        if f"{p}self.query.level" in self.w:
            self.w[f"{p}self.qkv.level"] = self.w[f"{p}self.query.level"]
        y = self.op("Reshape", self.linear(x, p + "self.qkv"), self.op("Concat", self.size, self.i64(3, h, d), axis=0))
        y = self.op("Transpose", y, perm=[2, 0, 3, 1, 4])
        q, k, v = (self.op("Squeeze", z, self.i64(0)) for z in self.op("Split", y, outputs=3, axis=0, num_outputs=3))
        s = self.op("Add", self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2])), self.mask)
        s = self.op("Exp", self.op("Sub", s, self.op("ReduceMax", s, self.i64(-1), keepdims=1)))
        # the sum over the keys stands in the last column of the product with [v, 1]
        y = self.op("MatMul", s, self.op("Concat", v, self.ones, axis=-1))
        y, total = self.op("Split", y, self.i64(d, 1), outputs=2, axis=-1)
        y = self.op("Transpose", self.op("Div", y, total), perm=[0, 2, 1, 3])
        y = self.op("Reshape", y, self.i64(-1, self.c["hidden_size"]))
        y = self.linear(y, p + "output.dense")
        return self.norm(self.op("Add", x, y), p + "output.LayerNorm")

    def feed_forward(self, x, l):
        p = f"encoder.layer.{l}."
        y = self.op("Gelu", self.linear(x, p + "intermediate.dense"))
        y = self.linear(y, p + "output.dense")
        return self.norm(self.op("Add", x, y), p + "output.LayerNorm")

    def hidden(self, types=False):
        """-> last hidden states [b,n,hidden]"""
        h = self.c["num_attention_heads"]
        self.size = self.op("Shape", "input_ids")
        self.shape = self.op("Concat", self.size, self.i64(self.c["hidden_size"]), axis=0)
        seen = self.op("Cast", "attention_mask", to=FLOAT)
        self.seen = self.op("Unsqueeze", seen, self.i64(1))                                            # [b,1,n]
        self.mask = self.op("Unsqueeze", self.op("Mul", self.op("Sub", self.f32(1), seen), self.f32(HIDDEN)), self.i64(1, 2))
        one = self.op("Concat", self.op("Slice", self.size, self.i64(0), self.i64(1)), self.i64(h), self.op("Slice", self.size, self.i64(1), self.i64(2)), self.i64(1), axis=0)
        self.ones = self.op("Expand", self.f32(1), one)
        x = self.embed(types)
        for l in range(self.c["num_hidden_layers"]):
            x = self.feed_forward(self.attention(x, l), l)
        return self.op("Reshape", x, self.shape)

    def unit(self, x, out):
        length = self.op("Sqrt", self.op("ReduceSum", self.op("Mul", x, x), self.i64(-1), keepdims=1))
        return self.op("Div", x, self.op("Max", length, self.f32(1e-12)), out=out)

    def finished(self, name, inputs, outputs, doc):
        g = helper.make_graph(self.nodes, name, [helper.make_tensor_value_info(n, INT64, ["b", "n"]) for n in inputs], outputs, self.inits, doc_string=doc)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="sluice training/sieve")
        checker.check_model(m)
        return m


def quantise_rows(array, top):
    """float [rows, n] -> (int8 in [-top, top], float32 scale per row)"""
    scale = np.maximum(np.abs(array).max(1), 1e-12).astype(np.float32) / top
    return np.clip(np.round(array / scale[:, None]), -top, top).astype(np.int8), scale


def sentence_encoder(weights, cfg, int8=True):
    g = Encoder(dict(weights), cfg, int8)
    x = g.hidden()
    count = g.op("Squeeze", g.op("ReduceSum", g.seen, g.i64(-1), keepdims=1), g.i64(1))
    x = g.op("Div", g.op("Squeeze", g.op("MatMul", g.seen, x), g.i64(1)), g.op("Max", count, g.f32(1)))
    if "projection.weight" in weights:
        x = g.op("MatMul", x, g.plain("projection.t", weights["projection.weight"].T))
    g.unit(x, "vectors")
    d = weights["projection.weight"].shape[0] if "projection.weight" in weights else cfg["hidden_size"]
    return g.finished("sentence_encoder", ("input_ids", "attention_mask"), [helper.make_tensor_value_info("vectors", FLOAT, ["b", d])],
                      "One vector of length 1 per row; rows do not depend on each other nor on padding.")


def cross_encoder(weights, cfg, int8=True):
    g = Encoder(dict(weights), cfg, int8)
    x = g.op("Squeeze", g.op("Slice", g.hidden(types=True), g.i64(0), g.i64(1), g.i64(1)), g.i64(1))
    x = g.op("Tanh", g.op("Gemm", x, g.plain("pooler", weights["pooler.dense.weight"]), g.plain("pooler.b", weights["pooler.dense.bias"]), transB=1))
    x = g.op("Gemm", x, g.plain("classifier", weights["classifier.weight"]), g.plain("classifier.b", weights["classifier.bias"]), transB=1)
    g.op("Squeeze", x, g.i64(1), out="scores")
    return g.finished("cross_encoder", ("input_ids", "attention_mask", "token_type_ids"), [helper.make_tensor_value_info("scores", FLOAT, ["b"])],
                      "Relevance logit of (question, sentence); rows do not depend on each other nor on padding.")
