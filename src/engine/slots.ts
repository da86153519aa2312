/** The runner's slots: which sequence has which, and which tokens their part of the KV cache holds. */
import type { Sequence } from "./sequence.ts";

export interface Slot {
  readonly index: number;
  /** (ctx,); the first `length` are the tokens whose keys and values are in the cache. */
  readonly ids: Int32Array;
  length: number;
  /** What they were run with, and for whom (AdapterMix.key). */
  key: string;
  /** Whether another text may go on from what the cache holds (Runner.isCutDependent). */
  readonly isReusable: boolean;
  /** undefined: free. What its cache holds may still be the start of another prompt. */
  sequence: Sequence | undefined;
  /** Lent to work that is no generation: not free. */
  isLent: boolean;
  /** Grows with each use; the free slot with the smallest is the least recently used. */
  used: number;
  /** What had been evicted, in tokens, when it was last used: the cache's age (PrefixCache). */
  evicted: number;
  /** Its prompt begins as one that is being read elsewhere: it waits for that. */
  follows: Followed | undefined;
}

/** A prompt that another one begins like. */
export interface Followed {
  readonly slot: Slot;
  readonly sequence: Sequence;
  /** Tokens that both begin with. */
  readonly shared: number;
}

export function createSlots(count: number, ctx: number, isReusable = true): Slot[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    ids: new Int32Array(ctx),
    length: 0,
    key: "",
    isReusable,
    sequence: undefined,
    isLent: false,
    used: 0,
    evicted: 0,
    follows: undefined,
  }));
}

/** Tokens of `other`, all but the last, that the slot's cache begins with; none by another key. */
export function commonPrefix(
  { isReusable, key: own, ids, length }: Pick<Slot, "isReusable" | "key" | "ids" | "length">,
  other: Int32Array,
  key: string,
): number {
  if (!isReusable || own !== key) return 0;
  return commonLength(ids.subarray(0, length), other.subarray(0, Math.max(0, other.length - 1)));
}

/** Ids that both begin with. */
export function commonLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
