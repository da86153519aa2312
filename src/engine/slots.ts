/** The runner's slots: which sequence has which, and which tokens their part of the KV cache holds. */
import type { Sequence } from "./sequence.ts";

export interface Slot {
  readonly index: number;
  /** (ctx,); the first `length` are the tokens whose keys and values are in the cache. */
  readonly ids: Int32Array;
  length: number;
  /** The mix of adapters that they were run with (AdapterMix.key). */
  adapters: string;
  /** Whether another text may go on from what the cache holds (Runner.isCutDependent). */
  readonly isReusable: boolean;
  /** undefined: free. What its cache holds may still be the start of another prompt. */
  sequence: Sequence | undefined;
  /** Lent to work that is no generation: not free. */
  isLent: boolean;
  /** Grows with each use; the free slot with the smallest is the least recently used. */
  used: number;
}

export function createSlots(count: number, ctx: number, isReusable = true): Slot[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    ids: new Int32Array(ctx),
    length: 0,
    adapters: "",
    isReusable,
    sequence: undefined,
    isLent: false,
    used: 0,
  }));
}

/**
 * The free slot whose cache begins with most of `ids` by the same adapters, the least recently used of
 * equals, and how many tokens of it count; undefined when none is free. The last token never counts:
 * running it again is what gives the logits.
 */
export function chooseSlot(
  slots: readonly Slot[],
  ids: Int32Array,
  adapters: string,
): { slot: Slot; cached: number } | undefined {
  let best: { slot: Slot; cached: number } | undefined;
  for (const slot of slots) {
    if (slot.sequence !== undefined || slot.isLent) continue;
    const cached = commonPrefix(slot, ids, adapters);
    if (
      best === undefined ||
      cached > best.cached ||
      (cached === best.cached && slot.used < best.slot.used)
    ) {
      best = { slot, cached };
    }
  }
  return best;
}

/** Tokens of `ids`, all but the last, that the slot's cache begins with; none by other adapters. */
export function commonPrefix(slot: Slot, ids: Int32Array, adapters: string): number {
  if (!slot.isReusable || slot.adapters !== adapters) return 0;
  const most = Math.min(slot.length, ids.length - 1);
  let length = 0;
  while (length < most && slot.ids[length] === ids[length]) length++;
  return length;
}
