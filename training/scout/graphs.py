"""The two ONNX graphs, written node by node.

scorer   ids [B,T] -> nll [B,T]: surprisal of token i given the tokens before it; position 0 is 0.
engine   one decode step with everything explicit: past keys before rotation, positions, frequencies, masks are inputs.

Only ai.onnx operators (opset 21) are used. Weights are stored as float16 with a Cast in front (the exported weights are
rounded to float16 first, so nothing is lost) or, in the int8 scorer, as 7-bit integers (reduce_range) per output channel
with activations quantised per token: no row, and no later token, can change the numbers of another.
"""
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

OPSET, IR = 21, 10
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
CHUNK = 64     # rows per log-softmax chunk of the scorer
BLOCK = 128    # queries per attention block of the scorer


class Graph:
    def __init__(self, weights, cfg, int8=False):
        self.w, self.c, self.int8 = weights, cfg, int8
        self.nodes, self.inits, self.known, self.count = [], [], {}, 0

    # -- building blocks
    def const(self, value, dtype=None):
        a = np.asarray(value, dtype=dtype)
        key = (a.dtype.str, a.shape, a.tobytes())
        if key not in self.known:
            self.known[key] = f"c{len(self.known)}"
            self.inits.append(numpy_helper.from_array(a, self.known[key]))
        return self.known[key]

    def i64(self, *v):
        return self.const(v, np.int64)

    def f32(self, v):
        return self.const(v, np.float32)

    def op(self, kind, *inputs, out=None, outputs=1, **attr):
        self.count += 1
        names = [out] if out else [f"t{self.count}" + ("" if outputs == 1 else f"_{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"n{self.count}_{kind}", **attr))
        return names[0] if outputs == 1 else names

    def half(self, name, array):
        """A float32 constant stored as float16."""
        if name not in self.known:
            h = array.astype(np.float16)
            assert np.array_equal(h.astype(np.float32), array), name + " is not exact in float16"
            self.inits.append(numpy_helper.from_array(h, name + ".f16"))
            self.nodes.append(helper.make_node("Cast", [name + ".f16"], [name], to=FLOAT, name="cast_" + name))
            self.known[name] = name
        return name

    def norm(self, x, name):
        v = self.op("ReduceMean", self.op("Mul", x, x), self.i64(-1), keepdims=1)
        r = self.op("Sqrt", self.op("Add", v, self.f32(self.c["rms_norm_eps"])))
        return self.op("Mul", self.op("Div", x, r), self.half(name, self.w[name]))

    def quantise(self, x):
        """Per token: u8 = round(x / s) + 128, s = max|x| / 127."""
        s = self.op("Mul", self.op("ReduceMax", self.op("Abs", x), self.i64(-1), keepdims=1), self.f32(1 / 127))
        s = self.op("Max", s, self.f32(1e-12))
        q = self.op("Add", self.op("Round", self.op("Div", x, s)), self.f32(128))
        return self.op("Cast", q, to=TensorProto.UINT8), s

    def matmul(self, x, name, array):
        """x @ array.T; array [out, in]. x is a float name, or (u8, scale) from quantise."""
        if not self.int8:
            return self.op("MatMul", x, self.half(name, np.ascontiguousarray(array.T)))
        q, s = x
        scale = np.maximum(np.abs(array).max(1), 1e-12) / 63          # reduce_range: seven bits, no saturation without VNNI
        if name not in self.known:
            v = np.clip(np.round(array / scale[:, None]), -64, 63).astype(np.int8)
            self.inits.append(numpy_helper.from_array(np.ascontiguousarray(v.T), name + ".i8"))
            self.inits.append(numpy_helper.from_array(scale.astype(np.float32), name + ".scale"))
            self.known[name] = name
        y = self.op("MatMulInteger", q, name + ".i8", self.const(128, np.uint8))
        return self.op("Mul", self.op("Mul", self.op("Cast", y, to=FLOAT), name + ".scale"), s)

    def ready(self, x):
        return self.quantise(x) if self.int8 else x

    def heads(self, x, n):
        """[B,T,n*d] -> [B,n,T,d]"""
        return self.op("Transpose", self.op("Reshape", x, self.i64(0, 0, n, self.c["head_dim"])), perm=[0, 2, 1, 3])

    def rotate(self, x, cos, sin):
        d = self.c["head_dim"]
        a, b = self.op("Split", x, self.i64(d // 2, d // 2), outputs=2, axis=-1)
        return self.op("Concat", self.op("Sub", self.op("Mul", a, cos), self.op("Mul", b, sin)),
                       self.op("Add", self.op("Mul", b, cos), self.op("Mul", a, sin)), axis=-1)

    def grouped(self, q):
        """[B,H,T,d] -> [B,KV,H/KV*T,d]: query heads of one group share a matrix product, keys are not repeated."""
        return self.op("Reshape", q, self.i64(0, self.c["num_key_value_heads"], -1, self.c["head_dim"]))

    def qkv(self, p):
        w = self.w
        return np.concatenate([w[p + "self_attn.q_proj.weight"], w[p + "self_attn.k_proj.weight"], w[p + "self_attn.v_proj.weight"]])

    def project(self, x, l):
        c, p = self.c, f"model.layers.{l}."
        h, kv, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        y = self.matmul(self.ready(self.norm(x, p + "input_layernorm.weight")), p + "qkv", self.qkv(p))
        q, k, v = self.op("Split", y, self.i64(h * d, kv * d, kv * d), outputs=3, axis=-1)
        return self.heads(q, h), self.heads(k, kv), self.heads(v, kv)

    def finish(self, x, y, l):
        """attention output [B,H,T,d] -> residual, then the feed-forward block"""
        c, p, w = self.c, f"model.layers.{l}.", self.w
        m = c["intermediate_size"]
        y = self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1, 3]), self.i64(0, 0, c["num_attention_heads"] * c["head_dim"]))
        x = self.op("Add", x, self.matmul(self.ready(y), p + "o", w[p + "self_attn.o_proj.weight"]))
        h = self.matmul(self.ready(self.norm(x, p + "post_attention_layernorm.weight")), p + "gate_up",
                        np.concatenate([w[p + "mlp.gate_proj.weight"], w[p + "mlp.up_proj.weight"]]))
        g, u = self.op("Split", h, self.i64(m, m), outputs=2, axis=-1)
        h = self.op("Mul", self.op("Mul", g, self.op("Sigmoid", g)), u)
        return self.op("Add", x, self.matmul(self.ready(h), p + "down", w[p + "mlp.down_proj.weight"]))

    def model(self, name, inputs, outputs, doc):
        used = {i for n in self.nodes for i in n.input} | {i for n in self.nodes for a in n.attribute if a.g.node for m in a.g.node for i in m.input}
        g = helper.make_graph(self.nodes, name, inputs, outputs, [t for t in self.inits if t.name in used], doc_string=doc)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="sluice training/scout")
        checker.check_model(m)
        return m


