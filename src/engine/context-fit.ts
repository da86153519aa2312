/** How many positions fit a memory budget. */
import { PronkError } from "../errors.ts";

/** The attention kernels work on tiles of 8 positions. */
const CTX_MULTIPLE = 8;

/**
 * The largest context up to `limit` whose memory is within the budget, or the asked one.
 *
 * @param total bytes of the whole plan at a context; grows with it.
 * @throws PronkError "out_of_memory" with the numbers; "bad_request" for a context over the model's.
 */
export function fitContext(
  asked: number | undefined,
  limit: number,
  budgetBytes: number,
  total: (ctx: number) => number,
): number {
  if (asked !== undefined) {
    if (!Number.isInteger(asked) || asked < 1) {
      throw new PronkError("bad_request", `ctx ${asked} is not a positive integer`, {
        param: "ctx",
      });
    }
    if (asked > limit) {
      throw new PronkError("bad_request", `ctx ${asked}: the model has ${limit} positions`, {
        param: "ctx",
      });
    }
    const ctx = Math.ceil(asked / CTX_MULTIPLE) * CTX_MULTIPLE;
    if (total(ctx) > budgetBytes) {
      throw new PronkError(
        "out_of_memory",
        `ctx ${ctx} needs ${total(ctx)} bytes, the budget is ${budgetBytes}`,
      );
    }
    return ctx;
  }
  let low = 0; // in units of CTX_MULTIPLE: fits
  let high = Math.ceil(limit / CTX_MULTIPLE);
  if (total(high * CTX_MULTIPLE) <= budgetBytes) return high * CTX_MULTIPLE;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (total(middle * CTX_MULTIPLE) <= budgetBytes) low = middle;
    else high = middle;
  }
  if (low === 0) {
    throw new PronkError(
      "out_of_memory",
      `${total(CTX_MULTIPLE)} bytes for ${CTX_MULTIPLE} positions, the budget is ${budgetBytes}`,
    );
  }
  return low * CTX_MULTIPLE;
}
