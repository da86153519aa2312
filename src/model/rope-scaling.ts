/**
 * The scalings of the rotary embedding as configurations spell them: `rope_scaling` with `type` or `rope_type`, and
 * `rope_parameters` of transformers 5. What defaults to other fields is filled in once, so that backends need only this.
 *
 * Source: transformers/modeling_rope_utils.py (4.57), whose defaults these are.
 */
import { PronkError } from "../errors.ts";
import { shown } from "../formats/printable.ts";
import { naturalLog } from "./natural-log.ts";

export type RopeScaling =
  | { readonly rope_type: "default" }
  | { readonly rope_type: "linear"; readonly factor: number }
  | {
      /** NTK: the base grows with the sequence beyond max_position_embeddings. */
      readonly rope_type: "dynamic";
      readonly factor: number;
    }
  | {
      readonly rope_type: "yarn";
      readonly factor: number;
      readonly original_max_position_embeddings: number;
      readonly attention_factor: number;
      readonly beta_fast: number;
      readonly beta_slow: number;
      /** Whether the ramp starts and ends at whole dimensions. */
      readonly truncate: boolean;
    }
  | {
      readonly rope_type: "llama3";
      readonly factor: number;
      readonly low_freq_factor: number;
      readonly high_freq_factor: number;
      readonly original_max_position_embeddings: number;
    }
  | {
      /** One divisor per frequency, another list for sequences beyond the original length; GGUF's rope_freqs with equal lists. */
      readonly rope_type: "longrope";
      readonly short_factor: readonly number[];
      readonly long_factor: readonly number[];
      readonly original_max_position_embeddings: number;
      readonly attention_factor: number;
    };

export const ROPE_TYPES: readonly RopeScaling["rope_type"][] = [
  "default",
  "linear",
  "dynamic",
  "yarn",
  "longrope",
  "llama3",
];

/** What scalings take from the rest of a configuration. */
export interface RopeContext {
  /** head_dim / 2. */
  readonly half: number;
  readonly max_position_embeddings: number;
  /** The field beside rope_scaling, which longrope's models have. */
  readonly original_max_position_embeddings: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads `rope_scaling`, or `rope_parameters`; null means none.
 *
 * @param where for errors: `config.json: rope_scaling`.
 * @throws PronkError "bad_format" naming the field and its value; "unsupported" for other types.
 */
export function parseRopeScaling(
  value: unknown,
  context: RopeContext,
  where: string,
): RopeScaling | null {
  if (value === null || value === undefined) return null;
  const bad = (why: string): PronkError => new PronkError("bad_format", `${where}: ${why}`);
  if (typeof value !== "object" || Array.isArray(value))
    throw bad(`${shown(value)} is not an object`);
  const data = value as Fields;
  const checked = (field: string, found: unknown): number => {
    if (typeof found !== "number" || !(found > 0) || !Number.isFinite(found)) {
      throw bad(`${field}: ${shown(found)} is not a positive number`);
    }
    return found;
  };
  const number = (field: string): number => checked(field, data[field]);
  const optional = (field: string): number | undefined =>
    data[field] === undefined || data[field] === null ? undefined : number(field);
  const factor = (): number => {
    const found = number("factor");
    if (found < 1) throw bad(`factor: ${found} is below 1`);
    return found;
  };
  const factors = (field: string): number[] => {
    const found = data[field];
    if (
      !Array.isArray(found) ||
      found.length !== context.half ||
      !found.every((x) => typeof x === "number" && x > 0 && Number.isFinite(x))
    ) {
      throw bad(`${field}: not a list of ${context.half} positive numbers`);
    }
    return found;
  };
  const rope_type = data.rope_type ?? data.type ?? "default";
  switch (rope_type) {
    case "default":
      return { rope_type: "default" };
    case "linear":
      return { rope_type: "linear", factor: factor() };
    case "dynamic":
      return { rope_type: "dynamic", factor: factor() };
    case "yarn": {
      const scale = factor();
      const truncate = data.truncate ?? true;
      if (typeof truncate !== "boolean") throw bad(`truncate: ${shown(truncate)} is not a boolean`);
      const beta_fast = optional("beta_fast") ?? 32;
      const beta_slow = optional("beta_slow") ?? 1;
      if (beta_fast < beta_slow)
        throw bad(`beta_fast ${beta_fast} is below beta_slow ${beta_slow}`);
      const mscale = optional("mscale");
      const ofAllDimensions = optional("mscale_all_dim");
      return {
        rope_type: "yarn",
        factor: scale,
        original_max_position_embeddings:
          optional("original_max_position_embeddings") ?? context.max_position_embeddings,
        attention_factor:
          optional("attention_factor") ??
          (mscale !== undefined && ofAllDimensions !== undefined
            ? yarnScale(scale, mscale) / yarnScale(scale, ofAllDimensions)
            : yarnScale(scale, 1)),
        beta_fast,
        beta_slow,
        truncate,
      };
    }
    case "llama3": {
      const low_freq_factor = number("low_freq_factor");
      const high_freq_factor = number("high_freq_factor");
      if (high_freq_factor <= low_freq_factor) {
        throw bad(
          `high_freq_factor ${high_freq_factor} is not above low_freq_factor ${low_freq_factor}`,
        );
      }
      return {
        rope_type: "llama3",
        factor: factor(),
        low_freq_factor,
        high_freq_factor,
        original_max_position_embeddings: number("original_max_position_embeddings"),
      };
    }
    case "longrope":
      return {
        rope_type: "longrope",
        short_factor: factors("short_factor"),
        long_factor: factors("long_factor"),
        ...longropeLengths(context, optional, checked),
      };
    default:
      throw new PronkError(
        "unsupported",
        `${where}: type ${shown(rope_type)}; runs: ${ROPE_TYPES.join(", ")}`,
      );
  }
}

/**
 * With the original length beside rope_scaling the factor is the ratio of the two lengths, whatever `factor` says;
 * with one inside it (transformers 5) only where there is no factor.
 */
function longropeLengths(
  { max_position_embeddings, original_max_position_embeddings: outer }: RopeContext,
  optional: (field: string) => number | undefined,
  checked: (field: string, found: unknown) => number,
): { original_max_position_embeddings: number; attention_factor: number } {
  const beside =
    outer === undefined || outer === null
      ? undefined
      : checked("original_max_position_embeddings", outer);
  const inside = optional("original_max_position_embeddings");
  const original = beside ?? inside ?? max_position_embeddings;
  const ratio = max_position_embeddings / original;
  const given = optional("attention_factor");
  if (given !== undefined) {
    return { original_max_position_embeddings: original, attention_factor: given };
  }
  const factor =
    beside !== undefined
      ? ratio
      : (optional("factor") ?? (inside === undefined ? checked("factor", undefined) : ratio));
  return {
    original_max_position_embeddings: original,
    attention_factor: factor <= 1 ? 1 : Math.sqrt(1 + naturalLog(factor) / naturalLog(original)),
  };
}

/** The paper's temperature (arXiv:2309.00071). */
export function yarnScale(factor: number, mscale: number): number {
  return factor <= 1 ? 1 : 0.1 * mscale * naturalLog(factor) + 1;
}
