/**
 * Frequencies of the rotary embedding, with every scaling that runs, the same bits on every engine:
 * only + - * / and sqrt of f64, which IEEE 754 defines to the last bit, never Math.pow or Math.log.
 *
 * Source: RoFormer (arXiv:2104.09864); transformers/modeling_rope_utils.py (4.57) for the scalings.
 */
import type { LlamaConfig } from "./config.ts";
import { naturalLog } from "./natural-log.ts";
import type { RopeScaling } from "./rope-scaling.ts";

export interface RopeFrequencies {
  /** (head_dim / 2,) radians a position. */
  readonly inverse: Float64Array;
  /** Factor on cosine and sine. */
  readonly attentionFactor: number;
}

type ScalingOf<Type extends RopeScaling["rope_type"]> = Extract<RopeScaling, { rope_type: Type }>;

/** Of a sequence of `length` tokens, or of any where the length does not matter. */
export function ropeFrequencies(config: LlamaConfig, length = 1): RopeFrequencies {
  const scaling = config.rope_scaling;
  const base =
    scaling?.rope_type === "dynamic" ? dynamicBase(config, scaling, length) : config.rope_theta;
  const half = config.head_dim / 2;
  const inverse = new Float64Array(half);
  for (let i = 0; i < half; i++) inverse[i] = 1 / power(base, i / half);

  switch (scaling?.rope_type) {
    case "linear":
      for (let i = 0; i < half; i++) inverse[i] /= scaling.factor;
      break;
    case "llama3":
      scaleLlama3(inverse, scaling);
      break;
    case "yarn":
      scaleYarn(inverse, scaling, config);
      return { inverse, attentionFactor: scaling.attention_factor };
    case "longrope": {
      const isLong = length > scaling.original_max_position_embeddings;
      const factors = isLong ? scaling.long_factor : scaling.short_factor;
      for (let i = 0; i < half; i++) inverse[i] /= factors[i];
      return { inverse, attentionFactor: scaling.attention_factor };
    }
  }
  return { inverse, attentionFactor: 1 };
}

/** Radians: tables are exact to the last bit of f32 below this (wasm/rope_table.c). Llama 3.1 reaches 2^17. */
const MAX_ANGLE = 2 ** 28;

/** Tokens of a sequence, which may be more than a model's positions. */
const MAX_LENGTH = 2 ** 24;

/** Whether every angle up to the last position, and its factor, is a number that tables can be made of. */
export function hasUsableAngles(config: LlamaConfig): boolean {
  const { max_position_embeddings: last } = config;
  return [1, last, MAX_LENGTH].every((length) => {
    const { inverse, attentionFactor } = ropeFrequencies(config, length);
    const isAngle = (frequency: number): boolean => frequency >= 0 && frequency * last < MAX_ANGLE;
    return inverse.every(isAngle) && Number.isFinite(Math.fround(attentionFactor));
  });
}

/**
 * Whether frequencies change as a sequence grows. Cached keys keep those that they were stored with, so what such a
 * model says depends on how its text was cut into batches.
 */
export function ropeDependsOnLength({ rope_scaling: scaling }: LlamaConfig): boolean {
  if (scaling?.rope_type === "dynamic") return true;
  return (
    scaling?.rope_type === "longrope" &&
    scaling.short_factor.some((factor, i) => factor !== scaling.long_factor[i])
  );
}

/**
 * The frequencies of one sequence as it grows, like transformers' module: dynamic scaling keeps those of the longest
 * length so far, until a shorter text than the original length starts anew.
 */
export class SequenceRope {
  readonly #config: LlamaConfig;
  readonly #original: number;
  #current: RopeFrequencies;
  /** That `current` was made for. */
  #length: number;

  constructor(config: LlamaConfig) {
    const scaling = config.rope_scaling;
    this.#config = config;
    this.#original =
      scaling?.rope_type === "longrope"
        ? scaling.original_max_position_embeddings
        : config.max_position_embeddings;
    this.#length = this.#original;
    this.#current = ropeFrequencies(config, this.#length);
  }

  /** For a batch after which the sequence has `length` tokens. */
  at(length: number): RopeFrequencies {
    if (this.#config.rope_scaling?.rope_type === "longrope") {
      this.#grow(length > this.#original ? this.#original + 1 : this.#original);
    } else if (length > this.#length) {
      this.#grow(length);
    } else if (length < this.#original) {
      this.#grow(this.#original);
    }
    return this.#current;
  }

  /** A new sequence. */
  reset(): void {
    this.#grow(this.#original);
  }

  /** A copy of another sequence of the same model. */
  become(other: SequenceRope): void {
    this.#length = other.#length;
    this.#current = other.#current;
  }

  #grow(length: number): void {
    if (length === this.#length) return;
    this.#length = length;
    this.#current = ropeFrequencies(this.#config, length);
  }
}

/** The base whose slowest frequency spreads over `length` positions (NTK-aware scaling). */
function dynamicBase(
  { rope_theta, head_dim, max_position_embeddings: original }: LlamaConfig,
  { factor }: ScalingOf<"dynamic">,
  length: number,
): number {
  const growth = (factor * Math.max(length, original)) / original - (factor - 1);
  // exponent dim / (dim - 2) = 1 + 2 / (dim - 2); a head of two has one frequency, whatever the base
  if (head_dim === 2) return rope_theta;
  return rope_theta * growth * (head_dim === 4 ? growth : power(growth, 2 / (head_dim - 2)));
}

/** Slow frequencies are divided, fast ones kept, those between mixed. */
function scaleLlama3(inverse: Float64Array, scaling: ScalingOf<"llama3">): void {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const original = scaling.original_max_position_embeddings;
  for (let i = 0; i < inverse.length; i++) {
    const turns = (original * inverse[i]) / (2 * Math.PI);
    const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    inverse[i] = (inverse[i] / factor) * (1 - smooth) + inverse[i] * smooth;
  }
}

/** What each frequency is divided by: how GGUF keeps Llama 3's scaling. */
export function llama3Divisors(
  scaling: Omit<ScalingOf<"llama3">, "rope_type">,
  base: number,
  half: number,
): number[] {
  const plain = Float64Array.from({ length: half }, (_, i) => 1 / power(base, i / half));
  const scaled = plain.slice();
  scaleLlama3(scaled, { rope_type: "llama3", ...scaling });
  return Array.from(plain, (frequency, i) => frequency / scaled[i]);
}

/** As Llama 3's, with a ramp over dimensions between those that turn beta_fast and beta_slow times (arXiv:2309.00071). */
function scaleYarn(
  inverse: Float64Array,
  scaling: ScalingOf<"yarn">,
  { head_dim: dim, rope_theta: base }: LlamaConfig,
): void {
  const { factor, original_max_position_embeddings: original, truncate } = scaling;
  const dimensionOf = (turns: number): number =>
    (dim * naturalLog(original / (turns * 2 * Math.PI))) / (2 * naturalLog(base));
  const fast = dimensionOf(scaling.beta_fast);
  const slow = dimensionOf(scaling.beta_slow);
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(truncate ? Math.ceil(slow) : slow, dim - 1);
  const width = low === high ? 0.001 : high - low; // the reference's, to avoid a division by zero
  for (let i = 0; i < inverse.length; i++) {
    const ramp = Math.min(1, Math.max(0, (i - low) / width));
    inverse[i] = (inverse[i] / factor) * ramp + inverse[i] * (1 - ramp);
  }
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
