/** What every source checks before it reads. */
import { PronkError, throwIfAborted } from "../errors.ts";
import type { ByteSource } from "./source.ts";

/**
 * @throws PronkError "source_failed" when the source has no such bytes; "aborted".
 */
export function checkRead(
  source: Pick<ByteSource, "name" | "size">,
  destination: Uint8Array,
  start: number,
  signal: AbortSignal | undefined,
): void {
  throwIfAborted(signal);
  const end = start + destination.length;
  if (Number.isSafeInteger(start) && start >= 0 && end <= source.size) return;
  throw new PronkError(
    "source_failed",
    `${source.name}: bytes [${start}, ${end}) asked, it has ${source.size}`,
  );
}
