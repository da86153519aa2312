/**
 * `pruning/ID.json`: somebody deletes old releases. Written before it is looked once more which ones nobody needs, and
 * removed when they are gone: a deployment that became current too late to be seen by that look sees the mark, waits until
 * it has gone, and sends again what was taken from it.
 */
import { sha256 } from "../../pack/digest.ts";
import type { Sleep } from "../../sources/sleep.ts";
import type { Bucket } from "./bucket.ts";

const MARKS = "pruning/";

/** Deleting takes seconds; a mark that stays so long is of a process that was killed, which deletes nothing any more. */
const PATIENCE_MS = 30_000;
const POLL_MS = 500;

export async function withPruneMark<Result>(
  bucket: Bucket,
  work: () => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  if (!bucket.asks) return work();
  const key = `${MARKS}${crypto.randomUUID()}.json`;
  const bytes = new TextEncoder().encode("{}\n");
  const contentType = "application/json";
  const hash = await sha256(bytes);
  await bucket.write({ key, bytes, sha256: hash, contentType, immutable: false }, signal);
  try {
    return await work();
  } finally {
    // Where this fails, others wait for nothing once.
    await bucket.remove(key, signal).catch(() => undefined);
  }
}

/** Waits while somebody deletes, and removes the marks of those who did not come to their end. */
export async function untilPruned(
  bucket: Bucket,
  sleep: Sleep,
  signal: AbortSignal,
): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const marks = (await bucket.keys(signal)).filter((key) => key.startsWith(MARKS));
    if (marks.length === 0) return;
    if (waitedMs >= PATIENCE_MS) {
      for (const key of marks) await bucket.remove(key, signal);
      return;
    }
    await sleep(POLL_MS, signal);
  }
}
