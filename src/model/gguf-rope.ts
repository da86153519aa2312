/**
 * Rotary scalings as GGUF keeps them: keys for linear, yarn and longrope; for Llama 3's and longrope's divisors tensors.
 *
 * Key names: ggml's docs/gguf.md; what they mean: llama.cpp's llama-model.cpp and ggml's rope.
 */
import { PronkError } from "../errors.ts";
import { dequantize } from "../formats/gguf/dequantize.ts";
import type { MetadataValue, ModelFile } from "../formats/model-file.ts";
import { readAllTensorBytes } from "../formats/tensor-bytes.ts";
import { llama3Divisors } from "./rope.ts";
import { yarnScale } from "./rope-scaling.ts";

/** Tensors of divisors, one per frequency. */
export const ROPE_FREQS = "rope_freqs.weight";
export const ROPE_SHORT = "rope_factors_short.weight";
export const ROPE_LONG = "rope_factors_long.weight";

/** What Llama 3.1 and later have; GGUF keeps only the divisors that follow. */
const LLAMA3 = {
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
} as const;

/** Two ways to compute divisors in f32 differ by some roundings. */
const SAME_DIVISOR = 1e-5;

/** `rope_scaling` of a config.json, or null. */
export async function readGgufRopeScaling(
  file: ModelFile,
  architecture: string,
  half: number,
  signal?: AbortSignal,
): Promise<Record<string, unknown> | null> {
  const key = (name: string): MetadataValue | undefined =>
    file.metadata.get(`${architecture}.${name}`);
  const number = (name: string): number | undefined => {
    const value = key(name);
    if (value === undefined || typeof value === "number") return value;
    throw new PronkError("bad_format", `${file.name}: ${architecture}.${name} is not a number`);
  };
  const original = number("rope.scaling.original_context_length");
  const freqs = await readDivisors(file, ROPE_FREQS, half, signal);
  if (freqs !== undefined) {
    const base = number("rope.freq_base") ?? 10000;
    const factor = freqs.at(-1) as number;
    const same = llama3Divisors({ ...LLAMA3, factor }, base, half).every(
      (divisor, i) => Math.abs(divisor / freqs[i] - 1) < SAME_DIVISOR,
    );
    if (same && factor >= 1) return { rope_type: "llama3", factor, ...LLAMA3 };
    return {
      rope_type: "longrope",
      short_factor: freqs,
      long_factor: freqs,
      original_max_position_embeddings: original ?? number("context_length"),
      attention_factor: 1,
    };
  }
  const type = key("rope.scaling.type");
  const factor = number("rope.scaling.factor");
  switch (type) {
    case undefined:
    case "none": {
      const linear = number("rope.scale_linear"); // the key of old files
      return linear !== undefined && linear !== 1 ? { rope_type: "linear", factor: linear } : null;
    }
    case "yarn": {
      const share =
        number("rope.scaling.attn_factor") ?? number("rope.scaling.yarn_attn_factor") ?? 1;
      return {
        rope_type: "yarn",
        factor,
        original_max_position_embeddings: original,
        // On top of the paper's, which llama.cpp applies by itself.
        ...(factor !== undefined && { attention_factor: share * yarnScale(factor, 1) }),
        beta_fast: number("rope.scaling.yarn_beta_fast"),
        beta_slow: number("rope.scaling.yarn_beta_slow"),
      };
    }
    case "longrope":
      return {
        rope_type: "longrope",
        short_factor: await readDivisors(file, ROPE_SHORT, half, signal),
        long_factor: await readDivisors(file, ROPE_LONG, half, signal),
        original_max_position_embeddings: original,
        attention_factor: number("rope.scaling.attn_factor") ?? 1,
      };
    default:
      return { rope_type: type, factor };
  }
}

async function readDivisors(
  file: ModelFile,
  name: string,
  half: number,
  signal: AbortSignal | undefined,
): Promise<number[] | undefined> {
  const tensor = file.tensors.get(name);
  if (tensor === undefined) return undefined;
  const count = tensor.shape.reduce((n, dim) => n * dim, 1);
  if (count !== half) {
    const why = `${count} values, not ${half}`;
    throw new PronkError("bad_format", `${file.name}: tensor ${name}: ${why}`);
  }
  const values = new Float32Array(count);
  dequantize(tensor.type, await readAllTensorBytes(tensor, signal), values);
  return Array.from(values);
}
