"""Writes a GGUF Llama as the ONNX files that transformers.js loads.

    python onnx_from_gguf.py MODEL.gguf OUT

OUT gets config.json and, in onnx/, model.onnx with the dequantized weights, and made of it by
onnxruntime's own quantizers, as the usual conversions are, model_q4.onnx and model_quantized.onnx
(q8). The graph
is the one of onnxruntime's model builder: GroupQueryAttention with rotary embedding inside and
skip connections fused into norms. Logits are of the last position only, as in llama.cpp.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

OPSET = 21
MS_DOMAIN = "com.microsoft"

# Of the rotary tables; the benchmark's context, with room.
MAX_POSITIONS = 2048

# The block of 4-bit weights, symmetric; activations in int8, the fastest of its kernels.
Q4_BLOCK = 32
Q4_ACCURACY_LEVEL = 4


def read_config(reader):
    def field(name, default=None):
        found = reader.get_field(f"llama.{name}")
        return default if found is None else found.contents()

    hidden, heads = field("embedding_length"), field("attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": field("feed_forward_length"),
        "num_hidden_layers": field("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("attention.head_count_kv", heads),
        "head_dim": field("rope.dimension_count", hidden // heads),
        "rms_norm_eps": field("attention.layer_norm_rms_epsilon"),
        "rope_theta": field("rope.freq_base", 10000.0),
        "max_position_embeddings": field("context_length"),
    }


def read_tensors(reader):
    """Names to f32 arrays, [outputs, inputs] as the file has them."""
    return {
        tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        for tensor in reader.tensors
    }


def unpermute(rows, heads):
    """Halves of a head apart, as Hugging Face has them: GGUF keeps rotated pairs side by side."""
    outputs, inputs = rows.shape
    pairs = rows.reshape(heads, outputs // heads // 2, 2, inputs)
    return pairs.swapaxes(1, 2).reshape(outputs, inputs)


class Graph:
    def __init__(self):
        self.nodes = []
        self.weights = []

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, output, *, domain="", **attributes):
        outputs = output if isinstance(output, list) else [output]
        name = f"{outputs[0]}/{op}"
        self.nodes.append(helper.make_node(op, inputs, outputs, name, domain=domain, **attributes))
        return output

    def linear(self, x, name, weight):
        """x times the transpose of [outputs, inputs]."""
        return self.node("MatMul", [x, self.constant(f"{name}.weight", weight.T)], name)


def build(config, tensors):
    graph = Graph()
    layers, kv_heads = config["num_hidden_layers"], config["num_key_value_heads"]
    heads, head_dim = config["num_attention_heads"], config["head_dim"]
    epsilon = float(config["rms_norm_eps"])
    embedding = tensors["token_embd.weight"]

    angles = np.outer(
        np.arange(MAX_POSITIONS, dtype=np.float64),
        config["rope_theta"] ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim),
    )
    cos = graph.constant("cos", np.cos(angles).astype(np.float32))
    sin = graph.constant("sin", np.sin(angles).astype(np.float32))

    one = graph.constant("one", np.array([1], np.int64))
    total = graph.node("ReduceSum", ["attention_mask", one], "total", keepdims=0)
    last = graph.node("Sub", [total, one], "last")
    seqlens = graph.node("Cast", [last], "seqlens", to=TensorProto.INT32)
    length = graph.node("Shape", ["attention_mask"], "length", start=1, end=2)
    scalar = graph.constant("scalar", np.array([], np.int64))
    length = graph.node("Reshape", [length, scalar], "length_scalar")
    length = graph.node("Cast", [length], "length_int32", to=TensorProto.INT32)

    skip = graph.node("Gather", [graph.constant("embedding", embedding), "input_ids"], "embedded")
    delta = None
    for layer in range(layers):
        tensor = lambda name: tensors[f"blk.{layer}.{name}.weight"]
        at = lambda name: f"layers.{layer}.{name}"
        x, skip = norm(graph, skip, delta, at("input_norm"), tensor("attn_norm"), epsilon)
        query = graph.linear(x, at("q_proj"), unpermute(tensor("attn_q"), heads))
        key = graph.linear(x, at("k_proj"), unpermute(tensor("attn_k"), kv_heads))
        value = graph.linear(x, at("v_proj"), tensor("attn_v"))
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        attended, *_ = graph.node(
            "GroupQueryAttention",
            [query, key, value, *past, seqlens, length, cos, sin],
            [at("attention"), *present],
            domain=MS_DOMAIN,
            num_heads=heads,
            kv_num_heads=kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
        )
        delta = graph.linear(attended, at("o_proj"), tensor("attn_output"))
        x, skip = norm(graph, skip, delta, at("post_norm"), tensor("ffn_norm"), epsilon)
        gate = graph.linear(x, at("gate_proj"), tensor("ffn_gate"))
        sigmoid = graph.node("Sigmoid", [gate], at("sigmoid"))
        silu = graph.node("Mul", [gate, sigmoid], at("silu"))
        up = graph.linear(x, at("up_proj"), tensor("ffn_up"))
        product = graph.node("Mul", [silu, up], at("product"))
        delta = graph.linear(product, at("down_proj"), tensor("ffn_down"))
    x, _ = norm(graph, skip, delta, "norm", tensors["output_norm.weight"], epsilon)
    minus_one = graph.constant("minus_one", np.array([-1], np.int64))
    end = graph.constant("end", np.array([np.iinfo(np.int64).max], np.int64))
    x = graph.node("Slice", [x, minus_one, end, one], "last_position")
    head = tensors.get("output.weight", embedding)
    graph.node("Identity", [graph.linear(x, "lm_head", head)], "logits")

    # transformers.js looks for exactly this name of the first dimension.
    batch = "batch_size"
    info = helper.make_tensor_value_info
    caches = lambda prefix, length: [
        info(f"{prefix}.{layer}.{part}", TensorProto.FLOAT, [batch, kv_heads, length, head_dim])
        for layer in range(layers)
        for part in ("key", "value")
    ]
    inputs = [
        info("input_ids", TensorProto.INT64, [batch, "sequence_length"]),
        info("attention_mask", TensorProto.INT64, [batch, "total_sequence_length"]),
        *caches("past_key_values", "past_sequence_length"),
    ]
    logits = info("logits", TensorProto.FLOAT, [batch, 1, embedding.shape[0]])
    outputs = [logits, *caches("present", "total_sequence_length")]
    return helper.make_model(
        helper.make_graph(graph.nodes, "llama", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(MS_DOMAIN, 1)],
        ir_version=10,
    )


def norm(graph, skip, delta, name, weight, epsilon):
    """RMSNorm of the sum of both, and the sum."""
    gamma = graph.constant(f"{name}.weight", weight)
    if delta is None:
        attributes = {"axis": -1, "epsilon": epsilon, "stash_type": 1}
        graph.node("SimplifiedLayerNormalization", [skip, gamma], name, **attributes)
        return name, skip
    total = f"{name}.sum"
    graph.node(
        "SkipSimplifiedLayerNormalization",
        [skip, delta, gamma],
        [name, "", "", total],
        domain=MS_DOMAIN,
        epsilon=epsilon,
    )
    return name, total


def main():
    source, out = sys.argv[1], Path(sys.argv[2])
    reader = gguf.GGUFReader(source)
    config = read_config(reader)
    tensors = read_tensors(reader)
    config["vocab_size"] = len(tensors["token_embd.weight"])
    model = build(config, tensors)
    folder = out / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    quantize_dynamic(
        folder / "model.onnx",
        folder / "model_quantized.onnx",
        weight_type=QuantType.QInt8,
        # Of what onnx itself cannot infer: the outputs of onnxruntime's own operators.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    quantizer = MatMulNBitsQuantizer(
        model, block_size=Q4_BLOCK, is_symmetric=True, accuracy_level=Q4_ACCURACY_LEVEL
    )
    quantizer.process()
    onnx.save(quantizer.model.model, folder / "model_q4.onnx")
    (out / "config.json").write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    main()
