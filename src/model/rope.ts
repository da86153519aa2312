/**
 * Frequencies of the rotary embedding, with every scaling that runs, the same bits on every engine:
 * only + - * / and sqrt of f64, which IEEE 754 defines to the last bit, never Math.pow.
 *
 * Source: RoFormer (arXiv:2104.09864); transformers/modeling_rope_utils.py for the scalings.
 */
import type { LlamaConfig } from "./config.ts";

export interface RopeFrequencies {
  /** (head_dim / 2,) radians a position. */
  readonly inverse: Float64Array;
  /** Factor on cosine and sine. */
  readonly attentionFactor: number;
}

export function ropeFrequencies(config: LlamaConfig): RopeFrequencies {
  const half = config.head_dim / 2;
  const inverse = new Float64Array(half);
  for (let i = 0; i < half; i++) inverse[i] = 1 / power(config.rope_theta, i / half);

  const scaling = config.rope_scaling;
  if (scaling?.rope_type === "linear") {
    for (let i = 0; i < half; i++) inverse[i] /= scaling.factor;
  } else if (scaling?.rope_type === "llama3") {
    const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
    const original = scaling.original_max_position_embeddings;
    for (let i = 0; i < half; i++) {
      const turns = (original * inverse[i]) / (2 * Math.PI);
      const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
      inverse[i] = (inverse[i] / factor) * (1 - smooth) + inverse[i] * smooth;
    }
  } else if (scaling?.rope_type === "longrope") {
    for (let i = 0; i < half; i++) inverse[i] /= scaling.short_factor[i];
  }
  return {
    inverse,
    attentionFactor: scaling?.rope_type === "longrope" ? scaling.attention_factor : 1,
  };
}

/** Bits of the exponent: one more than f64 can tell apart. */
const EXPONENT_BITS = 54;

/** base^exponent for 0 <= exponent < 1, by square roots: the product of base^(2^-k) over its bits. */
function power(base: number, exponent: number): number {
  let result = 1;
  let root = base;
  let rest = exponent;
  for (let k = 0; k < EXPONENT_BITS && rest > 0; k++) {
    root = Math.sqrt(root);
    rest *= 2;
    if (rest >= 1) {
      result *= root;
      rest -= 1;
    }
  }
  return result;
}
