/** Tries again what may pass, as long as that is worth it: waits double, and are as long as the server asked. */
import { PronkError, throwIfAborted } from "../errors.ts";
import { timerSleep } from "../sources/sleep.ts";
import { type RemoteOptions, RetryableError } from "./remote.ts";

const BACKOFF_MS = 500;

/** Longer waits than this are the user's to decide on. */
const MAX_WAIT_MS = 30_000;

/** Attempts in a row that bring nothing, before giving up. */
const MAX_FUTILE_ATTEMPTS = 5;

/** The same while no server has answered at all: there is another way to get the file. */
const MAX_UNANSWERED_ATTEMPTS = 2;

export class Patience {
  readonly #options: RemoteOptions;
  #futile = 0;
  #answered = false;

  constructor(options: RemoteOptions) {
    this.#options = options;
  }

  /**
   * Waits before the next attempt.
   *
   * @param hasMoved whether the failed attempt brought enough to count as the first
   * @throws the failure, where no other attempt is to be made; PronkError "aborted".
   */
  async after(error: unknown, hasMoved = false): Promise<void> {
    if (!(error instanceof RetryableError)) throw error;
    const { backoffMs = BACKOFF_MS, attempts = MAX_FUTILE_ATTEMPTS, signal } = this.#options;
    const { answered, message, retryAfterMs = 0 } = error;
    this.#answered ||= answered;
    this.#futile = hasMoved ? 0 : this.#futile + 1;
    const most = this.#answered ? attempts : Math.min(attempts, MAX_UNANSWERED_ATTEMPTS);
    if (this.#futile >= most) throw error;
    if (retryAfterMs > MAX_WAIT_MS) {
      const asked = `asks to wait ${Math.ceil(retryAfterMs / 1000)} s`;
      throw new PronkError("source_failed", `${message}, ${asked}`, { cause: error, retryAfterMs });
    }
    const backoff = Math.min(backoffMs * 2 ** this.#futile, MAX_WAIT_MS);
    await timerSleep(Math.max(retryAfterMs, retryAfterMs > 0 ? 0 : backoff), signal);
    throwIfAborted(signal);
  }
}

/** The result of a small exchange, begun anew after each failure that may pass. */
export async function patiently<Value>(
  work: () => Promise<Value>,
  options: RemoteOptions,
): Promise<Value> {
  const patience = new Patience(options);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await patience.after(error);
    }
  }
}
