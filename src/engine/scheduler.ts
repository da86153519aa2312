/** Runs many sequences on one runner, turn by turn: admits, plans a batch, runs it, hands out tokens, again. */
import type { Runner } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import { type Candidates, createCandidates } from "../generate/candidates.ts";
import { Constraint } from "../generate/constraint.ts";
import type { AdapterChoice, GenerateRequest } from "../generate/request.ts";
import { resolveRequest } from "../generate/resolve-request.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { AdapterSet, type ResolvedMix } from "./adapter-set.ts";
import { type BatchPlan, BatchPlanner, buildBatch, type PlannedSpan } from "./batch-planner.ts";
import type { CallOptions, EngineStats } from "./engine.ts";
import { backendFailure, Flight, isLoss, isRefusal } from "./flight.ts";
import { HandOut } from "./hand-out.ts";
import { PAUSED_LEASE_MS, PAUSED_PER_PLACE, RESUME_PARTS } from "./leases.ts";
import { Outlet } from "./outlet.ts";
import { PrefixCache } from "./prefix-cache.ts";
import type { EngineRuntime, Grammars, SchedulerOptions } from "./scheduler-options.ts";
import { Sequence, type SequenceContext } from "./sequence.ts";
import { SlotLender, type SlotLoan } from "./slot-lender.ts";
import { createSlots, type Slot } from "./slots.ts";
import { SnapshotStore } from "./snapshots.ts";
import type { Speculation } from "./speculator.ts";
import { Turns } from "./turns.ts";
import { patienceOf, WaitingLine } from "./waiting-line.ts";
import { WorkClock } from "./work-budget.ts";

