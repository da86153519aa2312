/** Slots for work that is no generation: one at a time each, handed out as they become free. */
import type { Batch, Runner } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { ReadingSlot } from "../generate/score-tokens.ts";
import type { AdapterSet, ResolvedMix } from "./adapter-set.ts";
import { backendFailure, type Flight, isRefusal } from "./flight.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import type { Slot } from "./slots.ts";

/** A slot that its borrower has to itself; batches over it run between the turns of generations. */
export interface SlotLoan extends ReadingSlot {
  /** All that are lent: `slot`, and others that nobody else had use for. */
  readonly slots: readonly number[];
  /** Says what the cache holds in the end, for prompts that begin with it. Else it counts as empty. */
  keep(ids: readonly number[]): void;
  readonly mix: ResolvedMix;
  /** Does what no batch may run beside. */
  between<Result>(work: () => Result): Promise<Awaited<Result>>;
  /** Copies as much of `ids` as other slots hold; gives how many tokens. Only `between`. */
  fill(ids: readonly number[]): number;
}

/** What of the scheduler loans need. */
export interface LenderHost {
  readonly runner: Runner;
  readonly prefixes: PrefixCache;
  readonly adapters: AdapterSet;
  readonly flight: Flight;
  yieldTask(): Promise<void>;
  turns(): number;
  readonly slots: number;
  /** Whether a generation waits for a slot. */
  isAwaited(): boolean;
  /** The runner's memory cannot be trusted any more. */
  break(cause: unknown): void;
}

/** Who wants a slot, and how. */
export interface LoanRequest {
  readonly signal: AbortSignal | undefined;
  readonly mix: ResolvedMix;
  /** Slots that it has use for, where others are free and nobody waits. */
  readonly most: number;
  /** Told each batch before it runs. @throws what ends the loan. */
  meter(batch: Batch): void;
}

interface Waiter {
  give(slot: Slot): void;
  refuse(error: PronkError): void;
}

export class SlotLender {
  readonly #host: LenderHost;
  readonly #most: number;
  readonly #waiting: Waiter[] = [];
  #closed: PronkError | undefined;

  /** @param most that may wait at a time. */
  constructor(most: number, host: LenderHost) {
    this.#most = most;
    this.#host = host;
  }

  /**
   * Lends a slot to `work`, at once or when one becomes free, until it settles.
   */
  async lend<Result>(
    work: (loan: SlotLoan) => Promise<Result>,
    { signal, mix, most, meter }: LoanRequest,
  ): Promise<Result> {
    const { runner, prefixes, adapters, flight, turns } = this.#host;
    const unuse = adapters.use(mix);
    let slot: Slot | undefined;
    let beside: readonly Slot[] = [];
    let held: readonly number[] = [];
    try {
      const own = await this.borrow(signal);
      slot = own;
      if (most > 1 && !this.#host.isAwaited()) {
        beside = this.borrowBeside(most - 1, this.#host.slots);
      }
      const { losses } = flight;
      const result = await work({
        runner,
        slot: own.index,
        slots: [own, ...beside].map(({ index }) => index),
        adapters: mix.spans,
        run: (batch, read) => this.#run(batch, read, losses, meter),
        keep: (ids) => {
          held = ids;
        },
        mix,
        between: (job) => flight.between(job),
        fill: (ids) => prefixes.fill(own, Int32Array.from(ids), mix.key),
      });
      own.adapters = mix.key;
      own.used = turns();
      return result;
    } catch (error) {
      held = []; // what was written last is not known
      throw error;
    } finally {
      if (slot !== undefined) this.giveBack(slot, held);
      for (const one of beside) this.giveBack(one);
      unuse();
    }
  }

  async #run(
    batch: Batch,
    read: () => void,
    losses: number,
    meter: LoanRequest["meter"],
  ): Promise<void> {
    await this.#host.yieldTask();
    meter(batch);
    const { flight } = this.#host;
    await flight.between(() => {
      if (flight.losses !== losses) throw backendFailure("the slot's cache was lost");
      return this.#forward(batch, read);
    });
  }

  async #forward(batch: Batch, read: () => void): Promise<void> {
    let failure: unknown;
    const fail = (error: unknown): void => {
      failure = error;
      if (!isRefusal(error)) this.#host.break(error);
    };
    try {
      const running = this.#host.runner.forward(batch);
      if (running === undefined) read();
      else await this.#host.flight.fly(running, read, fail);
    } catch (error) {
      fail(error);
    }
    if (failure !== undefined) throw backendFailure(failure);
  }

  /** @throws PronkError "overloaded", "aborted", or why it was closed. */
  async borrow(signal: AbortSignal | undefined): Promise<Slot> {
    throwIfAborted(signal);
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#waiting.length >= this.#most) {
      throw new PronkError("overloaded", `engine: ${this.#waiting.length} wait for a slot already`);
    }
    let abort: (() => void) | undefined;
    try {
      return await new Promise<Slot>((give, refuse) => {
        const waiter: Waiter = { give, refuse };
        abort = () => {
          // At once: a slot that comes free before the rejection is seen is somebody else's.
          const index = this.#waiting.indexOf(waiter);
          if (index >= 0) this.#waiting.splice(index, 1);
          refuse(new PronkError("aborted", "aborted", { cause: signal?.reason }));
        };
        signal?.addEventListener("abort", abort, { once: true });
        this.#waiting.push(waiter);
        this.serve();
      });
    } finally {
      if (abort) signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Up to `most` slots more that are free while nobody waits: empty ones, and of others as few as leave half of all
   * slots alone.
   */
  borrowBeside(most: number, slotCount: number): Slot[] {
    const more: Slot[] = [];
    while (this.#waiting.length === 0 && more.length < most) {
      const slot = this.#host.prefixes.cheapest();
      if (slot === undefined) break;
      if (slot.length > 0 && more.length + 1 >= slotCount / 2) break;
      this.#lend(slot);
      more.push(slot);
    }
    return more;
  }

  /** @param held what its cache holds, whose mix of adapters is the slot's. */
  giveBack(slot: Slot, held: readonly number[] = []): void {
    slot.ids.set(held);
    slot.length = held.length;
    this.#host.prefixes.leave(slot);
    // An empty one is the first to be taken, whatever the others are still worth.
    if (held.length === 0) slot.used = 0;
    slot.isLent = false;
    this.serve();
  }

  /** To be called when a slot becomes free; what it hands out is lent from this moment. */
  serve(): void {
    while (this.#waiting.length > 0) {
      const slot = this.#host.prefixes.cheapest();
      if (slot === undefined) return;
      this.#lend(slot);
      this.#waiting.shift()?.give(slot);
    }
  }

  #lend(slot: Slot): void {
    this.#host.prefixes.evict(slot, 0);
    slot.isLent = true;
  }

  close(error: PronkError): void {
    this.#closed = error;
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error);
  }
}
