/**
 * Ends work that stands still. The signal it gives out fires with the caller's, or when nothing
 * happened for a time, or too little: one timer runs at a time, however many chunks arrive.
 */
import type { Sleep } from "./sleep.ts";

/**
 * A body that brings fewer bytes in its time limit stands still: a server that drips single bytes would hold a load for
 * days. In 30 s the slowest lines in use, at 9.6 kbit/s, bring nine times as many.
 */
export const LEAST_BYTES = 4096;

export class Watchdog {
  readonly #controller = new AbortController();
  readonly #sleep: Sleep;
  readonly #caller: AbortSignal | undefined;
  readonly #onCaller = (): void => this.#controller.abort(this.#caller?.reason);
  #timer = new AbortController();
  #bytes = 0;

  constructor(sleep: Sleep, caller: AbortSignal | undefined) {
    this.#sleep = sleep;
    this.#caller = caller;
    caller?.addEventListener("abort", this.#onCaller);
    if (caller?.aborted) this.#onCaller();
  }

  /** For the work that is watched. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * From now on, `limitMs` in which fewer than `least` bytes come end the work, with `what` as the reason: "no answer".
   * Noticed at most one more `limitMs` later. It replaces what was watched before.
   */
  watch(limitMs: number, what: string, least = 1): void {
    this.#timer.abort();
    this.#timer = new AbortController();
    void this.#run(limitMs, what, least, this.#timer.signal);
  }

  beat(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The result of work that may not listen to the signal. */
  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) onAbort();
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  /** To be called when the work has ended, well or not. */
  stop(): void {
    this.#timer.abort();
    this.#caller?.removeEventListener("abort", this.#onCaller);
  }

  async #run(limitMs: number, what: string, least: number, stopped: AbortSignal): Promise<void> {
    for (;;) {
      const before = this.#bytes;
      // A sleep that rejects was stopped; one that does not know how may end late.
      await this.#sleep(limitMs, stopped).catch(() => undefined);
      if (stopped.aborted) return;
      const came = this.#bytes - before;
      if (came >= least) continue;
      const seconds = `${limitMs / 1000} s`;
      const found = came === 0 ? `${what} for ${seconds}` : `only ${came} bytes in ${seconds}`;
      return this.#controller.abort(new Error(found));
    }
  }
}
