/**
 * What is asked of a batch's rows of logits: their logits, tokens chosen on the GPU, or their largest. Nothing else is read
 * back.
 */
import { PronkError } from "../../errors.ts";
import type { Plan } from "../../model/plan.ts";
import type { Batch, Chooser, LargestLogits, RowChoice } from "../backend.ts";
import type { Buffers } from "./buffers.ts";
import {
  BEST_BYTES,
  CHOSEN_ROOM,
  ChoiceBuffers,
  drawWords,
  NO_ID,
  placeOf,
} from "./choice-buffers.ts";
import type { LargestLowering, LargestRow } from "./lower-largest.ts";
import { lowerLargest } from "./lower-largest.ts";
import type { Dispatch } from "./lower-steps.ts";
import type { PipelineCache } from "./pipelines.ts";
import type { Recorder } from "./recorder.ts";

export interface AnswersInput {
  readonly plan: Plan;
  readonly buffers: Buffers;
  readonly pipelines: PipelineCache;
  /** Rows of them, so many floats apart. */
  readonly logits: GPUBuffer;
  readonly stride: number;
  /** Rows of logits at most, and with what kernels that share panels among rows write behind them. */
  readonly maxLogits: number;
  readonly rows: number;
}

/** Logits that a workgroup of `choose` compares. */
const CHUNK = 4096;

/** Of a row; more are what a few samplers ask, and take as long as the logits. */
const MOST_LARGEST = 128;

export class RowAnswers implements Chooser {
  /** Set by who measures how long a token takes. */
  ahead = 1;
  readonly most: number;
  readonly buffers: ChoiceBuffers;
  readonly #input: AnswersInput;
  #choose: Dispatch | undefined;
  #pickOfWanted: Dispatch | undefined;
  #largest: LargestLowering | undefined;
  #choices: readonly (RowChoice | undefined)[] = [];
  #chosen: Uint32Array[] = [];
  #kept: LargestLogits[] = [];
  #logits: (Float32Array | undefined)[] = [];

  constructor(input: AnswersInput) {
    this.#input = input;
    this.most = Math.min(input.plan.outputs, MOST_LARGEST);
    this.buffers = new ChoiceBuffers(input.buffers, input.rows, input.plan.outputs);
  }

  /** The batch that is about to run. */
  begin({ choices, argmax, logitsRows, states }: Batch): void {
    const other: RowChoice | undefined = argmax ? { kind: "argmax" } : undefined;
    this.#choices = choices ?? (states ? [] : logitsRows.map(() => other));
    this.#chosen = this.#choices.map(() => new Uint32Array(0));
    this.#kept = [];
    this.#logits = [];
  }

