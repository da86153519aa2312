/**
 * Truncation of LlamaTokenizer, which gives the ids that it cut off.
 *
 * Source: truncate_sequences() in transformers 4.57, tokenization_utils_base.py.
 */
import { PronkError } from "../../errors.ts";
import type { Side } from "../../tokenizers/pipeline/encoding.ts";
import type { CallPlan } from "./call-plan.ts";

export interface Truncated {
  readonly ids: readonly number[];
  readonly pair: readonly number[] | undefined;
  /** What was cut off, with `stride` tokens of what was not; none of pairs by longest_first. */
  readonly overflowing: number[];
}

/** @throws PronkError "bad_request" where a sequence is too short to be cut. */
export function truncateSlow(
  ids: readonly number[],
  pair: readonly number[] | undefined,
  excess: number,
  strategy: NonNullable<CallPlan["truncation"]>,
  stride: number,
  side: Side,
): Truncated {
  if (excess <= 0) return { ids, pair, overflowing: [] };
  if (strategy === "longest_first" && pair !== undefined) {
    const [a, b] = shares(ids.length, pair.length, excess);
    return { ids: cut(ids, a, side), pair: cut(pair, b, side), overflowing: [] };
  }
  const target = strategy === "only_second" ? pair : ids;
  if (target === undefined || target.length <= excess) {
    const found = target === undefined ? "no second text" : `${target.length} tokens`;
    throw new PronkError(
      "bad_request",
      `tokenizer: truncation ${strategy}: ${excess} tokens to remove, ${found}`,
      { param: "max_length" },
    );
  }
  const window = Math.min(target.length, stride + excess);
  const overflowing =
    side === "left" ? target.slice(0, window) : target.slice(target.length - window);
  const kept = cut(target, excess, side);
  return strategy === "only_second"
    ? { ids, pair: kept, overflowing }
    : { ids: kept, pair, overflowing };
}

/** How many each loses: first what one is longer, then half each. */
function shares(a: number, b: number, excess: number): [number, number] {
  const first = Math.min(Math.abs(a - b), excess);
  const half = Math.floor((excess - first) / 2);
  const rest = excess - first - half;
  return a > b ? [first + half, rest] : [half, first + rest];
}

function cut(ids: readonly number[], count: number, side: Side): readonly number[] {
  return side === "left" ? ids.slice(count) : ids.slice(0, Math.max(0, ids.length - count));
}