def scorer(weights, cfg, int8=False):
    g = Graph(weights, cfg, int8)
    c, kv = cfg, cfg["num_key_value_heads"]
    h, d = c["num_attention_heads"], c["head_dim"]
    T = g.op("Shape", "ids", start=1, end=2)
    scalar = g.op("Squeeze", T, g.i64(0))
    pos = g.op("Range", g.const(0, np.int64), scalar, g.const(1, np.int64))
    row = g.op("Unsqueeze", pos, g.i64(1))
    angle = g.op("Mul", g.op("Cast", row, to=FLOAT), g.f32(1.0 / c["rope_theta"] ** (np.arange(0, d, 2, dtype=np.float64) / d)))
    cos, sin = g.op("Cos", angle), g.op("Sin", angle)
    # attention in blocks of BLOCK queries against the keys up to the block's end: half the work, and every product has a
    # shape that depends on the block only, so a surprisal is the same to the bit whatever follows or stands beside it
    group = h // kv
    blocks = g.op("Div", g.op("Add", T, g.i64(BLOCK - 1)), g.i64(BLOCK))
    whole = g.op("Mul", blocks, g.i64(BLOCK))
    tail = g.op("Concat", g.i64(0, 0, 0, 0, 0, 0), g.op("Sub", whole, T), g.i64(0), axis=0)
    far = g.op("Range", g.const(0, np.int64), g.op("Squeeze", whole, g.i64(0)), g.const(1, np.int64))
    mask = g.op("Where", g.op("LessOrEqual", g.op("Unsqueeze", far, g.i64(0)), g.op("Unsqueeze", far, g.i64(1))), g.f32(0), g.f32(-1e9))
    mask = g.op("Tile", g.op("Reshape", mask, g.op("Concat", blocks, g.i64(BLOCK), whole, axis=0)), g.i64(1, group, 1))   # [n,G*b,T']
    ends = g.op("Unsqueeze", g.op("Slice", far, g.i64(BLOCK - 1), g.i64(2 ** 31), g.i64(0), g.i64(BLOCK)), g.i64(1))
    ends = g.op("Add", ends, g.i64(1))                                                                                # [n,1]
    B = g.op("Shape", "ids", start=0, end=1)
    split = g.op("Concat", B, g.i64(kv, group), blocks, g.i64(BLOCK, d), axis=0)
    rows = g.op("Concat", blocks, B, g.i64(kv, group * BLOCK, d), axis=0)
    parts = g.op("Concat", blocks, B, g.i64(kv, group, BLOCK, d), axis=0)
    heads = g.op("Concat", B, g.i64(h), whole, g.i64(d), axis=0)
    embed = g.w["model.embed_tokens.weight"]
    if int8:
        # one table for input and head: 7 bits per row; the rows are rescaled after the lookup
        scale = np.maximum(np.abs(embed).max(1), 1e-12) / 63
        v = np.clip(np.round(embed / scale[:, None]), -64, 63).astype(np.int8)
        g.inits += [numpy_helper.from_array(np.ascontiguousarray(v.T), "embed.i8"), numpy_helper.from_array(scale.astype(np.float32), "embed.scale")]
        x = g.op("Transpose", g.op("Cast", g.op("Gather", "embed.i8", "ids", axis=1), to=FLOAT), perm=[1, 2, 0])
        x = g.op("Mul", x, g.op("Unsqueeze", g.op("Gather", "embed.scale", "ids"), g.i64(-1)))
    else:
        x = g.op("Gather", g.half("model.embed_tokens.weight", embed), "ids")
    for l in range(c["num_hidden_layers"]):
        q, k, v = g.project(x, l)
        q = g.op("Pad", g.op("Mul", g.rotate(q, cos, sin), g.f32(d ** -0.5)), tail)
        k = g.op("Transpose", g.op("Pad", g.rotate(k, cos, sin), tail), perm=[0, 1, 3, 2])
        v = g.op("Pad", v, tail)
        q = g.op("Reshape", g.op("Transpose", g.op("Reshape", q, split), perm=[3, 0, 1, 2, 4, 5]), rows)
        b = Graph(weights, cfg)
        b.known, b.count = g.known, (l + 2) * 10 ** 6
        z = b.op("MatMul", f"q_{l}", b.op("Slice", k, b.i64(0), f"end_{l}", b.i64(3)))
        z = b.op("Softmax", b.op("Add", z, b.op("Slice", f"mask_{l}", b.i64(0), f"end_{l}", b.i64(1))), axis=-1)
        b.op("MatMul", z, b.op("Slice", v, b.i64(0), f"end_{l}", b.i64(2)), out=f"y_{l}")
        g.inits += b.inits
        body = helper.make_graph(b.nodes, f"block_{l}", [helper.make_tensor_value_info(f"q_{l}", FLOAT, [None, kv, group * BLOCK, d]),
                                                         helper.make_tensor_value_info(f"mask_{l}", FLOAT, [group * BLOCK, None]),
                                                         helper.make_tensor_value_info(f"end_{l}", INT64, [1])],
                                 [helper.make_tensor_value_info(f"y_{l}", FLOAT, [None, kv, group * BLOCK, d])])
        y = g.op("Scan", q, mask, ends, body=body, num_scan_inputs=3)
        y = g.op("Reshape", g.op("Transpose", g.op("Reshape", y, parts), perm=[1, 2, 3, 0, 4, 5]), heads)
        y = g.op("Slice", y, g.i64(0), T, g.i64(2))
        x = g.finish(x, y, l)
    x = g.norm(x, "model.norm.weight")
    # positions 0..T-2 predict tokens 1..T-1; rows are padded to a multiple of CHUNK and scanned chunk by chunk
    x = g.op("Reshape", g.op("Slice", x, g.i64(0), g.i64(-1), g.i64(1)), g.i64(-1, c["hidden_size"]))
    y = g.op("Reshape", g.op("Slice", "ids", g.i64(1), g.i64(2 ** 31), g.i64(1)), g.i64(-1, 1))
    n = g.op("Shape", x, start=0, end=1)
    chunks = g.op("Max", g.op("Div", g.op("Add", n, g.i64(CHUNK - 1)), g.i64(CHUNK)), g.i64(1))
    more = g.op("Sub", g.op("Mul", chunks, g.i64(CHUNK)), n)
    x = g.op("Pad", x, g.op("Concat", g.i64(0, 0), more, g.i64(0), axis=0))
    y = g.op("Pad", y, g.op("Concat", g.i64(0, 0), more, g.i64(0), axis=0))
    x = g.op("Reshape", x, g.i64(-1, CHUNK, c["hidden_size"]))
    y = g.op("Reshape", y, g.i64(-1, CHUNK, 1))
    b = Graph(weights, cfg, int8)
    b.known, b.count = g.known, 10 ** 6
    if int8:
        q, s = b.quantise("chunk_h")
        z = b.op("Cast", b.op("MatMulInteger", q, "embed.i8", b.const(128, np.uint8)), to=FLOAT)
        z = b.op("Mul", b.op("Mul", z, "embed.scale"), s)
    else:
        z = b.op("Gemm", "chunk_h", "model.embed_tokens.weight", transB=1)
    z = b.op("GatherElements", b.op("LogSoftmax", z, axis=-1), "chunk_y", axis=-1)
    b.op("Neg", z, out="chunk_nll")
    g.inits += b.inits
    body = helper.make_graph(b.nodes, "chunk", [helper.make_tensor_value_info("chunk_h", FLOAT, [CHUNK, c["hidden_size"]]),
                                                helper.make_tensor_value_info("chunk_y", INT64, [CHUNK, 1])],
                             [helper.make_tensor_value_info("chunk_nll", FLOAT, [CHUNK, 1])])
    z = g.op("Scan", x, y, body=body, num_scan_inputs=2)
    z = g.op("Slice", g.op("Reshape", z, g.i64(-1)), g.i64(0), n, g.i64(0))
    z = g.op("Reshape", z, g.op("Concat", B, g.op("Sub", T, g.i64(1)), axis=0), allowzero=1)
    g.op("Pad", z, g.i64(0, 1, 0, 0), out="nll")
    return g.model("scout_scorer", [helper.make_tensor_value_info("ids", INT64, ["B", "T"])],
                   [helper.make_tensor_value_info("nll", FLOAT, ["B", "T"])],
                   "nll[b,i] = -ln p(ids[b,i] | ids[b,:i]); nll[b,0] = 0. Pad on the right with any id.")


