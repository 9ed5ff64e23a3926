"""Export a checkpoint, verify what was exported, and write the model folder.

    python -m scout.export --work DIR --checkpoint DIR/run/decay.pt --out ../models/scout     # graphs, manifest, card
    python -m scout.export --model ../models/scout --hf FOLDER --gguf FILE                    # the shipped weights for other servers
    python -m scout.export --work DIR --checkpoint DIR/run/decay.pt --hf FOLDER --gguf FILE   # those of a checkpoint
"""
import argparse
import hashlib
import json
import math
import os
import shutil
import time

import numpy as np
import onnx
import onnxruntime as ort
import torch
from tokenizers import Tokenizer, processors

from . import graphs
from .card import write_card
from .corpus import GROUPS
from .data import validation
from .model import Scout, preset
from .restore import weights
from .tokenizer import BOS, EOS, LLAMA_CPP_PRE, PAD, SPECIALS
from .train import evaluate

CHAT = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"


def load(path):
    c = torch.load(path, map_location="cpu")
    m = Scout(c["config"])
    with torch.no_grad():
        for k, v in c["model"].items():
            v.copy_(v.to(torch.float16).to(torch.float32))      # what every export holds exactly
    m.load_state_dict(c["model"])
    return m.eval(), c


def load_shipped(folder):
    """The weights of a model folder, out of its engine.onnx; they were rounded to float16 when it was made, so nothing is lost."""
    with open(os.path.join(folder, "config.json")) as f:
        c = json.load(f)
    cfg = {k: c[k] for k in preset("cpu")["model"]}
    m = Scout(cfg)
    m.load_state_dict(weights(folder, cfg)[0])
    return m.eval(), cfg


def session(path, threads=1):
    o = ort.SessionOptions()
    o.intra_op_num_threads = threads
    o.log_severity_level = 3
    return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def plain_feed(cfg, ids, past_k, past_v, last=0):
    """Engine inputs for ordinary full attention."""
    B, T = ids.shape
    P = past_k.shape[3]
    q, k = np.arange(P, P + T, dtype=np.float32)[None], np.arange(P + T, dtype=np.float32)[None]
    zero = np.zeros((1, 1), np.float32)
    f = 1.0 / cfg["rope_theta"] ** (np.arange(0, cfg["head_dim"], 2, dtype=np.float64) / cfg["head_dim"])
    return {"ids": ids, "past_keys": past_k, "past_values": past_v, "query_positions": q, "key_positions": k,
            "inverse_frequencies": f.astype(np.float32), "attention_factor": np.ones(1, np.float32),
            "mask": np.where(k[:, None, None, :] <= q[:, None, :, None], 0, -1e9).astype(np.float32),
            "query_positions_2": np.zeros((1, T), np.float32), "key_positions_2": zero, "select": np.zeros((1, 1, 1, 1), np.float32),
            "logits_from": np.array([last], np.int64)}


def engine_nll(s, cfg, ids, steps):
    """Surprisal by the engine, the sequence fed in pieces of the given lengths through the cache."""
    B, T = ids.shape
    k = v = np.zeros((cfg["num_hidden_layers"], B, cfg["num_key_value_heads"], 0, cfg["head_dim"]), np.float32)
    out, a = [], 0
    for n in steps:
        z, k, v = s.run(None, plain_feed(cfg, ids[:, a:a + n], k, v))
        out.append(z)
        a += n
    assert a == T
    z = torch.from_numpy(np.concatenate(out, 1))
    x = torch.log_softmax(z, -1)[:, :-1].gather(-1, torch.from_numpy(ids)[:, 1:, None])[..., 0]
    return np.concatenate([np.zeros((B, 1), np.float32), -x.numpy()], 1)


def reference(m, ids):
    t = torch.from_numpy(ids)
    return np.concatenate([np.zeros((len(ids), 1), np.float32), m.nll(t[:, :-1], t[:, 1:]).numpy()], 1)


def spearman(a, b):
    r = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.float64) for x in (a, b)]
    return float(np.corrcoef(*r)[0, 1])


def ort_bpb(s, rows, size):
    nats, order, i = 0.0, sorted(range(len(rows)), key=lambda j: len(rows[j][0])), 0
    while i < len(order):
        part = order[i:i + 8]
        i += 8
        ids = np.zeros((len(part), max(len(rows[j][0]) for j in part)), np.int64)
        for r, j in enumerate(part):
            ids[r, :len(rows[j][0])] = rows[j][0]
        y = s.run(None, {"ids": ids})[0]
        nats += sum(float(y[r, :len(rows[j][0])].astype(np.float64).sum()) for r, j in enumerate(part))
    return nats / math.log(2) / sum(size.values())


