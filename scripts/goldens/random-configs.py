"""Fifteen Llamas with random configurations, run by transformers: golden.json and golden.safetensors of tests/goldens/random-configs.

Weights are not stored: both sides make them from the seed and each tensor's name (random_tensor; random-llama.ts).
Needs transformers 4.57 and torch on a CPU: python scripts/goldens/random-configs.py
"""
import copy, json, pathlib
import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parents[2] / "tests/goldens/random-configs"
LENGTH = 24
M32 = np.uint64(0xFFFFFFFF)


def fnv1a(text, seed):
    h = 0x811C9DC5 ^ seed
    for byte in text.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def random_tensor(name, count, seed, initializer_range):
    """Uniform numbers of standard deviation initializer_range, by mulberry32; around 1 for norms."""
    mul = lambda a, b: (a * b) & M32
    t = (np.uint64(fnv1a(name, seed)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)) & M32
    t = mul(t ^ (t >> np.uint64(15)), t | np.uint64(1))
    t = t ^ ((t + mul(t ^ (t >> np.uint64(7)), t | np.uint64(61))) & M32)
    u = (t ^ (t >> np.uint64(14))).astype(np.float64) / 2.0**31 - 1.0
    is_norm = name.endswith("norm.weight")
    values = u * 0.5 + 1.0 if is_norm else u * (initializer_range * 3.0**0.5)
    return values.astype(np.float32)


ACTS = ["silu", "gelu", "gelu_new", "quick_gelu", "relu", "relu2", "sigmoid", "linear", "swish", "gelu_pytorch_tanh",
        "gelu_fast", "gelu_python", "gelu_accurate", "gelu_python_tanh", "silu"]


def scalings(r, half):
    ratio = lambda lo, hi: round(float(r.uniform(lo, hi)), 3)
    factors = lambda lo, hi: [round(float(x), 3) for x in r.uniform(lo, hi, half)]
    return [
        (None, {}),
        ({"rope_type": "default"}, {}),
        ({"rope_type": "linear", "factor": ratio(1.5, 6)}, {}),
        ({"type": "linear", "factor": ratio(1.5, 6)}, {}),
        ({"rope_type": "dynamic", "factor": ratio(1.5, 4)}, {"max_position_embeddings": 12}),
        ({"type": "dynamic", "factor": ratio(1.5, 4)}, {"max_position_embeddings": 9}),
        ({"rope_type": "yarn", "factor": ratio(2, 6), "original_max_position_embeddings": 16}, {"max_position_embeddings": 64}),
        ({"rope_type": "yarn", "factor": ratio(2, 6), "attention_factor": ratio(0.8, 1.4), "beta_fast": 9.0, "beta_slow": 0.7},
         {"max_position_embeddings": 40}),
        ({"rope_type": "yarn", "factor": ratio(2, 6), "mscale": 0.9, "mscale_all_dim": 0.4, "truncate": False,
          "original_max_position_embeddings": 24, "beta_fast": 6.0, "beta_slow": 0.5}, {"max_position_embeddings": 72}),
        ({"rope_type": "llama3", "factor": ratio(2, 9), "low_freq_factor": 1.0, "high_freq_factor": ratio(2, 5),
          "original_max_position_embeddings": 16}, {"max_position_embeddings": 128}),
        ({"rope_type": "llama3", "factor": ratio(2, 9), "low_freq_factor": ratio(0.5, 1.5), "high_freq_factor": 4.0,
          "original_max_position_embeddings": 20}, {"max_position_embeddings": 80}),
        ({"rope_type": "longrope", "short_factor": factors(1, 1.5), "long_factor": factors(1.5, 6)},
         {"max_position_embeddings": 64, "original_max_position_embeddings": 16}),
        ({"rope_type": "longrope", "short_factor": factors(1, 1.5), "long_factor": factors(1.5, 6), "factor": 4.0,
          "attention_factor": ratio(0.9, 1.3)}, {"max_position_embeddings": 13}),
        ({"rope_type": "linear", "factor": ratio(6, 12)}, {}),
        (None, {}),
    ]