export class Scheduler {
  readonly adapters: AdapterSet;
  readonly grammars: Grammars;
  readonly snapshots: SnapshotStore;
  readonly prefixes: PrefixCache;
  readonly #runner: Runner;
  readonly #runtime: EngineRuntime;
  readonly #mostPaused: number;
  readonly #tokenizer: Tokenizer;
  readonly #contextShift: boolean;
  readonly #requireGenerating: (() => void) | undefined;
  readonly #speculation: Speculation | undefined;
  readonly #context: SequenceContext;
  readonly #planner: BatchPlanner;
  readonly #slots: Slot[];
  readonly #line: WaitingLine;
  readonly #lender: SlotLender;
  readonly #handOut: HandOut;
  /** All that have not ended: queued, running, paused. */
  readonly #live = new Set<Sequence>();
  readonly #work: WorkClock;
  readonly #flight: Flight = new Flight(() => this.#closed);
  readonly #turns: Turns;
  /** Why nothing can be run any more. */
  #closed: PronkError | undefined;
  #disposed: Promise<void> | undefined;
  readonly #totals = {
    requests: 0,
    prompt_tokens: 0,
    cached_tokens: 0,
    generated_tokens: 0,
    draft_tokens: 0,
    accepted_draft_tokens: 0,
    context_shifts: 0,
  };

  constructor(
    runner: Runner,
    tokenizer: Tokenizer,
    runtime: EngineRuntime,
    options: SchedulerOptions,
  ) {
    this.#runner = runner;
    this.#runtime = runtime;
    this.#tokenizer = tokenizer;
    this.#contextShift = options.contextShift;
    this.#requireGenerating = options.requireGenerating;
    this.#work = new WorkClock(options.stepMs);
    this.#speculation = options.speculation;
    this.#planner = new BatchPlanner({
      maxRows: runner.maxRows,
      maxLogits: runner.maxLogits,
      prefillRows: options.prefillRows,
    });
    this.#slots = createSlots(runner.slots, runner.ctx, !runner.isCutDependent);
    this.adapters = new AdapterSet(runner, (work) => this.between(work));
    this.snapshots = new SnapshotStore(runner, this.adapters, options, runtime.digest);
    this.prefixes = new PrefixCache(this.#slots, runner, this.snapshots);
    const { maxQueue } = options;
    this.#mostPaused = PAUSED_PER_PLACE * (runner.slots + maxQueue);
    this.#turns = new Turns({
      flight: this.#flight,
      work: this.#work,
      yieldTask: () => runtime.yieldTask(),
      take: () => this.#takeTurn(),
    });
    this.#line = new WaitingLine(
      { slots: runner.slots, maxQueue, now: () => runtime.now() + this.#work.stillMs },
      (driven) => !this.#turns.isMissed(driven),
    );
    this.#lender = new SlotLender({
      runner,
      prefixes: this.prefixes,
      adapters: this.adapters,
      flight: this.#flight,
      yieldTask: () => runtime.yieldTask(),
      now: () => runtime.now(),
      turns: this.#turns,
      slots: runner.slots,
      line: this.#line,
      break: (error) => (isLoss(error) ? this.#lose(error) : this.#break(error)),
    });
    this.#handOut = new HandOut({
      runner,
      slots: this.#slots,
      work: this.#work,
      cost: this.#speculation?.cost,
      totals: this.#totals,
      end: (sequence, error) => this.#end(sequence, error),
      endLate: (sequence) => this.#endLate(sequence),
      pause: (sequence) => this.#pause(sequence),
    });
    let candidates: Candidates | undefined;
    this.grammars = options.grammars;
    this.#context = {
      tokenizer,
      ctx: runner.ctx,
      lookup: options.speculation !== undefined,
      constrain: (grammar, endIds) =>
        new Constraint(this.grammars.matcher(grammar), tokenizer, endIds),
      candidates: () => (candidates ??= createCandidates(runner.vocab)),
      now: () => runtime.now(),
      spent: () => runtime.now() + this.#work.stillMs,
      replays: runner.isCutDependent !== true,
    };
  }

  /** Starts a generation; whatever is wrong with it is thrown where it is read. */
  submit(request: GenerateRequest, call: CallOptions = {}): Outlet {
    const outlet = new Outlet();
    const pending = request.grammar === undefined ? undefined : this.grammars.pending?.();
    if (pending === undefined) {
      this.#submit(outlet, request, call);
      return outlet;
    }
    const fail = (error: unknown): void => {
      outlet.fail(error);
      outlet.deliver();
    };
    pending.then(() => this.#submit(outlet, request, call), fail);
    return outlet;
  }

  #submit(outlet: Outlet, request: GenerateRequest, call: CallOptions): void {
    const { signal } = call;
    try {
      throwIfAborted(signal);
      if (this.#closed !== undefined) throw this.#closed;
      this.#requireGenerating?.();
      const { vocab, ctx } = this.#runner;
      const resolved = resolveRequest(request, {
        vocab,
        ctx,
        contextShift: this.#contextShift,
        bosId: this.#tokenizer.bosId,
        eogIds: this.#tokenizer.eogIds,
        randomSeed: () => this.#runtime.randomSeed(),
      });
      const mix = this.adapters.resolve(request.adapters, call.cacheSalt);
      const sequence = new Sequence(
        resolved,
        this.#context,
        outlet,
        this.#line.arrive(),
        mix,
        call,
      );
      const replayed = sequence.replay();
      const ended = resolved.maxTokens === 0 ? "length" : replayed.at(-1)?.finish_reason;
      // Who is refused gets no part.
      if (ended === undefined) this.#enter(sequence, mix, call);
      for (const part of replayed) outlet.push(part);
      if (ended !== undefined) {
        outlet.finish(sequence.result(ended));
        outlet.deliver();
      }
    } catch (error) {
      outlet.fail(error);
      outlet.deliver();
    }
  }

  stats(): EngineStats {
    this.#expire();
    return {
      slots: this.#slots.length,
      busy: this.#slots.filter(({ sequence, isLent }) => sequence !== undefined || isLent).length,
      queued: this.#line.length,
      ...this.#totals,
      adapter_bytes: this.#runner.adapterBytes,
      ...(this.#runner.threads && { threads: this.#runner.threads }),
    };
  }

  /**
   * Lends a slot to `work`, at once or when one becomes free, until it settles.
   *
   * @param most slots that it has use for, where others are free and nobody waits.
   * @throws PronkError "not_found" for an adapter; "overloaded", "engine_failed", "aborted"; what `work` throws.
   */
  async lend<Result>(
    work: (loan: SlotLoan) => Promise<Result>,
    call: CallOptions,
    choices: readonly AdapterChoice[] | undefined,
    most = 1,
  ): Promise<Result> {
    this.#expire();
    const mix = this.adapters.resolve(choices, call.cacheSalt);
    return this.#lender.lend(work, { call, mix, most, meter: this.#work.meter(call.work) });
  }

  /** @throws PronkError "overloaded" where one more such call would be refused now. */
  checkRoom(call: CallOptions): void {
    this.#expire();
    this.#line.check(patienceOf(call));
  }

  /** Why nothing can be run any more; undefined while it can. */
  get failure(): PronkError | undefined {
    return this.#closed;
  }

  /** Does what no batch may run beside. @throws why nothing can be run any more. */
  between<Result>(work: () => Result): Promise<Awaited<Result>> {
    return this.#flight.between(work);
  }

  /** As `between`, to its end: no batch is run meanwhile. */
  alone<Result>(work: () => Result): Promise<Awaited<Result>> {
    return this.#flight.alone(work);
  }

  /** Ends everything and frees the runner, after the batch that is being run. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#close(new PronkError("engine_failed", "engine: disposed"));
    return this.#disposed;
  }

  #enter(sequence: Sequence, mix: ResolvedMix, { signal, isPart }: CallOptions): void {
    this.#expire();
    if (!isPart) this.#line.letIn(sequence.patience);
    const abort = (): void => {
      const error = new PronkError("aborted", "aborted", { cause: signal?.reason });
      sequence.outlet.clear();
      this.#end(sequence, error);
      sequence.outlet.deliver();
    };
    signal?.addEventListener("abort", abort, { once: true });
    const unuse = this.adapters.use(mix);
    sequence.release = () => {
      signal?.removeEventListener("abort", abort);
      unuse();
    };
    sequence.outlet.listener = {
      read: (buffered) => {
        sequence.lastReadMs = this.#runtime.now();
        if (sequence.state !== "paused" || buffered > RESUME_PARTS) return;
        this.#enqueue(sequence, true);
        void this.#drive(sequence);
      },
      cancel: () => this.#end(sequence, new PronkError("aborted", "generation: cancelled")),
    };
    this.#totals.requests++;
    this.#live.add(sequence);
    this.#enqueue(sequence, isPart === true);
    void this.#drive(sequence);
  }

  /** Puts it into the line. @param isPart it is not sent away again. */
  #enqueue(sequence: Sequence, isPart: boolean): void {
    const { patience, arrival } = sequence;
    sequence.state = "queued";
    // Its driver delivers.
    const refuse = (error: PronkError): void => this.#end(sequence, error);
    const waiter = { ...patience, arrival, driven: sequence, sequence, canGo: !isPart, refuse };
    sequence.waiter = this.#line.join(waiter);
  }

  async #drive(sequence: Sequence): Promise<void> {
    const driver = ++sequence.driver;
    const driven = (): boolean =>
      sequence.driver === driver && (sequence.state === "queued" || sequence.state === "running");
    try {
      await this.#turns.drive(sequence, sequence.work, () => {
        sequence.outlet.deliver();
        return driven();
      });
    } catch (cause) {
      this.#end(sequence, new PronkError("engine_failed", "engine: a turn failed", { cause }));
      sequence.outlet.deliver();
    }
  }

  /** One turn: at most one batch. A promise only where the runner gives one. */
  #takeTurn(): Promise<void> | undefined {
    this.#expire();
    this.#setAside();
    this.#admit();
    this.prefixes.catchUp((sequence, tokens) => {
      this.#totals.cached_tokens += sequence.foundCached(tokens);
    });
    const spans = this.#planner.plan(this.#slots);
    if (spans.length === 0) {
      this.#turns.count++;
      return undefined;
    }
    const drafting = this.#speculation?.speculator.propose(spans);
    if (drafting === undefined) return this.#run(spans);
    return this.#flight.fly(
      drafting,
      () => this.#run(spans),
      (error) => this.#break(error),
    );
  }

  #run(spans: readonly PlannedSpan[]): Promise<void> | undefined {
    const plan = buildBatch(spans, this.#runner, this.#mayRunAhead(spans));
    if (plan === undefined) {
      this.#turns.count++;
      return undefined;
    }
    const startedMs = this.#runtime.now();
    let running: void | Promise<void>;
    try {
      running = this.#runner.forward(plan.batch);
    } catch (error) {
      this.#fail(plan, error);
      return undefined;
    }
    if (running === undefined) {
      this.#absorb(plan, startedMs);
      return undefined;
    }
    return this.#flight.fly(
      running,
      () => this.#absorb(plan, startedMs),
      (error) => this.#fail(plan, error),
    );
  }

  /** Whether nobody waits for this batch but those that have rows in it. */
  #mayRunAhead(spans: readonly PlannedSpan[]): boolean {
    const running = this.#slots.filter(({ sequence }) => sequence !== undefined).length;
    return this.#line.length === 0 && !this.#lender.isBusy && spans.length === running;
  }

  /** Gives free slots to those whose turn it is. */
  #admit(): void {
    for (;;) {
      const { sequence } = this.#line.first() ?? {};
      if (sequence === undefined) return;
      const taken = this.prefixes.take(sequence);
      if (taken === undefined) return;
      this.#line.leave(sequence.waiter);
      sequence.slot = taken.slot;
      sequence.slotMs = this.#line.took(sequence.patience.caller);
      sequence.state = "running";
      if (sequence.start()) this.#totals.prompt_tokens += sequence.length;
      this.#totals.cached_tokens += sequence.foundCached(taken.cached);
    }
  }

  /** Notes what is in the cache now and hands out the tokens that the batch gave. */
  #absorb(plan: BatchPlan, startedMs: number): void {
    this.#turns.count++;
    for (const { slot, count } of plan.batch.spans) {
      const { sequence } = this.#slots[slot];
      if (sequence !== undefined) this.#line.charge(sequence.patience.caller, count);
    }
    this.#handOut.absorb(plan, this.#runtime.now() - startedMs, this.#turns.count);
  }

  #fail({ batch }: BatchPlan, cause: unknown): void {
    this.#turns.count++;
    if (isLoss(cause)) {
      this.#lose(cause);
      return;
    }
    if (!isRefusal(cause)) {
      this.#break(cause);
      return;
    }
    const error = new PronkError("engine_failed", "engine: the backend refused a batch", { cause });
    for (const { slot } of batch.spans) {
      const { sequence } = this.#slots[slot];
      this.#slots[slot].length = 0;
      if (sequence !== undefined) this.#end(sequence, error);
    }
  }

  /** All caches are gone: what runs is read again, once, as far as that gives the same. */
  #lose(cause: unknown): void {
    const error = backendFailure(cause);
    this.#flight.losses++;
    for (const slot of this.#slots) {
      slot.length = 0;
      const { sequence } = slot;
      if (sequence === undefined || slot.isLent) continue;
      if (sequence.losses++ > 0 || this.#runner.isCutDependent) this.#end(sequence, error);
    }
  }

  #break(cause: unknown): void {
    this.#disposed = this.#close(backendFailure(cause));
  }

  /** Takes slots from those whose drivers do not come; one that does come again finds it in the queue. */
  #setAside(): void {
    for (const { sequence } of this.#slots) {
      if (!sequence || !this.#turns.isMissed(sequence)) continue;
      this.#leaveSlot(sequence);
      this.#enqueue(sequence, true);
    }
  }

  /** Ends generations whose time is over, and those that nobody drives or reads any more. */
  #expire(): void {
    this.#lender.expire();
    this.#line.expire((driven) => this.#turns.isLost(driven));
    for (const sequence of this.#live) {
      if (this.#endLate(sequence)) continue;
      const paused = sequence.state === "paused";
      const gone = paused
        ? this.#runtime.now() - sequence.lastReadMs > PAUSED_LEASE_MS
        : this.#turns.isLost(sequence);
      if (!gone) continue;
      this.#end(sequence, new PronkError("aborted", "generation: its reader is gone"));
    }
  }

  /** Whether its time is over. */
  #endLate(sequence: Sequence): boolean {
    if (!sequence.isLate) return false;
    sequence.outlet.finish(sequence.result("length", true));
    this.#end(sequence, undefined);
    return true;
  }

  #end(sequence: Sequence, error: unknown): void {
    const { state } = sequence;
    if (state === "ended") return;
    this.#line.leave(sequence.waiter);
    this.#leaveSlot(sequence);
    sequence.state = "ended";
    sequence.release?.();
    sequence.outlet.listener = undefined;
    this.#live.delete(sequence);
    if (error !== undefined) sequence.outlet.fail(error);
    // Its driver delivers, in its own context; what is paused has none.
    if (state === "paused") sequence.outlet.deliver();
  }

  /** Its consumer does not read. */
  #pause(sequence: Sequence): void {
    sequence.lastReadMs = this.#runtime.now();
    this.#leaveSlot(sequence);
    sequence.state = "paused";
    const paused = [...this.#live].filter(({ state }) => state === "paused");
    if (paused.length <= this.#mostPaused) return;
    const last = paused.reduce((a, b) => (b.lastReadMs < a.lastReadMs ? b : a));
    this.#end(last, new PronkError("aborted", "generation: too many are not read"));
  }

  #leaveSlot(sequence: Sequence): void {
    if (sequence.slot !== undefined) {
      this.prefixes.leave(sequence.slot);
      this.#line.gave(sequence.patience.caller, sequence.slotMs, !sequence.waiter?.canGo);
    }
    sequence.slot = undefined;
  }

  async #close(error: PronkError): Promise<void> {
    this.#closed ??= error;
    for (const sequence of [...this.#live]) {
      this.#end(sequence, error);
    }
    this.#line.close(error);
    await this.#flight.current;
    this.#runner.dispose();
    this.#speculation?.dispose();
  }
}
