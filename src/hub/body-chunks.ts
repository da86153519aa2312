/** The body of an answer, chunk by chunk, given up when it stands still or only drips. */
import { PronkError, throwIfAborted } from "../errors.ts";
import { reasonOf } from "../sources/failure.ts";
import { timerSleep } from "../sources/sleep.ts";
import { LEAST_BYTES, Watchdog } from "../sources/watchdog.ts";
import { type RemoteOptions, RetryableError } from "./remote.ts";

const STALL_TIMEOUT_MS = 30_000;

/**
 * @param where what broke, for messages
 * @throws RetryableError; PronkError "aborted".
 */
export async function* bodyChunks(
  { body }: Response,
  where: () => string,
  { stallTimeoutMs = STALL_TIMEOUT_MS, signal }: RemoteOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = body?.getReader();
  if (!reader) return;
  const watchdog = new Watchdog(timerSleep, signal);
  watchdog.watch(stallTimeoutMs, "no data", LEAST_BYTES);
  try {
    for (;;) {
      const { done, value } = await watchdog.race(reader.read());
      if (done) return;
      watchdog.beat(value.byteLength);
      yield value;
    }
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof PronkError) throw error;
    throw new RetryableError(`${where()}: ${reasonOf(error)}`, { answered: true, cause: error });
  } finally {
    watchdog.stop();
    // Not awaited: a broken connection may never settle it.
    reader.cancel().catch(() => undefined);
  }
}
