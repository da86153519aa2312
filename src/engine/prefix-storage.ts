/**
 * Beginnings of texts between the slots' caches and storage, as snapshots in pieces: no more than a layer of them is in
 * memory beside the cache itself. Nothing is computed, and no slot is kept from anybody: what a cache does not hold is
 * not saved, and where no slot is free nothing is restored.
 */
import type { AdapterChoice } from "../generate/request.ts";
import { heldTokens } from "./prefix-cache.ts";
import type { Scheduler } from "./scheduler.ts";

/** A text that is, was or will be a prompt. */
export interface PrefixRequest {
  readonly ids: readonly number[];
  /** As a generation's. */
  readonly adapters?: readonly AdapterChoice[] | undefined;
  /** As the call's: what others have of the text is not there. */
  readonly cacheSalt?: string | undefined;
}

export interface PrefixStorage {
  /**
   * Of the model, the adapters and the salt: what was saved under a key can be restored under the same.
   *
   * @throws PronkError "not_found" for an adapter; "bad_request".
   */
  key(adapters?: readonly AdapterChoice[], cacheSalt?: string): string;
  /** How many tokens of a text's beginning any cache holds. @throws PronkError "not_found". */
  held(request: PrefixRequest): number;
  /**
   * Gives what a cache holds of a text's beginning to `write`, as saveSnapshot()'s bytes in pieces, each to
   * be used before `write` returns: between two batches each, so that others' tokens go on. Gives how many tokens they are; 0 where the cache
   * lost them meanwhile: what was written is of no use then.
   *
   * @throws PronkError "unsupported" where keys depend on how a text was cut; "not_found"; "engine_failed"; what `write`
   *   throws.
   */
  save(request: PrefixRequest, write: (piece: Uint8Array) => void): Promise<number>;
  /**
   * Puts saved pieces into a free slot, all at once; gives how many tokens. 0: no slot is free, `pieces` was not read.
   *
   * @param request.ids not used: the pieces have them.
   * @throws PronkError as loadSnapshot(); what `pieces` throws.
   */
  restore(
    request: Pick<PrefixRequest, "adapters" | "cacheSalt">,
    pieces: () => Iterable<Uint8Array>,
  ): Promise<number>;
}

/** Some 10 ms, most of them the hash. */
const STEP_BYTES = 2 ** 20;

type Caches = Pick<Scheduler, "prefixes" | "snapshots" | "adapters" | "alone">;

/** @param fingerprint the model's. @param stepBytes written between two batches. */
export function prefixStorage(
  caches: Caches,
  runtime: { yieldTask(): Promise<void> },
  fingerprint: string,
  stepBytes: number = STEP_BYTES,
): PrefixStorage {
  const { prefixes, snapshots, adapters } = caches;
  return {
    key(choices, cacheSalt) {
      const { parts, spans, salt } = adapters.resolve(choices, cacheSalt);
      const mix = parts.map((one, i) => [one.fingerprint, spans[i]?.scale]);
      return JSON.stringify([fingerprint, ...mix, ...(salt === undefined ? [] : [salt])]);
    },
    held({ ids, adapters: choices, cacheSalt }) {
      return prefixes.longest(ids, adapters.resolve(choices, cacheSalt).key)?.tokens ?? 0;
    },
    async save({ ids, adapters: choices, cacheSalt }, write) {
      snapshots.check();
      const mix = adapters.resolve(choices, cacheSalt);
      const found = prefixes.longest(ids, mix.key);
      if (found === undefined) return 0;
      const { slot, tokens } = found;
      const saved = ids.slice(0, tokens);
      const names = mix.parts.map((one, i) => [one.fingerprint, mix.spans[i]?.scale ?? 0] as const);
      const pieces = snapshots.encodePieces(saved, names, slot.index);
      /** Bits of the same tokens are the same, also where they were computed again meanwhile. */
      const isHeld = (): boolean => heldTokens(slot, saved, mix.key) === tokens;
      for (;;) {
        const isEnd = await caches.alone(() =>
          isHeld() ? writeSome(pieces, stepBytes, write) : undefined,
        );
        if (isEnd === undefined) return 0;
        if (isEnd) return tokens;
        await runtime.yieldTask();
      }
    },
    restore({ adapters: choices, cacheSalt }, pieces) {
      const { key, sharedKey } = adapters.resolve(choices, cacheSalt);
      return caches.alone(() => {
        const slot = prefixes.cheapest();
        if (slot === undefined) return 0;
        prefixes.evict(slot, 0);
        const ids = snapshots.restorePieces(pieces(), slot.index, sharedKey);
        slot.ids.set(ids);
        slot.length = ids.length;
        slot.key = key;
        prefixes.leave(slot);
        return ids.length;
      });
    },
  };
}

/** Whether these were the last; a promise only where a piece is one. */
function writeSome(
  pieces: Iterator<Uint8Array | Promise<Uint8Array>>,
  bytes: number,
  write: (piece: Uint8Array) => void,
): boolean | Promise<boolean> {
  for (let left = bytes; left > 0; ) {
    const { done, value: piece } = pieces.next();
    if (done) return true;
    if (piece instanceof Promise) {
      const before = left;
      return piece.then((saved) => {
        write(saved);
        return writeSome(pieces, before - saved.length, write);
      });
    }
    write(piece);
    left -= piece.length;
  }
  return false;
}
