/**
 * Which adapters a sequence runs with, and whose prefixes it shares. Two mixes with one key give the same keys and
 * values for the same tokens and are of one owner; caches of others are never gone on from.
 */
import type { Span } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";

/** A mix in the runner's terms. */
export interface AdapterMix {
  /** Equal for equal mixes of one salt, whatever the order they were named in; "" for the model alone without one. */
  readonly key: string;
  /** The key without a salt: of what is everybody's. */
  readonly sharedKey: string;
  /** CallOptions.cacheSalt. */
  readonly salt: string | undefined;
  readonly spans: NonNullable<Span["adapters"]>;
}

/** The model alone. */
export const NO_ADAPTERS: AdapterMix = { key: "", sharedKey: "", salt: undefined, spans: [] };

/** The mix for who has this salt. @throws PronkError "bad_request" on a salt that is none. */
export function salted<Mix extends AdapterMix>(mix: Mix, salt: string | undefined): Mix {
  if (salt === undefined) return mix;
  // It may come from elsewhere, as JSON: two objects would be one text.
  if (typeof salt !== "string" || salt === "") {
    const param = "cacheSalt";
    throw new PronkError("bad_request", `${param}: expected a text that is not empty`, { param });
  }
  // Keys of adapters have no space.
  return { ...mix, key: `${mix.sharedKey} ${salt}`, salt };
}

/** Beyond this a delta drowns its model; far beyond, f32 overflows. */
export const MAX_ADAPTER_SCALE = 100;

/** @throws PronkError "bad_request" unless the scale is a number that a delta can have. */
export function checkAdapterScale(scale: number, where: string, param: string): void {
  if (typeof scale === "number" && scale >= -MAX_ADAPTER_SCALE && scale <= MAX_ADAPTER_SCALE)
    return;
  throw new PronkError(
    "bad_request",
    `${where}: scale ${scale} is not a number from ${-MAX_ADAPTER_SCALE} to ${MAX_ADAPTER_SCALE}`,
    { param },
  );
}