ENGINE_INPUTS = [
    ("ids", "int64", ["B", "T"], "new tokens"),
    ("past_keys", "float32", ["layers", "B", "kv_heads", "P", "head_dim"], "keys before rotation; P may be 0"),
    ("past_values", "float32", ["layers", "B", "kv_heads", "P", "head_dim"], "values"),
    ("query_positions", "float32", ["Bq", "T"], "position of every new token; Bq is 1 or B"),
    ("key_positions", "float32", ["Bk", "K"], "position of every key, K = P + T; Bk is 1 or B"),
    ("inverse_frequencies", "float32", ["head_dim/2"], "config: theta ** (-2i / head_dim)"),
    ("attention_factor", "float32", ["1"], "multiplies cos and sin of queries and keys; 1 for plain RoPE"),
    ("mask", "float32", ["Bm", "Hm", "T", "K"], "added to the scores; 0 keeps, -1e9 hides; Bm is 1 or B, Hm is 1 or heads"),
    ("query_positions_2", "float32", ["Bq2", "T"], "second pair of positions"),
    ("key_positions_2", "float32", ["Bk2", "K2"], "second pair of positions; K2 is K, or 1 for one position for all keys"),
    ("select", "float32", ["Bs", "Hs", "Ts", "Ks"], "1 where the score of the second pair is used, broadcast to [B,heads,T,K]; all 0 skips its cost"),
    ("logits_from", "int64", ["1"], "first new token whose logits are wanted: 0 for all, T-1 or -1 for the last"),
]
ENGINE_OUTPUTS = [
    ("logits", "float32", ["B", "T - logits_from", "V"], "logits of the wanted tokens"),
    ("present_keys", "float32", ["layers", "B", "kv_heads", "K", "head_dim"], "past_keys and the new keys, before rotation"),
    ("present_values", "float32", ["layers", "B", "kv_heads", "K", "head_dim"], "past_values and the new values"),
]
SCORER_INPUTS = [("ids", "int64", ["B", "T"], "T >= 1; pad on the right with any id")]
SCORER_OUTPUTS = [("nll", "float32", ["B", "T"], "surprisal in nats of token i given tokens < i; position 0 is 0")]


