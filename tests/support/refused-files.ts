/** Files that are no models for a page's tab: what each is, its bytes, and its size where that is more. */
import { type GgufParts, writeGguf } from "../unit/formats/gguf-writer.ts";

const DIM = 16_384;
const FFN = 65_536;
const Q8_0 = 8;

/** One layer that no memory of 4 GiB holds. */
const HUGE: GgufParts = {
  entries: [
    { key: "general.architecture", kind: "string", value: "llama" },
    ...Object.entries({
      context_length: 128,
      embedding_length: DIM,
      block_count: 1,
      feed_forward_length: FFN,
      "attention.head_count": 128,
      "attention.head_count_kv": 128,
      vocab_size: 256,
    }).map(([key, value]) => ({ key: `llama.${key}`, kind: "u32" as const, value })),
    { key: "llama.attention.layer_norm_rms_epsilon", kind: "f32", value: 1e-5 },
  ],
  tensors: placed([
    ["token_embd.weight", [DIM, 256], Q8_0],
    ["output_norm.weight", [DIM], 0],
    ["blk.0.attn_norm.weight", [DIM], 0],
    ["blk.0.ffn_norm.weight", [DIM], 0],
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map(
      (name) => [`blk.0.${name}.weight`, [DIM, DIM], Q8_0] as const,
    ),
    ["blk.0.ffn_gate.weight", [DIM, FFN], Q8_0],
    ["blk.0.ffn_up.weight", [DIM, FFN], Q8_0],
    ["blk.0.ffn_down.weight", [FFN, DIM], Q8_0],
  ]),
};
const HUGE_BYTES = 5e9;

function placed(tensors: readonly (readonly [string, readonly number[], number])[]) {
  let end = 0;
  return tensors.map(([name, dims, type]) => {
    const offset = end;
    const values = dims.reduce((product, dim) => product * dim, 1);
    end += type === Q8_0 ? (values / 32) * 34 : values * 4;
    return { name, dims: [...dims], type, offset };
  });
}

const OTHER: GgufParts = {
  entries: [{ key: "general.architecture", kind: "string", value: "mamba" }],
};

export const REFUSED_FILES: readonly [string, Uint8Array, number?][] = [
  ["a text", new TextEncoder().encode("What is the capital of France? ".repeat(9))],
  ["an empty file", new Uint8Array(0)],
  ["a GGUF that is cut off", writeGguf(OTHER).bytes.slice(0, 40)],
  ["another architecture", writeGguf(OTHER).bytes],
  ["a model that is too large for one memory", writeGguf(HUGE).bytes, HUGE_BYTES],
];
