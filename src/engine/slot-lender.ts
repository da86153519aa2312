/** Slots for work that is no generation: one at a time each, handed out as they become free. */
import type { Batch, Runner } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { ReadingSlot } from "../generate/score-tokens.ts";
import type { AdapterSet, ResolvedMix } from "./adapter-set.ts";
import type { CallOptions } from "./engine.ts";
import { backendFailure, type Flight, isRefusal } from "./flight.ts";
import { LOAN_LEASE_MS } from "./leases.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import type { Slot } from "./slots.ts";
import type { Turns } from "./turns.ts";
import { patienceOf, type Waiter, type WaitingLine } from "./waiting-line.ts";

/** A slot that its borrower has to itself; batches over it run between the turns of generations. */
export interface SlotLoan extends ReadingSlot {
  /** All that are lent: `slot`, and others that nobody else had use for. */
  readonly slots: readonly number[];
  /** Says what the cache holds in the end, for prompts that begin with it. Else it counts as empty. */
  keep(ids: readonly number[]): void;
  readonly mix: ResolvedMix;
  /** Does what no batch may run beside, to its end. */
  alone<Result>(work: () => Result): Promise<Awaited<Result>>;
  /** Copies as much of `ids` as other slots hold; gives how many tokens. Only `alone`. */
  fill(ids: readonly number[]): number;
}

/** What of the scheduler loans need. */
export interface LenderHost {
  readonly runner: Runner;
  readonly prefixes: PrefixCache;
  readonly adapters: AdapterSet;
  readonly flight: Flight;
  yieldTask(): Promise<void>;
  now(): number;
  readonly turns: Turns;
  readonly slots: number;
  readonly line: WaitingLine;
  /** The runner's memory cannot be trusted any more. */
  break(cause: unknown): void;
}

/** Who wants a slot, and how. */
export interface LoanRequest {
  readonly call: CallOptions;
  readonly mix: ResolvedMix;
  /** Slots that it has use for, where others are free and nobody waits. */
  readonly most: number;
  /** Told each batch before it runs. @throws what ends the loan. */
  meter(batch: Batch): void;
}

/** A slot that is lent to work which is still there, and when that last did anything. */
interface Lent {
  usedMs: number;
  isOver: boolean;
  /** Once. @param kept tokens that its cache holds. */
  take(kept: readonly number[]): void;
}

interface Holder {
  readonly caller: string;
  readonly sinceMs: number;
  readonly isPart: boolean;
}

export class SlotLender {
  readonly #lent = new Set<Lent>();
  readonly #host: LenderHost;
  /** Whose a slot is that is lent, and since when. */
  readonly #holders = new Map<Slot, Holder>();

  constructor(host: LenderHost) {
    this.#host = host;
  }

  /**
   * Lends a slot to `work`, at once or when one becomes free, until it settles.
   */
  async lend<Result>(
    work: (loan: SlotLoan) => Promise<Result>,
    { call, mix, most, meter }: LoanRequest,
  ): Promise<Result> {
    const { runner, prefixes, adapters, flight, turns } = this.#host;
    const { caller = "" } = call;
    const unuse = adapters.use(mix);
    let slot: Slot | undefined;
    let beside: readonly Slot[] = [];
    let held: readonly number[] = [];
    const lent: Lent = {
      usedMs: this.#host.now(),
      isOver: false,
      take: (kept) => {
        if (lent.isOver) return;
        lent.isOver = true;
        this.#lent.delete(lent);
        if (slot !== undefined) this.#giveBack(slot, kept);
        for (const one of beside) this.#giveBack(one);
        unuse();
      },
    };
    /** Of work that comes back after its slot was taken from it, nothing may be run. */
    const use = (): void => {
      if (lent.isOver) throw new PronkError("aborted", "engine: its slot was given to others");
      lent.usedMs = this.#host.now();
    };
    try {
      const own = await this.#borrow(call);
      slot = own;
      if (most > 1 && this.#host.line.generations === 0) {
        beside = this.#borrowBeside(most - 1, this.#host.slots, caller);
      }
      use();
      this.#lent.add(lent);
      const { losses } = flight;
      const result = await work({
        runner,
        slot: own.index,
        slots: [own, ...beside].map(({ index }) => index),
        adapters: mix.spans,
        run: (batch, read) => {
          this.#host.line.charge(caller, batch.ids.length);
          return this.#run(batch, read, { losses, meter, use });
        },
        keep: (ids) => {
          held = ids;
        },
        mix,
        alone: (job) =>
          flight.alone(() => {
            use();
            return job();
          }),
        fill: (ids) => prefixes.fill(own, Int32Array.from(ids), mix.key),
      });
      if (lent.isOver) return result;
      own.key = mix.key;
      own.used = turns.count;
      return result;
    } catch (error) {
      held = []; // what was written last is not known
      throw error;
    } finally {
      lent.take(held);
    }
  }

