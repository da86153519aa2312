/**
 * Which form a weight matrix gets: a table from its type in the source file and what was asked.
 * docs/pack-format.md has the measured errors behind the choices.
 */
import type { TensorType } from "../formats/model-file.ts";
import { BLOCK_COLS, type MatrixForm, type WeightForm } from "./forms.ts";

/** How weights are kept. The type is what a manifest's `quantization.requested` says. */
export const QUANTIZATIONS = [
  "auto", // a quantized source's blocks as they are, float weights in 8 bits
  "none", // every value, computed in f32
  "q4", // 4 bits, a scale for 32 weights
  "q4s", // 4 bits, scales of 8 bits: the least that there is
  "q8", // 8 bits
  "f16", // no storage of its own: like none
  "f32", // like none, BF16 widened too
  "int8", // q8 under PyTorch's name
  "int4", // 4 bits, a scale for 128 weights, as TorchAO's int4_weight_only
  "int4g32",
  "int4g64",
  "int4g128",
] as const;

export type Quantization = (typeof QUANTIZATIONS)[number];

/** Weights that share a scale where float weights become `int4`, by what was asked. */
const GROUPS: Readonly<Partial<Record<Quantization, number>>> = {
  int4: 128,
  int4g32: 32,
  int4g64: 64,
  int4g128: 128,
};

/**
 * Columns that share a scale and a minimum, as PackEntry has it. The forms store both for each block of
 * 32, so a larger group takes the same bytes; a row's last one may be shorter (576 columns are 4.5
 * times 128).
 */
export function sharedScales(
  quantization: Quantization,
  form: WeightForm,
): { readonly groupCols?: number } {
  const groupCols = GROUPS[quantization] ?? BLOCK_COLS;
  return form === "q4m" && groupCols > BLOCK_COLS ? { groupCols } : {};
}

/** `small` is for isolates: a 6-bit embedding and head, of q4s 4 bits there too. */
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
  if (quantization === "q4s") {
    if (kept === "q4") return kept; // as small, and nothing is lost
    const isSpared = role === "embedding" && profile === "default" && kept !== "q4m";
    return isSpared ? "q6m" : "q4s";
  }
  if (quantization === "q4" || GROUPS[quantization] !== undefined) {
    if (kept === "q4" || kept === "q4m") return kept;
    // Four bits cost the embedding and head 7 % of perplexity, six bits 0.1 %.
    return role === "embedding" ? "q6m" : "q4m";
  }
  const form = quantization === "q8" || quantization === "int8" ? "q8" : kept;
  return profile === "small" && role === "embedding" && form === "q8" ? "q6m" : form;
}