def speed(s, rows, T, B=8, seconds=6):
    x = np.stack([r[:T] for r, _ in rows if len(r) >= T][:B])
    s.run(None, {"ids": x})
    n, c = 0, time.process_time()
    while time.process_time() - c < seconds:
        s.run(None, {"ids": x})
        n += x.size
    return round(n / (time.process_time() - c))


def verify(m, cfg, f32, i8, eng, rows):
    """Numbers about the exported graphs; raises when they disagree."""
    v = {}
    T = max(len(r) for r, _ in rows)
    x = np.stack([r for r, _ in rows if len(r) == T][:8]).astype(np.int64)
    ref = reference(m, x)
    a = f32.run(None, {"ids": x})[0]
    e1 = engine_nll(eng, cfg, x, [T])
    e2 = engine_nll(eng, cfg, x[:2], [T // 3, T // 3, T - 2 * (T // 3) - 5, 1, 1, 1, 1, 1])
    v["scorer_fp32_vs_torch"] = float(np.abs(a - ref).max())
    v["engine_vs_torch"] = float(np.abs(e1 - ref).max())
    v["engine_vs_scorer_fp32"] = float(np.abs(e1 - a).max())
    v["engine_cached_steps_vs_scorer_fp32"] = float(np.abs(e2 - a[:2]).max())
    q = i8.run(None, {"ids": x})[0]
    v["int8_rank_correlation"] = spearman(q[:, 1:].ravel(), ref[:, 1:].ravel())
    v["int8_mean_abs_difference"] = float(np.abs(q - ref).mean())
    v["int8_max_abs_difference"] = float(np.abs(q - ref).max())
    # padding, neighbours and later tokens must not change a row
    short = x[3:4, :T // 2 + 3]
    mixed = np.zeros_like(x)
    mixed[:], mixed[1, :short.shape[1]], mixed[1, short.shape[1]:] = x[::-1], short, PAD
    for name, s in (("fp32", f32), ("int8", i8)):
        alone, among = s.run(None, {"ids": short})[0][0], s.run(None, {"ids": mixed})[0][1, :short.shape[1]]
        v[f"padding_{name}"] = float(np.abs(alone - among).max())
        assert s.run(None, {"ids": x[:1, :1]})[0].tolist() == [[0.0]]
    # select: with every score from the second pair, moved by a constant, RoPE gives the same result
    f = plain_feed(cfg, x[:1, :64], *(np.zeros((cfg["num_hidden_layers"], 1, cfg["num_key_value_heads"], 0, cfg["head_dim"]), np.float32),) * 2)
    z = eng.run(None, f)[0]
    f2 = dict(f, query_positions=f["query_positions"] * 0, query_positions_2=f["query_positions"] + 7, key_positions_2=f["key_positions"] + 7,
              select=np.ones((1, 1, 1, 1), np.float32))
    v["engine_second_branch_shifted"] = float(np.abs(eng.run(None, f2)[0] - z).max())
    f3 = dict(f, select=(f["mask"] * 0 + (f["query_positions"][:, None, :, None] - f["key_positions"][:, None, None, :] > 16)).astype(np.float32),
              query_positions_2=f["query_positions"] * 0 + 16)
    v["engine_capped_distance_changes_logits_by"] = float(np.abs(eng.run(None, f3)[0] - z).max())
    bad = {k: n for k, n in v.items() if ("_vs_" in k or k.startswith("padding") or "shifted" in k) and not n < 1e-3}
    if bad:
        raise SystemExit(f"parity failed: {bad}")
    return v


def hf_config(cfg, context):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **cfg, "max_position_embeddings": context, "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "bos_token_id": BOS, "eos_token_id": EOS,
            "pad_token_id": PAD, "torch_dtype": "float16", "use_cache": True}


def tokenizer_config(context, **more):
    return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|pad|>",
            "model_max_length": context, "clean_up_tokenization_spaces": False, **more}


def dump(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")


def write_hf(out, m, cfg, context, tokenizer):
    from safetensors.torch import save_file
    os.makedirs(out, exist_ok=True)
    tok = Tokenizer.from_file(tokenizer)
    tok.post_processor = processors.TemplateProcessing(single="<|bos|> $A", pair="<|bos|> $A $B", special_tokens=[("<|bos|>", BOS)])
    tok.save(os.path.join(out, "tokenizer.json"))
    save_file({k: p.to(torch.float16).contiguous() for k, p in m.state_dict().items()}, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    dump(os.path.join(out, "config.json"), hf_config(cfg, context))
    dump(os.path.join(out, "generation_config.json"), {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD})
    dump(os.path.join(out, "tokenizer_config.json"), tokenizer_config(context, chat_template=CHAT))
    dump(os.path.join(out, "special_tokens_map.json"), {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|pad|>"})


def write_gguf(path, m, cfg, context, tokenizer):
    import gguf
    w = gguf.GGUFWriter(path, "llama")
    h, kv, d = cfg["num_attention_heads"], cfg["num_key_value_heads"], cfg["head_dim"]
    w.add_name("scout")
    w.add_context_length(context)
    w.add_embedding_length(cfg["hidden_size"])
    w.add_block_count(cfg["num_hidden_layers"])
    w.add_feed_forward_length(cfg["intermediate_size"])
    w.add_head_count(h)
    w.add_head_count_kv(kv)
    w.add_key_length(d)
    w.add_value_length(d)
    w.add_rope_dimension_count(d)
    w.add_rope_freq_base(cfg["rope_theta"])
    w.add_layer_norm_rms_eps(cfg["rms_norm_eps"])
    w.add_vocab_size(cfg["vocab_size"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    with open(tokenizer) as f:
        j = json.load(f)["model"]
    tokens = [t for t, _ in sorted(j["vocab"].items(), key=lambda x: x[1])]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(LLAMA_CPP_PRE)
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in SPECIALS else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges([" ".join(x) if isinstance(x, list) else x for x in j["merges"]])
    w.add_bos_token_id(BOS)
    w.add_eos_token_id(EOS)
    w.add_pad_token_id(PAD)
    w.add_add_bos_token(True)
    w.add_chat_template(CHAT)

    def interleave(x, n):    # rotate-half layout -> the interleaved layout of llama.cpp's "llama"
        return np.ascontiguousarray(x.reshape(n, 2, d // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape))

    t = {k: p.numpy() for k, p in m.state_dict().items()}
    half = lambda x: x.astype(np.float16)
    w.add_tensor("token_embd.weight", half(t["model.embed_tokens.weight"]))
    w.add_tensor("output_norm.weight", t["model.norm.weight"])
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for l in range(cfg["num_hidden_layers"]):
        p, q = f"model.layers.{l}.", f"blk.{l}."
        w.add_tensor(q + "attn_norm.weight", t[p + "input_layernorm.weight"])
        w.add_tensor(q + "ffn_norm.weight", t[p + "post_attention_layernorm.weight"])
        for a, b in names.items():
            x = t[f"{p}{a}.weight"]
            x = interleave(x, h if b == "attn_q" else kv) if b in ("attn_q", "attn_k") else x
            w.add_tensor(f"{q}{b}.weight", half(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def port(rows):
    return [{"name": n, "type": t, "shape": s, "meaning": d} for n, t, s, d in rows]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", help="folder of tokenizer.json and the validation tokens; needed with --checkpoint")
    a.add_argument("--checkpoint", help="weights of a training run")
    a.add_argument("--model", help="weights and tokenizer of a model folder, in place of --work and --checkpoint; for --hf and --gguf")
    a.add_argument("--out", help="model folder: graphs, tokenizer, manifest, card")
    a.add_argument("--hf", help="also write a Hugging Face folder here")
    a.add_argument("--gguf", help="also write a GGUF file here")
    a.add_argument("--context", type=int, default=1024)
    a.add_argument("--version", default="0.1.0")
    a.add_argument("--eval-tokens", type=int, default=0, help="measure on so many validation tokens (0: all)")
    a.add_argument("--int8-eval-tokens", type=int, default=60000)
    a.add_argument("--threads", type=int, default=1)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    if bool(a.model) == bool(a.checkpoint and a.work) or (a.model and a.out):
        raise SystemExit("either --model (with --hf, --gguf), or --work and --checkpoint")
    if a.model:
        m, cfg = load_shipped(a.model)
    else:
        m, ck = load(a.checkpoint)
        cfg = ck["config"]
    tokenizer = os.path.join(a.model or a.work, "tokenizer.json")
    if a.hf:
        write_hf(a.hf, m, cfg, a.context, tokenizer)
    if a.gguf:
        write_gguf(a.gguf, m, cfg, a.context, tokenizer)
    if not a.out:
        return
    os.makedirs(a.out, exist_ok=True)
    w = {k: p.numpy() for k, p in m.state_dict().items()}
    path = lambda n: os.path.join(a.out, n)
    onnx.save(graphs.scorer(w, cfg), path("scorer.fp32.onnx"))
    onnx.save(graphs.scorer(w, cfg, int8=True), path("scorer.int8.onnx"))
    onnx.save(graphs.engine(w, cfg), path("engine.onnx"))
    f32, i8, eng = (session(path(n)) for n in ("scorer.fp32.onnx", "scorer.int8.onnx", "engine.onnx"))
    rows, size = validation(a.work, a.context - 1, 60000, longest=10 ** 9)
    checks = verify(m, cfg, f32, i8, eng, rows)
    rates = {f"{n}_T{T}": speed(s, rows, T) for n, s in (("fp32", f32), ("int8", i8)) for T in (256, min(512, a.context))}
    print(json.dumps({"checks": checks, "tokens_per_cpu_second_one_thread": rates}, indent=1), flush=True)
    torch.set_num_threads(a.threads)
    quality = evaluate(m, *validation(a.work, a.context, a.eval_tokens or None))
    small = validation(a.work, a.context, a.int8_eval_tokens)
    quality8 = {"int8": ort_bpb(i8, *small), "fp32": ort_bpb(f32, *small)}
    print(json.dumps({"quality": quality, "same_subset": quality8}, indent=1), flush=True)

    precision = "int8" if checks["int8_rank_correlation"] >= 0.999 else "fp32"
    os.replace(path(f"scorer.{precision}.onnx"), path("scorer.onnx"))
    os.remove(path("scorer.fp32.onnx" if precision == "int8" else "scorer.int8.onnx"))
    shutil.copyfile(tokenizer, path("tokenizer.json"))
    dump(path("config.json"), hf_config(cfg, a.context))
    dump(path("tokenizer_config.json"), tokenizer_config(a.context))
    files = {n: {"sha256": hashlib.sha256(open(path(n), "rb").read()).hexdigest(), "bytes": os.path.getsize(path(n))}
             for n in ("tokenizer.json", "tokenizer_config.json", "config.json", "scorer.onnx", "engine.onnx")}
    manifest = {
        "name": "scout", "kind": "causal-lm", "version": a.version, "licence": "Apache-2.0", "files": files,
        "tokenizer": "tokenizer.json", "vocab_size": cfg["vocab_size"], "context_length": a.context, "bos_token_id": BOS, "eos_token_id": EOS,
        "pad": PAD, "add_bos": "the tokenizer adds nothing: put bos_token_id in front of a text before scoring it",
        "parameters": m.parameters_total(), "precision": {"scorer": precision, "engine": "fp32 (stored as float16)"},
        "training": {"tokens": ck["tokens"], "steps": ck["step"], "bits_per_byte": round(quality["bpb"], 4),
                     "bits_per_byte_by_group": {g: round(quality["by_group"][g], 4) for g in GROUPS if g in quality["by_group"]},
                     "validation_tokens": quality["tokens"], "seed": ck["seed"],
                     "scorer_bits_per_byte_on_subset": {k: round(x, 4) for k, x in quality8.items()}},
        "checks": checks, "tokens_per_cpu_second_one_thread": rates,
        "graph": {"scorer": {"file": "scorer.onnx", "inputs": port(graphs.SCORER_INPUTS), "outputs": port(graphs.SCORER_OUTPUTS)},
                  "engine": {"file": "engine.onnx", "inputs": port(graphs.ENGINE_INPUTS), "outputs": port(graphs.ENGINE_OUTPUTS),
                             "layers": cfg["num_hidden_layers"], "kv_heads": cfg["num_key_value_heads"], "heads": cfg["num_attention_heads"],
                             "head_dim": cfg["head_dim"], "rope_theta": cfg["rope_theta"]}},
        "made_by": "training/scout", "date": time.strftime("%Y-%m-%d", time.gmtime())}
    dump(path("manifest.json"), manifest)
    write_card(a.out, os.path.dirname(a.checkpoint), manifest, cfg)


if __name__ == "__main__":
    main()
