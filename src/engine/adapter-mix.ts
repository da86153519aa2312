/**
 * Which adapters a sequence runs with. Two mixes with one key give the same keys and values for the
 * same tokens; caches of other mixes are never gone on from.
 */
import type { Span } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";

/** A mix in the runner's terms. */
export interface AdapterMix {
  /** Equal for equal mixes, whatever the order they were named in; "" for the model alone. */
  readonly key: string;
  readonly spans: NonNullable<Span["adapters"]>;
}

/** The model alone. */
export const NO_ADAPTERS: AdapterMix = { key: "", spans: [] };

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