  get words(): Uint32Array<ArrayBuffer> {
    return drawWords(this.#choices);
  }

  /** A token of some row is chosen. */
  get picksAny(): boolean {
    return this.#choices.some(isToken);
  }

  get picksAll(): boolean {
    return this.#choices.every(isToken);
  }

  /** The head must leave logits. */
  get needsLogits(): boolean {
    return this.#choices.some((choice) => choice?.kind === "largest" || hasLogits(choice));
  }

  /**
   * Starts to compile what the batch needs.
   *
   * @param wanted the rows' table where tokens are chosen from their logits
   */
  prepare(wanted: GPUBuffer | undefined): void {
    for (const [row, choice] of this.#choices.entries()) {
      if (choice?.kind === "largest") this.#largestOf(row);
    }
    if (!wanted || !this.picksAny) return;
    this.#choose ??= this.#lowerChoose();
    this.#pickOfWanted ??= this.lowerPick(wanted, this.#choose.groups);
  }

  /** From logits: tokens. */
  encodeChoice(recorder: Recorder): void {
    if (this.#choose) recorder.dispatch(this.#choose, this.#choices.length);
    if (this.#pickOfWanted) recorder.dispatch(this.#pickOfWanted, this.#choices.length);
  }

  /** @param words as they were before the first token; `ahead` tokens were chosen. */
  encodeRead(recorder: Recorder, words: Uint32Array, ahead: number): void {
    const { logits, stride, plan } = this.#input;
    for (const [row, choice] of this.#choices.entries()) {
      if (hasLogits(choice)) {
        const range = { buffer: logits, offset: row * stride * 4, bytes: plan.outputs * 4 };
        recorder.readRanges([range], ({ buffer }) => {
          this.#logits[row] = new Float32Array(buffer);
        });
      }
      if (choice?.kind === "largest") this.#encodeLargest(recorder, row, choice);
      if (!isToken(choice)) continue;
      recorder.readRanges(this.#tokenRanges(row, placeOf(words, row), ahead), ({ buffer }) => {
        this.#chosen[row] = new Uint32Array(buffer);
      });
    }
  }

  /** Tokens that were chosen one by one. */
  keep(tokens: readonly (readonly number[])[]): void {
    this.#chosen = tokens.map((row) => Uint32Array.from(row));
  }

  chosen(index: number): Uint32Array {
    const chosen = this.#chosen[index];
    if (chosen !== undefined && chosen.length > 0) return chosen;
    throw new PronkError("bad_request", `choice ${index}: no token was asked`);
  }

  largest(index: number): LargestLogits {
    const kept = this.#kept[index];
    if (kept !== undefined) return kept;
    throw new PronkError("bad_request", `choice ${index}: no largest were asked`);
  }

  logits(index: number): Float32Array {
    const logits = this.#logits[index];
    if (logits !== undefined) return logits;
    throw new PronkError("bad_request", `logits ${index} were not asked`);
  }

  /** Of a row whose token was asked. */
  argmax(index: number): number | undefined {
    return this.#choices[index]?.kind === "argmax" ? this.#chosen[index][0] : undefined;
  }

  #tokenRanges(row: number, place: number, count: number) {
    const ranges = [];
    for (let at = place, left = count; left > 0; at = 0) {
      const tokens = Math.min(left, CHOSEN_ROOM - at);
      const offset = (row * CHOSEN_ROOM + at) * 4;
      ranges.push({ buffer: this.buffers.chosen, offset, bytes: tokens * 4 });
      left -= tokens;
    }
    return ranges;
  }

  #encodeLargest(
    recorder: Recorder,
    row: number,
    { count, temperature }: Extract<RowChoice, { kind: "largest" }>,
  ): void {
    const { passes, total, largest, sums } = this.#largestOf(row);
    const hasTotal = temperature !== undefined;
    for (const pass of passes) recorder.dispatch(pass, 1);
    if (hasTotal) recorder.dispatch(total, 1);
    const ranges = [{ ...largest, bytes: count * BEST_BYTES }, ...(hasTotal ? [sums] : [])];
    recorder.readRanges(ranges, ({ buffer }) => {
      const ids = new Uint32Array(buffer).filter((_, i) => i % 2 === 1).subarray(0, count);
      const scores = new Float32Array(buffer).filter((_, i) => i % 2 === 0);
      const end = ids.indexOf(NO_ID);
      const known = end < 0 ? count : end;
      this.#kept[row] = {
        ids: ids.subarray(0, known),
        logits: scores.subarray(0, known),
        ...(hasTotal && { total: scores.subarray(count).reduce((sum, part) => sum + part, 0) }),
      };
    });
  }

  #largestOf(row: number): LargestRow {
    const { plan, buffers, pipelines, logits, stride, maxLogits } = this.#input;
    this.#largest ??= lowerLargest({
      outputs: plan.outputs,
      kept: this.most,
      rows: maxLogits,
      buffers,
      pipelines,
      logits,
      stride,
      draws: this.buffers.draws,
    });
    return this.#largest.row(row);
  }

  #lowerChoose(): Dispatch {
    const { plan, buffers, pipelines, logits, stride } = this.#input;
    const { draws, bests, bestStride } = this.buffers;
    const [params] = buffers.uniforms([[plan.outputs, stride, bestStride]]);
    return {
      kernel: pipelines.kernel({ op: "choose", parts: ["noise"], constants: { CHUNK } }),
      bindings: [params, { buffer: logits }, { buffer: draws }, { buffer: bests }],
      groups: Math.ceil(plan.outputs / CHUNK),
    };
  }

  /** From so many bests of each row its token, with which it moves on. */
  lowerPick(rows: GPUBuffer, count: number): Dispatch {
    const { buffers, pipelines } = this.#input;
    const { draws, bests, bestStride, chosen } = this.buffers;
    const [params] = buffers.uniforms([[count, bestStride, CHOSEN_ROOM]]);
    return {
      kernel: pipelines.kernel({ op: "pick", parts: ["noise"] }),
      bindings: [
        params,
        { buffer: bests },
        { buffer: rows },
        { buffer: draws },
        { buffer: chosen },
      ],
      groups: 1,
    };
  }
}

function hasLogits(choice: RowChoice | undefined): boolean {
  return choice === undefined || (choice.kind === "draw" && choice.logits === true);
}

function isToken(choice: RowChoice | undefined): boolean {
  return choice?.kind === "argmax" || choice?.kind === "draw";
}
