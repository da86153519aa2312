/** All that wait for a slot, generations and work that gets one lent alike: one line, in the order of Shares. */
import { PronkError } from "../errors.ts";
import { Admission, type AdmissionOptions, type Patience } from "./admission.ts";
import type { CallOptions } from "./engine.ts";
import type { Sequence } from "./sequence.ts";
import type { Waiting } from "./shares.ts";
import type { Driven } from "./turns.ts";

export interface Waiter extends Waiting, Patience {
  readonly sinceMs: number;
  /** It has given nothing yet and may be sent away. */
  readonly canGo: boolean;
  /** Who wakes for it: what does not come gets no slot. */
  readonly driven: Driven;
  /** A generation, which gets its slot in anybody's turn; what is lent a slot takes it when it wakes. */
  readonly sequence?: Sequence;
  refuse(error: PronkError): void;
}

export class WaitingLine {
  readonly #admission: Admission;
  readonly #now: () => number;
  readonly #isReady: (driven: Driven) => boolean;
  readonly #waiters = new Set<Waiter>();
  #arrivals = 0;
  /** Slots that are taken. */
  #busy = 0;

  /** @param isReady whether one would take a slot now. */
  constructor(options: AdmissionOptions, isReady: (driven: Driven) => boolean) {
    this.#admission = new Admission(options);
    this.#now = options.now;
    this.#isReady = isReady;
  }

  get length(): number {
    return this.#waiters.size;
  }

  get generations(): number {
    let count = 0;
    for (const { sequence } of this.#waiters) if (sequence !== undefined) count++;
    return count;
  }

  /** The number of an arrival. */
  arrive(): number {
    return this.#arrivals++;
  }

  /** @throws PronkError "overloaded" where one more of this caller may not join now. */
  check(one: Patience): void {
    this.#admission.check(one, { busy: this.#busy, waiting: this.length });
  }

  /** Makes sure that one more may join. @throws PronkError "overloaded". */
  letIn(one: Patience): void {
    const { caller } = one;
    const count = { busy: this.#busy, waiting: this.length };
    if (this.#admission.check(one, count) === "free") return;
    const greedy = this.#admission.shares.greediest(caller);
    let newest: Waiter | undefined;
    for (const waiter of this.#waiters) {
      if (waiter.caller !== greedy || !waiter.canGo) continue;
      if (newest === undefined || waiter.arrival > newest.arrival) newest = waiter;
    }
    if (newest === undefined) throw this.#admission.refusal(caller, "the queue is full");
    this.#dismiss(newest, "the queue is full, and others of it are to get their share");
  }

  /** @returns what joined, to leave by. */
  join(one: Omit<Waiter, "sinceMs">): Waiter {
    const waiter = { ...one, sinceMs: this.#now() };
    this.#waiters.add(waiter);
    this.#admission.shares.wait(waiter.caller);
    return waiter;
  }

  /** Again: nothing. */
  leave(one: Waiter | undefined): void {
    if (one === undefined || !this.#waiters.delete(one)) return;
    this.#admission.shares.unwait(one.caller);
  }

  /** Whose turn it is. */
  first(): Waiter | undefined {
    const { shares } = this.#admission;
    let first: Waiter | undefined;
    for (const one of this.#waiters) {
      if (!this.#isReady(one.driven)) continue;
      if (first === undefined || shares.compare(one, first) < 0) first = one;
    }
    return first;
  }

  /** A slot is this caller's now. @returns when, for `gave`. */
  took(caller: string): number {
    this.#busy++;
    this.#admission.shares.run(caller);
    return this.#now();
  }

  /** It is free again. @param isPart of what `isPart` says. */
  gave(caller: string, sinceMs: number, isPart: boolean): void {
    this.#busy--;
    this.#admission.shares.stop(caller);
    this.#admission.held(this.#now() - sinceMs, isPart);
  }

  /** Rows were computed for this caller. */
  charge(caller: string, rows: number): void {
    this.#admission.shares.charge(caller, rows);
  }

  /** Sends away what has waited too long, and what nobody waits for any more. */
  expire(isLost: (driven: Driven) => boolean): void {
    for (const one of this.#waiters) {
      if (one.sequence === undefined && isLost(one.driven)) {
        this.leave(one);
        one.refuse(new PronkError("aborted", "engine: nobody waits for its slot any more"));
      } else if (one.canGo && this.#admission.isTooLate(one.sinceMs, one.maxWaitMs)) {
        this.#dismiss(one, "no slot came free in time");
      }
    }
  }

  close(error: PronkError): void {
    for (const one of [...this.#waiters]) {
      this.leave(one);
      one.refuse(error);
    }
  }

  #dismiss(one: Waiter, why: string): void {
    const refusal = this.#admission.refusal(one.caller, why);
    this.leave(one);
    one.refuse(refusal);
  }
}

/** As the engine's callers say it. */
export function patienceOf({
  caller = "",
  maxWaitMs = Number.POSITIVE_INFINITY,
}: CallOptions): Patience {
  return { caller, maxWaitMs };
}
