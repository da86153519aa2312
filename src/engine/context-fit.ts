/** How many positions fit a memory budget. */
import { WASM32_BYTES } from "../backends/wasm/memory-layout.ts";
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
  }
  const wanted = wholeTiles(asked ?? limit);
  if (total(wanted) <= budgetBytes) return wanted;
  const largest = largestWithin(wanted, budgetBytes, total);
  if (largest === 0) {
    throw new PronkError(
      "out_of_memory",
      `plan: ${inWords(total(CTX_MULTIPLE))} for ${CTX_MULTIPLE} positions, ${nameLimit(budgetBytes)}`,
    );
  }
  if (asked === undefined) return largest;
  throw new PronkError(
    "out_of_memory",
    `plan: ctx ${wanted} needs ${inWords(total(wanted))}, ${nameLimit(budgetBytes)}: ${largest} positions fit`,
  );
}

function wholeTiles(ctx: number): number {
  return Math.ceil(ctx / CTX_MULTIPLE) * CTX_MULTIPLE;
}

/** Below `tooLarge`; 0 where nothing fits. */
function largestWithin(
  tooLarge: number,
  budgetBytes: number,
  total: (ctx: number) => number,
): number {
  let low = 0; // in units of CTX_MULTIPLE: fits
  let high = tooLarge / CTX_MULTIPLE;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (total(middle * CTX_MULTIPLE) <= budgetBytes) low = middle;
    else high = middle;
  }
  return low * CTX_MULTIPLE;
}

function inWords(bytes: number): string {
  const gibibytes = bytes > WASM32_BYTES ? ` (${(bytes / 2 ** 30).toFixed(2)} GiB)` : "";
  return `${bytes} bytes${gibibytes}`;
}

function nameLimit(budgetBytes: number): string {
  return budgetBytes < WASM32_BYTES ? `the budget is ${budgetBytes}` : "wasm32 holds 4 GiB";
}
