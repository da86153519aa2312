/**
 * Who may wait: as many as the queue holds, and of those beyond a few a slot only who will be served in time. What waits
 * longer than its client does is worked on in vain, and a queue without such a bound leaves nothing else under load.
 *
 * When the queue is full of one caller's, another's still gets in: the newest of who has most there goes.
 */
import { PronkError } from "../errors.ts";
import { Shares } from "./shares.ts";

export interface AdmissionOptions {
  readonly slots: number;
  /** That wait at most, beside those that run. */
  readonly maxQueue: number;
  /** Milliseconds, also where clocks stand still. */
  now(): number;
}

/** Who would wait, and how long at most. */
export interface Patience {
  readonly caller: string;
  readonly maxWaitMs: number;
}

/** So many a slot may wait however long it takes: who asks four at a time of a slow model is no overload. */
const ALWAYS_PER_SLOT = 4;

/** Waits are expected, not known: one that has waited so many times the bound is not kept any longer. */
const PATIENCE = 2;

/** Weight of the newest holding time. */
const NEWEST = 1 / 16;

/** Until one is known. */
const USUAL_HOLD_MS = 1000;

/** Sooner than that nobody is told to come back: asking costs, too. */
const LEAST_RETRY_MS = 1000;

/** Longer than that no client waits: `openai` takes no Retry-After above it. */
const MOST_RETRY_MS = 60_000;

export class Admission {
  readonly shares: Shares = new Shares();
  readonly #options: AdmissionOptions;
  /** That a request holds slots, all that it holds together. */
  #holdMs = USUAL_HOLD_MS;
  #holds = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** A slot was held for so long. @param isPart by a request that is counted already: it takes so much more. */
  held(ms: number, isPart: boolean): void {
    if (!isPart) this.#holds++;
    const weight = Math.max(NEWEST, 1 / Math.max(1, this.#holds));
    this.#holdMs += weight * (isPart ? ms : ms - this.#holdMs);
  }

  /**
   * Whether one more of this caller may wait.
   *
   * @param maxWaitMs how long it may be expected to.
   * @param busy slots that are taken.
   * @param waiting of all callers.
   * @returns "full": only where another goes (`Shares.greediest`).
   * @throws PronkError "overloaded" with when to come back.
   */
  check(
    { caller, maxWaitMs }: Patience,
    { busy, waiting }: { readonly busy: number; readonly waiting: number },
  ): "free" | "full" {
    const { slots, maxQueue } = this.#options;
    const before = this.shares.before(caller);
    const waitMs = this.#waitMs(before + 1 - (slots - busy));
    if (this.#holds > 0 && before >= ALWAYS_PER_SLOT * slots && waitMs > maxWaitMs) {
      const seconds = Math.ceil(waitMs / 1000);
      throw this.refusal(caller, `a slot would be free in ${seconds} s, which is too long`);
    }
    if (busy + waiting < slots + maxQueue) return "free";
    if (maxQueue > 0 && this.shares.greediest(caller) !== undefined) return "full";
    throw this.refusal(caller, `${busy + waiting} requests run or wait already`);
  }

  /** Whether one that has waited since then is to go. */
  isTooLate(sinceMs: number, maxWaitMs: number): boolean {
    const { slots, now } = this.#options;
    const most = Math.max(maxWaitMs, this.#waitMs(ALWAYS_PER_SLOT * slots), LEAST_RETRY_MS);
    return now() - sinceMs > PATIENCE * most;
  }

  refusal(caller: string, why: string): PronkError {
    const everyMs = this.#waitMs(1) * this.shares.count(caller);
    const promised = this.shares.promise(caller, this.#options.now(), everyMs, MOST_RETRY_MS);
    const retryAfterMs = Math.max(LEAST_RETRY_MS, Math.ceil(promised));
    return new PronkError("overloaded", `engine: ${why}`, { retryAfterMs });
  }

  /** Until so many slots have come free. */
  #waitMs(count: number): number {
    return (Math.max(0, count) * this.#holdMs) / this.#options.slots;
  }
}