def engine(weights, cfg):
    g = Graph(weights, cfg)
    c, kv, L = cfg, cfg["num_key_value_heads"], cfg["num_hidden_layers"]
    h, d = c["num_attention_heads"], c["head_dim"]
    T = g.op("Shape", "ids", start=1, end=2)

    def table(positions):
        a = g.op("Mul", g.op("Unsqueeze", positions, g.i64(1, 3)), "inverse_frequencies")       # [b,1,n,d/2]
        return g.op("Mul", g.op("Cos", a), "attention_factor"), g.op("Mul", g.op("Sin", a), "attention_factor")

    qc, qs = table("query_positions")
    kc, ks = table("key_positions")
    flat = g.op("ReduceMax", "select", keepdims=0)
    second = g.op("Greater", flat, g.f32(0))
    chosen = g.op("Greater", "select", g.f32(0.5))
    E = g.half("model.embed_tokens.weight", g.w["model.embed_tokens.weight"])
    x = g.op("Gather", E, "ids")
    pk = g.op("Split", "past_keys", outputs=L, axis=0, num_outputs=L) if L > 1 else ["past_keys"]
    pv = g.op("Split", "past_values", outputs=L, axis=0, num_outputs=L) if L > 1 else ["past_values"]
    keys, values = [], []
    full = g.op("Concat", g.i64(0, h), T, g.i64(-1), axis=0)
    context = g.op("Concat", g.i64(0, h), T, g.i64(d), axis=0)
    for l in range(L):
        q, k, v = g.project(x, l)
        k = g.op("Concat", g.op("Squeeze", pk[l], g.i64(0)), k, axis=2)
        v = g.op("Concat", g.op("Squeeze", pv[l], g.i64(0)), v, axis=2)
        keys.append(g.op("Unsqueeze", k, g.i64(0)))
        values.append(g.op("Unsqueeze", v, g.i64(0)))
        q = g.op("Mul", q, g.f32(d ** -0.5))

        def scores(b, qc, qs, kc, ks, **last):
            r = b.op("Transpose", b.rotate(k, kc, ks), perm=[0, 1, 3, 2])
            return b.op("Reshape", b.op("MatMul", b.grouped(b.rotate(q, qc, qs)), r), full, **last)

        first = scores(g, qc, qs, kc, ks)
        yes, no = Graph(weights, cfg), Graph(weights, cfg)
        for b, n in ((yes, 1), (no, 2)):
            b.known, b.count = g.known, n * 10 ** 6 + l * 10 ** 4
        angles = []
        for p in ("query_positions_2", "key_positions_2"):
            a = yes.op("Mul", yes.op("Unsqueeze", p, yes.i64(1, 3)), "inverse_frequencies")
            angles += [yes.op("Mul", yes.op("Cos", a), "attention_factor"), yes.op("Mul", yes.op("Sin", a), "attention_factor")]
        yes.op("Where", chosen, scores(yes, *angles), first, out=f"with_second_{l}")
        no.op("Identity", first, out=f"without_second_{l}")
        g.inits += yes.inits + no.inits
        branch = [helper.make_graph(b.nodes, f"{n}_{l}", [], [helper.make_tensor_value_info(o, FLOAT, [None] * 4)])
                  for b, n, o in ((yes, "second", f"with_second_{l}"), (no, "plain", f"without_second_{l}"))]
        s = g.op("If", second, then_branch=branch[0], else_branch=branch[1])
        s = g.op("Softmax", g.op("Add", s, "mask"), axis=-1)
        K = g.op("Shape", k, start=2, end=3)
        s = g.op("Reshape", s, g.op("Concat", g.i64(0, kv, -1), K, axis=0))
        x = g.finish(x, g.op("Reshape", g.op("MatMul", s, v), context), l)
    g.op("Concat", *keys, axis=0, out="present_keys")
    g.op("Concat", *values, axis=0, out="present_values")
    x = g.op("Slice", x, "logits_from", g.i64(2 ** 31), g.i64(1))
    x = g.norm(x, "model.norm.weight")
    n = g.op("Shape", x, start=1, end=2)
    z = g.op("Gemm", g.op("Reshape", x, g.i64(-1, c["hidden_size"])), E, transB=1)
    B = g.op("Shape", "ids", start=0, end=1)
    g.op("Reshape", z, g.op("Concat", B, n, g.i64(c["vocab_size"]), axis=0), out="logits")
    sizes = {"layers": L, "kv_heads": kv, "head_dim": d, "head_dim/2": d // 2, "V": c["vocab_size"], "1": 1}
    info = lambda rows: [helper.make_tensor_value_info(n, FLOAT if t == "float32" else INT64, [sizes.get(s, s) for s in shape])
                         for n, t, shape, _ in rows]
    return g.model("scout_engine", info(ENGINE_INPUTS), info(ENGINE_OUTPUTS), "One decode step, everything explicit.")
