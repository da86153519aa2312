/**
 * Which form a weight matrix gets: a table from its type in the source file and what was asked.
 * docs/pack-format.md has the measured errors behind the choices.
 */
import type { TensorType } from "../formats/model-file.ts";
import { BLOCK_COLS, type MatrixForm } from "./forms.ts";

/**
 * `auto` keeps a quantized source's blocks and makes float weights 8-bit; `none` and `f32` keep
 * every value and compute in f32; `q4` and `q8` are 4 and 8 bits a weight. `f16` has no storage of
 * its own: like `none`, it keeps BF16 as it is and widens everything else to f32.
 */
export type Quantization = "auto" | "none" | "q4" | "q8" | "f16" | "f32";

/** `small` is for isolates: a 6-bit embedding and head. */
export type Profile = "default" | "small";

export interface QuantizationOptions {
  readonly quantization: Quantization;
  readonly profile: Profile;
}

export interface FormOptions extends QuantizationOptions {
  /** The embedding and the head are `embedding`: they suffer most from few bits. */
  readonly role: "matrix" | "embedding";
}

/**
 * The smallest form that holds a type's values as they are, up to the rounding of scales, or so
 * nearly that perplexity does not show it. Q6_K, Q2_K and Q3_K have a scale for 16 weights and the
 * forms one for 32: they are quantized again, with a step well below their own.
 */
const KEPT: Readonly<Record<TensorType, MatrixForm>> = {
  F32: "q8",
  F16: "q8",
  BF16: "q8",
  Q4_0: "q4",
  Q4_1: "q4m",
  Q5_0: "q6m",
  Q5_1: "q6m",
  Q8_0: "q8",
  Q2_K: "q6m",
  Q3_K: "q6m",
  Q4_K: "q4m",
  Q5_K: "q6m",
  Q6_K: "q8",
  IQ4_NL: "q8",
  IQ4_XS: "q8",
};

/** The form for a matrix of `cols` columns whose weights come as `type`. */
export function formFor(type: TensorType, cols: number, options: FormOptions): MatrixForm {
  const { quantization, profile, role } = options;
  const exact = type === "BF16" && quantization !== "f32" ? "bf16" : "f32";
  // Blocks of 32 columns cannot hold such a row.
  if (cols % BLOCK_COLS !== 0) return exact;
  if (quantization === "none" || quantization === "f16" || quantization === "f32") return exact;

  const kept = KEPT[type];
  if (quantization === "q4") {
    if (kept === "q4" || kept === "q4m") return kept;
    // Four bits cost the embedding and head 7 % of perplexity, six bits 0.1 %.
    return role === "embedding" ? "q6m" : "q4m";
  }
  const form = quantization === "q8" ? "q8" : kept;
  return profile === "small" && role === "embedding" && form === "q8" ? "q6m" : form;
}
