/** Reads a text in a lent slot, what other slots hold of it copied, and gives its keys and values as bytes. */
import { PronkError, throwIfAborted } from "../errors.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SlotLoan } from "./slot-lender.ts";
import type { SnapshotInfo, SnapshotStore } from "./snapshots.ts";

/**
 * @throws PronkError "bad_request" on ids that the model does not have; "context_overflow"; "unsupported" where keys
 *   depend on how a text was cut; "aborted"; "engine_failed".
 */
export async function saveSnapshot(
  loan: SlotLoan,
  snapshots: SnapshotStore,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { runner, slot, adapters = [], mix } = loan;
  snapshots.check();
  const held = await loan.alone(() => loan.fill(ids));
  for (let start = held; start < ids.length; ) {
    throwIfAborted(signal);
    const count = Math.min(runner.maxRows, ids.length - start);
    const span = { slot, start, count, ...(adapters.length > 0 && { adapters }) };
    const rows = ids.slice(start, start + count);
    await loan.run({ ids: rows, spans: [span], logitsRows: [] }, () => {});
    start += count;
  }
  const layers = await loan.alone(() => snapshots.read(slot, ids.length));
  loan.keep(ids);
  const saved = mix.parts.map(
    ({ fingerprint }, i) => [fingerprint, mix.spans[i]?.scale ?? 0] as const,
  );
  return snapshots.encode(ids, saved, layers);
}

/**
 * Keeps a snapshot; the text of one that another backend made of this model is read again, in a slot.
 *
 * @throws PronkError as SnapshotStore.load and saveSnapshot.
 */
export async function loadSnapshot(
  scheduler: Pick<Scheduler, "snapshots" | "lend">,
  bytes: Uint8Array,
): Promise<SnapshotInfo> {
  const { snapshots } = scheduler;
  const found = await snapshots.load(bytes);
  if ("tokens" in found) return found;
  const { ids, adapters } = found;
  const own = await scheduler.lend(
    (loan) => saveSnapshot(loan, snapshots, ids, undefined),
    {},
    adapters,
  );
  const again = await snapshots.load(own);
  if ("tokens" in again) return again;
  throw new PronkError("engine_failed", "snapshot: one that was made here is another's");
}

/** Before a slot is waited for. */
export function checkSnapshotIds(ids: readonly number[], vocab: number, ctx: number): void {
  const param = "prompt_ids";
  if (ids.length === 0) throw new PronkError("bad_request", `${param}: empty`, { param });
  if (ids.length > ctx) {
    const found = `${ids.length} tokens do not fit the context of ${ctx}`;
    throw new PronkError("context_overflow", `${param}: ${found}`, { param });
  }
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (wrong === undefined) return;
  throw new PronkError("bad_request", `${param}: ${wrong} is no token of ${vocab}`, { param });
}
