/**
 * What the next batch runs: one row for each sequence that has a token to run, and one chunk of one
 * prompt in the rows that are left. So streams go on while a long prompt is read, and prompts take
 * turns, chunk by chunk.
 */
import type { Batch, Runner, Span } from "../backends/backend.ts";
import type { Sequence } from "./sequence.ts";
import type { Slot } from "./slots.ts";

/**
 * A prompt gets at least one row in this many, even when more sequences decode than there are rows
 * for: they take turns then.
 */
const PROMPT_SHARE = 4;

export interface BatchPlan {
  readonly batch: Batch;
  /** For each row of `batch.logitsRows`, whose next token it gives. */
  readonly sequences: readonly Sequence[];
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

  /** undefined when no slot has a sequence. */
  plan(slots: readonly Slot[]): BatchPlan | undefined {
    const turn = this.#turn++;
    const decoding = from(slots, this.#lastDecoded + 1).filter((slot) => pending(slot) === 1);
    const prompt = from(slots, this.#lastPrompt + 1).find((slot) => pending(slot) > 1);
    const { maxRows, maxLogits, prefillRows } = this.#limits;
    const decodingRows = Math.min(
      decoding.length,
      maxLogits,
      prompt === undefined ? maxRows : maxRows - reservedRows(maxRows, turn),
    );

    const rows = new RowBuilder();
    for (const slot of decoding.slice(0, decodingRows)) {
      rows.add(slot, 1);
      this.#lastDecoded = slot.index;
    }
    if (prompt !== undefined) {
      const left = pending(prompt);
      let count = Math.min(left, prefillRows, maxRows - decodingRows);
      // The last row of a prompt needs its logits. It waits for a batch that can give them.
      if (count === left && decodingRows === maxLogits) count--;
      if (count > 0) {
        rows.add(prompt, count);
        this.#lastPrompt = prompt.index;
      }
    }
    return rows.build();
  }
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

class RowBuilder {
  readonly #ids: number[] = [];
  readonly #spans: Span[] = [];
  readonly #logitsRows: number[] = [];
  readonly #sequences: Sequence[] = [];

  /** The next `count` tokens of the slot's sequence. */
  add({ sequence, index, length }: Slot, count: number): void {
    if (sequence === undefined) return;
    for (let i = 0; i < count; i++) this.#ids.push(sequence.ids[length + i]);
    this.#spans.push({ slot: index, start: length, count });
    if (length + count < sequence.length) return;
    this.#logitsRows.push(this.#ids.length - 1);
    this.#sequences.push(sequence);
  }

  build(): BatchPlan | undefined {
    if (this.#spans.length === 0) return undefined;
    const batch = { ids: this.#ids, spans: this.#spans, logitsRows: this.#logitsRows };
    return { batch, sequences: this.#sequences };
  }
}
