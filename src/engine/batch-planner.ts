/**
 * What the next batch runs: one row for each sequence that has a token to run, and one chunk of one
 * prompt in the rows that are left. So streams go on while a long prompt is read, and prompts take
 * turns, chunk by chunk.
 */
import type { Batch, Runner, Span } from "../backends/backend.ts";
import { isToken } from "../backends/check-batch.ts";
import type { Sequence } from "./sequence.ts";
import type { Slot } from "./slots.ts";

/**
 * A prompt gets at least one row in this many, even when more sequences decode than there are rows
 * for: they take turns then.
 */
const PROMPT_SHARE = 4;

/** Of a prompt at most while others decode: their tokens wait for it, 0.1 to 0.2 s at this size. */
const INTERLEAVED_ROWS = 64;

/** Rows of one slot in a batch. */
export interface PlannedSpan {
  readonly slot: Slot;
  /** Of the sequence's own tokens, from the first that its cache has not. */
  readonly count: number;
  /** Tokens that may come after them, run in the same batch to be compared with what does come. */
  proposals: readonly number[];
}

/** Rows of logits whose next tokens belong to one sequence. */
export interface PlannedSteps {
  readonly sequence: Sequence;
  readonly slot: Slot;
  /** The first of its logits; one more for each proposal. */
  readonly logits: number;
  readonly proposals: readonly number[];
}

export interface BatchPlan {
  readonly batch: Batch;
  readonly steps: readonly PlannedSteps[];
}

export type BatchLimits = Pick<Runner, "maxRows" | "maxLogits"> & {
  /** Rows of a prompt's chunk at most. */
  readonly prefillRows: number;
};

export class BatchPlanner {
  readonly #limits: BatchLimits;
  /** Batches planned so far. */
  #turn = 0;
  /** The slot of the last row that decoded. */
  #lastDecoded = -1;
  /** The slot whose prompt was read last. */
  #lastPrompt = -1;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** Empty when no slot has a sequence. */
  plan(slots: readonly Slot[]): PlannedSpan[] {
    const turn = this.#turn++;
    const decoding = from(slots, this.#lastDecoded + 1).filter((slot) => pending(slot) === 1);
    const prompt = from(slots, this.#lastPrompt + 1).find(
      // One that waits for what another prompt reads has no rows until then.
      (slot) => pending(slot) > 1 && slot.follows === undefined,
    );
    const { maxRows, maxLogits, prefillRows } = this.#limits;
    const decodingRows = Math.min(
      decoding.length,
      maxLogits,
      prompt === undefined ? maxRows : maxRows - reservedRows(maxRows, turn),
    );

    const spans: PlannedSpan[] = [];
    for (const slot of decoding.slice(0, decodingRows)) {
      spans.push({ slot, count: 1, proposals: [] });
      this.#lastDecoded = slot.index;
    }
    if (prompt !== undefined) {
      const left = pending(prompt);
      const rows = decodingRows > 0 ? Math.min(prefillRows, INTERLEAVED_ROWS) : prefillRows;
      let count = Math.min(left, rows, maxRows - decodingRows);
      // The last row of a prompt needs its logits. It waits for a batch that can give them.
      if (count === left && decodingRows === maxLogits) count--;
      if (count > 0) {
        spans.push({ slot: prompt, count, proposals: [] });
        this.#lastPrompt = prompt.index;
      }
    }
    return spans;
  }
}

/**
 * Slots whose sequences have ended since are left out; undefined when none is left.
 *
 * @param mayRunAhead nobody waits for this batch but those that have rows in it.
 */
export function buildBatch(
  planned: readonly PlannedSpan[],
  { chooser, ctx }: Pick<Runner, "chooser" | "ctx">,
  mayRunAhead: boolean,
): BatchPlan | undefined {
  const ids: number[] = [];
  const spans: Span[] = [];
  const logitsRows: number[] = [];
  const steps: PlannedSteps[] = [];
  for (const { slot, count, proposals } of planned) {
    const { sequence, index, length: start } = slot;
    if (sequence === undefined) continue;
    for (let i = 0; i < count; i++) ids.push(sequence.ids[start + i]);
    const last = ids.length - 1;
    ids.push(...proposals);
    const end = start + count + proposals.length;
    const isPart = sequence.length > end;
    spans.push({
      slot: index,
      start,
      count: end - start,
      ...(isPart && { length: sequence.length }),
      ...(sequence.adapters.spans.length > 0 && { adapters: sequence.adapters.spans }),
    });
    if (start + count < sequence.length) continue;
    steps.push({ sequence, slot, logits: logitsRows.length, proposals });
    for (let row = last; row < ids.length; row++) logitsRows.push(row);
  }
  if (spans.length === 0) return undefined;
  const batch: Batch = { ids, spans, logitsRows };
  if (chooser === undefined) {
    const argmax = steps.every(({ sequence }) => sequence.isGreedy);
    return { batch: { ...batch, ...(argmax && { argmax }) }, steps };
  }
  const choices = steps.flatMap(({ sequence, proposals }) =>
    Array.from({ length: proposals.length + 1 }, (_, i) => sequence.ask(i, chooser.most)),
  );
  const isAhead = mayRunAhead && ids.length === steps.length && choices.every(isToken);
  const ahead = isAhead ? Math.min(chooser.ahead, ...steps.map((step) => room(step, ctx))) : 1;
  return { batch: { ...batch, choices, ...(ahead > 1 && { ahead }) }, steps };
}

/** Tokens that a sequence with one row may get. */
function room({ sequence, slot }: PlannedSteps, ctx: number): number {
  return Math.min(sequence.left, ctx - slot.length);
}

/** Tokens that the slot's sequence has and its cache has not. */
function pending({ sequence, length }: Slot): number {
  return sequence === undefined ? 0 : sequence.length - length;
}

function reservedRows(maxRows: number, turn: number): number {
  if (maxRows === 1) return turn % 2; // the two take turns
  return Math.max(1, Math.floor(maxRows / PROMPT_SHARE));
}

/** All slots, beginning with this one. */
function from(slots: readonly Slot[], start: number): Slot[] {
  const first = start % slots.length;
  return [...slots.slice(first), ...slots.slice(0, first)];
}