def random_config(i, attempt):
    r = np.random.default_rng(1000 * attempt + i)
    pick = lambda values: values[int(r.integers(len(values)))]
    kv = pick([1, 2, 3])
    heads = kv * pick([1, 2, 3])
    if i in (6, 7, 8):  # yarn: enough frequencies that its ramp has a slope
        head_dim = 32
    else:
        head_dim = pick([16, 32]) if i % 5 == 1 else pick([6, 10, 14, 16, 18, 22, 26, 34])
    tp = pick([1, 1, 2])
    vocab = int(r.integers(60, 140))
    rope_scaling, others = scalings(r, head_dim // 2)[i]
    fields = {
        "vocab_size": vocab,
        "hidden_size": pick([16, 32, 48, 64, 80, 96, 112]),  # multiples of 16, as the wasm backend needs them
        "intermediate_size": pick([22, 34, 46, 58, 70, 94, 126]),
        "num_hidden_layers": pick([1, 2, 3]),
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": head_dim,
        "hidden_act": ACTS[i],
        "max_position_embeddings": int(r.integers(48, 200)),
        "initializer_range": round(float(r.uniform(0.12, 0.3)), 4),
        "rms_norm_eps": float(f"{10 ** r.uniform(-6, -1.5):.3g}"),
        "use_cache": True if rope_scaling and i in (4, 5, 11, 12) else bool(r.integers(2)),
        "pad_token_id": pick([None, 0, 3, vocab - 1]),
        "bos_token_id": pick([1, 2, 4, 5, 6, 7, 8, 9, 10, 11]),
        "pretraining_tp": tp,
        "tie_word_embeddings": bool(r.integers(3) == 0),
        "rope_theta": round(float(10 ** (r.uniform(1.4, 2) if i in (6, 7, 8) else r.uniform(2, 6))), 1),
        "rope_scaling": rope_scaling,
        "attention_bias": bool(r.integers(2)),
        "attention_dropout": pick([0.0, 0.1]),
        "mlp_bias": bool(r.integers(2)),
        **others,
    }
    if i % 5 == 1:  # widths that follow from others, as most files leave them
        fields["hidden_size"] = heads * head_dim
        del fields["head_dim"]
    if i % 5 == 3:
        fields["num_key_value_heads"] = heads
        del fields["num_key_value_heads"]
    return r, fields


def make(i):
    for attempt in range(100):
        r, fields = random_config(i, attempt)
        seed = int(r.integers(2**32))
        config = LlamaConfig(**copy.deepcopy(fields), eos_token_id=None, attn_implementation="eager")
        model = LlamaForCausalLM(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                values = random_tensor(name, parameter.numel(), seed, fields["initializer_range"])
                parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
        ids = r.integers(1, fields["vocab_size"], (1, LENGTH)).tolist()
        # Where frequencies go by the length, rows share them here and not there (docs/api.md): equal lengths.
        lengths = [7, 7 if i in (4, 5, 11, 12) else 4]
        pad = fields["pad_token_id"] or 0
        rows = [[pad] * (7 - n) + r.integers(4, fields["vocab_size"] - 1, n).tolist() for n in lengths]
        mask = [[0] * (7 - n) + [1] * n for n in lengths]
        with torch.no_grad():
            logits = model(torch.tensor(ids)).logits[0].numpy()
        free = generate(model, rows, mask, None)
        # What ends a text is what the first row says at its fifth step, or never.
        first = free[0][0][7:]
        eos = [first[4], first[4], [first[5], fields["vocab_size"] - 2], None][i % 4]
        config.eos_token_id = model.config.eos_token_id = eos
        sequences, margins = generate(model, rows, mask, eos)
        started, more = generate(model, None, None, eos)
        distinct = len({id for row in sequences for id in row[7:]})
        if min(margins + more) > 4e-3 and distinct > 3 and np.abs(logits).max() < 100:
            case = {
                "name": f"random_{i}",
                "config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **fields, "eos_token_id": eos},
                "seed": seed,
                "input_ids": ids,
                "generate": {"input_ids": rows, "attention_mask": mask, "max_new_tokens": 10, "sequences": sequences},
                "from_bos": {"max_new_tokens": 6, "sequences": started},
                "least_margin": min(margins + more),
            }
            return case, np.ascontiguousarray(logits)
    raise SystemExit(f"{i}: no seed gives clear margins")


def generate(model, rows, mask, eos):
    model.generation_config = transformers.GenerationConfig.from_model_config(model.config)
    given = {} if rows is None else {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}
    out = model.generate(**given, max_new_tokens=6 if rows is None else 10, do_sample=False,
                         return_dict_in_generate=True, output_scores=True)
    start = 1 if rows is None else len(rows[0])
    ends = [eos] if isinstance(eos, int) else eos or []
    margins = []
    for b, row in enumerate(out.sequences.tolist()):
        for step, scores in enumerate(out.scores):
            top = scores[b].topk(2).values
            margins.append(float(top[0] - top[1]))
            if row[start + step] in ends:
                break
    return out.sequences.tolist(), margins


torch.set_num_threads(1)
cases, tensors = [], {}
for i in range(15):
    case, logits = make(i)
    cases.append(case)
    tensors[f"{case['name']}/logits"] = logits
meta = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "attention": "eager, f32"}
(HERE / "golden.json").write_text(json.dumps({"meta": meta, "cases": cases}) + "\n")
save_file(tensors, HERE / "golden.safetensors")