  /** Whether a slot is lent. */
  get isBusy(): boolean {
    return this.#lent.size > 0;
  }

  /** Takes slots back from work that does nothing any more: its request is gone, and nobody was told. */
  expire(): void {
    for (const lent of this.#lent) {
      if (this.#host.now() - lent.usedMs > LOAN_LEASE_MS) lent.take([]);
    }
  }

  async #run(
    batch: Batch,
    read: () => void,
    { losses, meter, use }: { losses: number; meter: LoanRequest["meter"]; use: () => void },
  ): Promise<void> {
    await this.#host.yieldTask();
    meter(batch);
    const { flight } = this.#host;
    await flight.between(async () => {
      use();
      if (flight.losses !== losses) throw backendFailure("the slot's cache was lost");
      await this.#forward(batch, read);
      use(); // the batch may have taken long
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

  /** @throws PronkError "overloaded", "aborted", or why nothing can be run any more. */
  async #borrow(call: CallOptions): Promise<Slot> {
    const { signal, work, isPart = false } = call;
    const patience = patienceOf(call);
    throwIfAborted(signal);
    const { line, flight, turns } = this.#host;
    flight.check();
    if (!isPart) line.letIn(patience);
    const driven = { lastDriven: turns.count };
    let slot: Slot | undefined;
    let refusal: PronkError | undefined;
    const refuse = (error: PronkError): void => {
      refusal = error;
    };
    const arrival = line.arrive();
    const waiter = line.join({ ...patience, arrival, driven, canGo: !isPart, refuse });
    let abort: (() => void) | undefined;
    try {
      return await new Promise<Slot>((take, fail) => {
        abort = () => {
          if (slot !== undefined) return;
          // At once: a slot that comes free before the rejection is seen is somebody else's.
          line.leave(waiter);
          refusal = new PronkError("aborted", "aborted", { cause: signal?.reason });
          fail(refusal);
        };
        signal?.addEventListener("abort", abort, { once: true });
        const goOn = (): boolean => {
          if (slot === undefined && line.first() === waiter) slot = this.#lendTo(waiter);
          return slot === undefined && refusal === undefined;
        };
        turns.drive(driven, work, goOn).then(() => {
          if (slot === undefined) fail(refusal);
          else take(slot);
        }, fail);
      });
    } finally {
      line.leave(waiter);
      if (abort) signal?.removeEventListener("abort", abort);
    }
  }

  /** undefined: none is free. */
  #lendTo(waiter: Waiter): Slot | undefined {
    const slot = this.#host.prefixes.cheapest();
    if (slot === undefined) return undefined;
    this.#host.line.leave(waiter);
    this.#lend(slot, waiter.caller, !waiter.canGo);
    return slot;
  }

  /**
   * Up to `most` slots more that are free while nobody waits: empty ones, and of others as few as leave half of all
   * slots alone.
   */
  #borrowBeside(most: number, slotCount: number, caller: string): Slot[] {
    const more: Slot[] = [];
    while (this.#host.line.length === 0 && more.length < most) {
      const slot = this.#host.prefixes.cheapest();
      if (slot === undefined) break;
      if (slot.length > 0 && more.length + 1 >= slotCount / 2) break;
      this.#lend(slot, caller, true);
      more.push(slot);
    }
    return more;
  }

  /** @param held what its cache holds, by the slot's key. */
  #giveBack(slot: Slot, held: readonly number[] = []): void {
    slot.ids.set(held);
    slot.length = held.length;
    this.#host.prefixes.leave(slot);
    // An empty one is the first to be taken, whatever the others are still worth.
    if (held.length === 0) slot.used = 0;
    slot.isLent = false;
    const holder = this.#holders.get(slot);
    this.#holders.delete(slot);
    if (holder !== undefined) {
      this.#host.line.gave(holder.caller, holder.sinceMs, holder.isPart);
    }
  }

  #lend(slot: Slot, caller: string, isPart: boolean): void {
    const { line, prefixes } = this.#host;
    prefixes.evict(slot, 0);
    slot.isLent = true;
    this.#holders.set(slot, { caller, sinceMs: line.took(caller), isPart });
  }
}
