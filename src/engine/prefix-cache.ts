/**
 * What the slots' caches hold as one cache of beginnings: which slot a prompt gets, what is copied
 * there from others instead of being computed again, and what is given up for it.
 *
 * Eviction is GreedyDual (Young, 1994): least recently used, but what cost more to compute stays
 * longer. Costs are counted in tokens to be computed; a slot's worth is what its cache holds less
 * what has been evicted elsewhere since it was used, so that nothing stays for ever.
 */
import type { Runner } from "../backends/backend.ts";
import type { Sequence } from "./sequence.ts";
import { commonLength, commonPrefix, type Slot } from "./slots.ts";
import type { SnapshotStore } from "./snapshots.ts";

/** Positions whose copying takes as long as computing one: 23 KB each, of 1 ms and more a token. */
const COPIED_PER_TOKEN = 128;

/** Tokens in common at least for a prompt to wait for one that is being read: less is read sooner. */
const LEAST_FOLLOWED = 16;

export class PrefixCache {
  readonly #slots: readonly Slot[];
  readonly #runner: Pick<Runner, "copySlot">;
  readonly #snapshots: Pick<SnapshotStore, "find" | "restore">;
  /** GreedyDual's inflation, in tokens. */
  #evicted = 0;

  constructor(
    slots: readonly Slot[],
    runner: Pick<Runner, "copySlot">,
    snapshots: Pick<SnapshotStore, "find" | "restore">,
  ) {
    this.#slots = slots;
    this.#runner = runner;
    this.#snapshots = snapshots;
  }

  /**
   * The slot for a sequence, with as much of its tokens as any slot's cache has, and how many these
   * are; undefined when none is free. The last token never counts: running it again is what gives
   * the logits. What it takes is at once the sequence's. Not while a batch is being run.
   */
  take(sequence: Sequence): { slot: Slot; cached: number } | undefined {
    const ids = sequence.ids.subarray(0, sequence.length);
    const { key, sharedKey } = sequence.adapters;
    const held = this.#slots.map((slot) => (slot.isLent ? 0 : commonPrefix(slot, ids, key)));
    const inSlots = Math.max(...held);
    const source = this.#slots[held.indexOf(inSlots)];
    const saved = this.#snapshots.find(ids, sharedKey, inSlots);
    const most = saved?.cached ?? inSlots;
    let best: { slot: Slot; cost: number; cached: number } | undefined;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.sequence !== undefined || slot.isLent) continue;
      const cached = held[index];
      const copied = cached < most ? most / COPIED_PER_TOKEN : 0;
      const cost = this.#worth(slot, cached) + copied;
      if (best === undefined || cost < best.cost || (cost === best.cost && isBetter())) {
        best = { slot, cost, cached };
      }
      function isBetter(): boolean {
        if (best === undefined || cached !== best.cached) return cached > (best?.cached ?? 0);
        return slot.used < best.slot.used;
      }
    }
    if (best === undefined) return undefined;
    const { slot, cached } = best;
    this.evict(slot, cached);
    slot.key = key;
    slot.sequence = sequence;
    if (cached < most) {
      if (saved !== undefined) this.#snapshots.restore(saved, slot);
      else if (source !== undefined) this.#copy(source, slot, most);
    }
    slot.follows = this.#leader(slot, ids, key);
    return { slot, cached: slot.length };
  }

  /** Copies as much of `ids` as any slot has to a lent one; gives how many tokens. Not while a batch is being run. */
  fill(slot: Slot, ids: Int32Array, key: string): number {
    const held = this.#slots.map((one) => (one.isLent ? 0 : commonPrefix(one, ids, key)));
    const most = Math.max(...held);
    if (most > 0) this.#copy(this.#slots[held.indexOf(most)], slot, most);
    return most;
  }

  /** Where most of `ids` is held, all of them if need be, and how many tokens; undefined where nothing is. */
  longest(ids: ArrayLike<number>, key: string): { slot: Slot; tokens: number } | undefined {
    let best: { slot: Slot; tokens: number } | undefined;
    for (const slot of this.#slots) {
      const tokens = heldTokens(slot, ids, key);
      if (tokens > (best?.tokens ?? 0)) best = { slot, tokens };
    }
    return best;
  }

  /** Gives up what a slot's cache holds beyond its first `kept` tokens. */
  evict(slot: Slot, kept: number): void {
    this.#evicted += this.#worth(slot, kept);
    slot.length = kept;
    slot.evicted = this.#evicted;
  }

  /** To be called when a sequence leaves a slot: its cache is as young as can be. */
  leave(slot: Slot): void {
    slot.sequence = undefined;
    slot.follows = undefined;
    slot.evicted = this.#evicted;
  }

  /** The free slot whose cache is worth least. */
  cheapest(): Slot | undefined {
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.sequence !== undefined || slot.isLent) continue;
      const gain = best === undefined ? 1 : this.#worth(best, 0) - this.#worth(slot, 0);
      if (best === undefined || gain > 0 || (gain === 0 && slot.used < best.used)) best = slot;
    }
    return best;
  }

  /**
   * Copies what others have read meanwhile to those that wait for it; to be called between batches.
   * A slot that waits still has `follows`.
   *
   * @returns tokens that each sequence need not read any more.
   */
  catchUp(found: (sequence: Sequence, tokens: number) => void): void {
    for (const slot of this.#slots) {
      const { follows, sequence } = slot;
      if (follows === undefined || sequence === undefined) continue;
      const isReading = follows.slot.sequence === follows.sequence;
      if (isReading && follows.slot.length < follows.shared) continue;
      slot.follows = undefined;
      const ids = sequence.ids.subarray(0, sequence.length);
      const held = commonPrefix(follows.slot, ids, slot.key);
      if (held <= slot.length) continue;
      const before = slot.length;
      this.#copy(follows.slot, slot, held);
      found(sequence, held - before);
    }
  }

  /** Tokens that would have to be computed again, less what the cache's age takes off. */
  #worth(slot: Slot, kept: number): number {
    return Math.max(0, slot.length - kept - (this.#evicted - slot.evicted));
  }

  #copy(from: Slot, to: Slot, length: number): void {
    this.#runner.copySlot(from.index, to.index, length);
    to.ids.set(from.ids.subarray(0, length));
    to.length = length;
  }

  /** The earliest of the prompts that are being read and have more in common with `ids` than is there. */
  #leader(slot: Slot, ids: Int32Array, key: string): Slot["follows"] {
    let best: Slot["follows"];
    for (const other of this.#slots) {
      const { sequence } = other;
      if (sequence === undefined || other === slot || other.key !== key) continue;
      if (!other.isReusable || sequence.arrival > (slot.sequence?.arrival ?? 0)) continue;
      const theirs = sequence.ids.subarray(0, sequence.length);
      const shared = Math.min(commonLength(theirs, ids), ids.length - 1);
      if (shared < slot.length + LEAST_FOLLOWED || shared <= (best?.shared ?? 0)) continue;
      best = { slot: other, sequence, shared };
    }
    return best;
  }
}

/** How many of `ids`, all of them if need be, a slot's cache begins with. */
export function heldTokens(slot: Slot, ids: ArrayLike<number>, key: string): number {
  if (slot.isLent || !slot.isReusable || slot.key !== key) return 0;
  return commonLength(slot.ids.subarray(0, slot.length), ids);
}
