/**
 * What a batch gave, token by token: each sequence takes its next one exactly as if the batch had run nothing beyond it.
 * Tokens behind an end, a pause or a wrong proposal are dropped; what the cache holds of them is written over.
 */
import type { Batch, Runner } from "../backends/backend.ts";
import type { TokenPart } from "../generate/request.ts";
import type { BatchCost } from "./batch-cost.ts";
import type { BatchPlan, PlannedSteps } from "./batch-planner.ts";
import { RUN_AHEAD_PARTS } from "./leases.ts";
import type { Sequence } from "./sequence.ts";
import type { Slot } from "./slots.ts";
import type { WorkClock } from "./work-budget.ts";

/** What is counted of all sequences. */
export interface TokenTotals {
  generated_tokens: number;
  draft_tokens: number;
  accepted_draft_tokens: number;
  context_shifts: number;
}

/** What of the scheduler it needs. */
export interface HandOutHost {
  readonly runner: Runner;
  readonly slots: readonly Slot[];
  readonly work: WorkClock;
  /** Where tokens are proposed. */
  readonly cost: BatchCost | undefined;
  readonly totals: TokenTotals;
  end(sequence: Sequence, error: unknown): void;
  /** Whether its time is over: then it has ended. */
  endLate(sequence: Sequence): boolean;
  /** Its consumer does not read. */
  pause(sequence: Sequence): void;
}

export class HandOut {
  readonly #host: HandOutHost;

  constructor(host: HandOutHost) {
    this.#host = host;
  }

  /** Notes what is in the cache now and hands out. @param ms that the batch took; 0 where the clock stands still. */
  absorb(plan: BatchPlan, ms: number, turn: number): void {
    const { slots, work, cost } = this.#host;
    const { batch, steps } = plan;
    const { ahead = 1 } = batch;
    work.ran(batch, ms === 0);
    if (batch.logitsRows.length === batch.ids.length) cost?.observe(batch.ids.length, ms / ahead);
    let row = 0;
    for (const { slot: index, start, count } of batch.spans) {
      const slot = slots[index];
      for (let i = 0; i < count; i++) slot.ids[start + i] = batch.ids[row++];
      slot.length = start + count;
      slot.used = turn;
    }
    // Those that were cancelled while the batch ran keep what it wrote.
    for (const step of steps) if (step.sequence.state === "running") this.#advance(step, batch, 0);
    for (let nth = 1; nth < ahead; nth++) this.#absorbAhead(plan, nth, ms === 0);
  }

  /** As the batch that would have come then. */
  #absorbAhead({ batch, steps }: BatchPlan, nth: number, isStill: boolean): void {
    const going = steps.filter(
      ({ sequence }) => sequence.state === "running" && !this.#host.endLate(sequence),
    );
    if (going.length === 0) return;
    const spans = going.map(({ slot }) => ({ slot: slot.index, start: slot.length, count: 1 }));
    this.#host.work.ran({ ids: spans.map(() => 0), spans }, isStill);
    for (const step of going) {
      const { slot, sequence } = step;
      slot.ids[slot.length] = sequence.ids[slot.length];
      slot.length++;
      this.#advance(step, batch, nth);
    }
  }

  /**
   * Chooses tokens for as long as the proposals are what is chosen, one after the other, exactly as
   * without proposals. A row that does not tell its token is run again.
   *
   * @param nth of the tokens that the batch gave each sequence.
   */
  #advance({ sequence, slot, logits, proposals }: PlannedSteps, batch: Batch, nth: number): void {
    const { outlet } = sequence;
    const { totals } = this.#host;
    slot.length -= proposals.length;
    sequence.proposed += proposals.length;
    totals.draft_tokens += proposals.length;
    let accepted = 0;
    for (let isRight = true; isRight || sequence.isForced; ) {
      const part = this.#step(sequence, batch, logits + accepted, nth);
      if (part === undefined) {
        if (sequence.state === "running") slot.length--;
        return;
      }
      outlet.push(part);
      isRight &&= part.token === proposals[accepted];
      if (isRight) {
        accepted++;
        slot.length++;
        sequence.accepted++;
        totals.accepted_draft_tokens++;
      }
      if (part.finish_reason !== undefined) {
        outlet.finish(sequence.result(part.finish_reason));
        this.#host.end(sequence, undefined);
        return;
      }
      if (outlet.iterated && outlet.buffered >= RUN_AHEAD_PARTS) {
        this.#host.pause(sequence);
        return;
      }
    }
    if (proposals.length > 0) sequence.record.settle(proposals.length, accepted);
  }

  /** The next token, by these logits; undefined when they do not tell it, or end it for not being numbers. */
  #step(sequence: Sequence, batch: Batch, index: number, nth: number): TokenPart | undefined {
    const { runner, totals, end } = this.#host;
    const { shifts } = sequence;
    try {
      const part = sequence.step(runner, index, batch.choices?.[index], nth);
      if (part === undefined) return undefined;
      totals.context_shifts += sequence.shifts - shifts;
      totals.generated_tokens++;
      return part;
    } catch (error) {
      // Logits that are not numbers come from a cache that is not: nothing may be built on it.
      if (sequence.slot !== undefined) sequence.slot.length = 0;
      end(sequence, error);
      return undefined;
    }
  }
}
