/** Work on objects, so many at a time. */
import { PronkError } from "../../errors.ts";

/** A lane's buffer. */
export interface Spare {
  bytes: Uint8Array;
}

/** The first failure stops the other lanes, and they have ended before it is reported. */
export async function inLanes<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item, spare: Spare, stop: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const queue = items.values();
  let failure: unknown;
  const lane = async (): Promise<void> => {
    const spare = { bytes: new Uint8Array(0) };
    try {
      for (const item of queue) {
        if (either.aborted) return;
        await work(item, spare, either);
      }
    } catch (error) {
      failure ??= error;
      stop.abort();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(lanes, items.length)) }, lane));
  if (signal.aborted) throw new PronkError("aborted", "aborted", { cause: signal.reason });
  if (failure !== undefined) throw failure;
}
