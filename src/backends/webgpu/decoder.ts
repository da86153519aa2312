/**
 * Batches of one row a sequence, as the fused dispatches of each token. What a token leaves on the GPU is what the next
 * one starts from: a batch that goes on where the last one ended is uploaded nothing.
 */
import type { Batch } from "../backend.ts";
import type { Buffers } from "./buffers.ts";
import { advanceDraws, sameDraws } from "./choice-buffers.ts";
import { type DecodePart, decodeParts } from "./decode-parts.ts";
import {
  canDecode,
  type DecodeDispatch,
  type DecodeInput,
  type Division,
  divisionOf,
  lowerDecode,
} from "./lower-decode.ts";
import type { Dispatch, LoweringInput } from "./lower-steps.ts";
import type { Recorder } from "./recorder.ts";
import type { RowAnswers } from "./row-answers.ts";

/** Rows of a batch at most: with more of them products of tiles are faster. */
const MOST_DECODE_ROWS = 16;

/** Rows that kernels may write where `rows` are asked: those that share panels come by fours. */
export function decodedRows(rows: number): number {
  return rows < 3 ? rows : Math.ceil(rows / 4) * 4;
}

const ROW_WORDS = 4;

/** A dispatch that is ready to be encoded. */
interface Ready {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly groups: number;
  readonly sharing: number;
  readonly isDivided: boolean;
}

/** Of one token, by what it needs. */
interface Program {
  readonly dispatches: readonly DecodeDispatch[];
  readonly ready: Map<string, readonly Ready[]>;
}

interface DecoderInput extends LoweringInput {
  readonly rows: GPUBuffer;
  readonly maxRows: number;
}

export class Decoder {
  readonly #parts: readonly DecodePart[];
  readonly #input: DecodeInput;
  readonly #answers: RowAnswers;
  readonly #mostRows: number;
  readonly #pick: Dispatch;
  readonly #programs = new Map<number, Program>();
  /** Tables of rows and draws as the GPU has them; undefined: it has others. */
  #rows: Uint32Array | undefined;
  #draws: Uint32Array | undefined;

  /** @returns undefined for a plan that has other steps. */
  static of(input: DecoderInput, answers: RowAnswers): Decoder | undefined {
    const parts = canDecode(input) ? decodeParts(input.plan) : undefined;
    return parts && new Decoder(parts, input, answers);
  }

  private constructor(parts: readonly DecodePart[], input: DecoderInput, answers: RowAnswers) {
    const { plan, ctx, buffers } = input;
    this.#parts = parts;
    this.#answers = answers;
    this.#mostRows = Math.min(input.maxRows, MOST_DECODE_ROWS);
    const division = divisionOf(ctx);
    const { head_dim, num_attention_heads } = plan.config;
    const dividedStride = Math.ceil(ctx / division.split) * num_attention_heads * (head_dim + 2);
    const divided = dividedBuffer(buffers, division, ctx, this.#mostRows * dividedStride);
    this.#input = { ...input, choices: answers.buffers, division, divided, dividedStride };
    this.#pick = answers.lowerPick(input.rows, answers.buffers.bestStride);
    // Compiled while the weights load: one sequence alone is the usual case.
    this.#program(1);
  }

  takes({ ids, embeds, states, spans, logitsRows }: Batch): boolean {
    return (
      ids.length <= this.#mostRows &&
      logitsRows.length === ids.length &&
      !embeds &&
      !states &&
      spans.every(
        ({ count, visible, probabilities, adapters = [] }) =>
          count === 1 && !visible && !probabilities && adapters.length === 0,
      )
    );
  }

  /** The tables are about to be used otherwise. */
  forget(): void {
    this.#rows = undefined;
    this.#draws = undefined;
  }

  /**
   * Tokens of the batch's sequences, one behind the other without coming back, and what else is asked of them.
   *
   * @param table of its rows
   * @param isPlaced its rows' angles are only this batch's
   * @returns whether nothing but tokens were asked.
   */
  async run(
    recorder: Recorder,
    table: Uint32Array<ArrayBuffer>,
    { spans, ahead = 1 }: Batch,
    isPlaced: boolean,
  ): Promise<boolean> {
    const answers = this.#answers;
    const draws = this.#upload(table, answers.words);
    const positions = Math.max(...spans.map(({ start }) => start)) + 1;
    for (let step = 0; step < ahead; step++) {
      this.#encode(recorder, spans.length, positions + step, answers.picksAny);
    }
    answers.encodeRead(recorder, draws, ahead);
    await recorder.submit();
    const isWhole = answers.picksAll && !isPlaced;
    if (isWhole) {
      const last = spans.map((_, row) => answers.chosen(row)[ahead - 1]);
      this.#advance(ahead, last);
    } else this.forget();
    return isWhole;
  }

  /**
   * Sees to it that the GPU has these tables.
   *
   * @returns the draws as it has them.
   */
  #upload(rows: Uint32Array<ArrayBuffer>, draws: Uint32Array<ArrayBuffer>): Uint32Array {
    const { queue } = this.#input.buffers.device;
    if (!this.#rows || !sameWords(this.#rows, rows)) {
      queue.writeBuffer(this.#input.rows, 0, rows);
      this.#rows = rows;
    }
    if (!this.#draws || !sameDraws(this.#draws, draws)) {
      queue.writeBuffer(this.#answers.buffers.draws, 0, draws);
      this.#draws = draws;
    }
    return this.#draws;
  }

  /** One token of each row; the longest sequence then has so many positions. */
  #encode(recorder: Recorder, rows: number, positions: number, picks: boolean): void {
    const { division } = this.#input;
    const isDivided = positions > division.whole;
    const divisions = isDivided ? Math.ceil(positions / division.split) : 1;
    const pass = recorder.pass;
    let last: GPUComputePipeline | undefined;
    for (const one of this.#ready(rows, isDivided, this.#answers.needsLogits)) {
      if (one.pipeline !== last) pass.setPipeline((last = one.pipeline));
      pass.setBindGroup(0, one.group);
      const groups = one.isDivided ? one.groups * divisions : one.groups;
      pass.dispatchWorkgroups(groups, Math.ceil(rows / one.sharing));
    }
    if (picks) recorder.dispatch(this.#pick, rows);
  }

  /** The tables after so many picks, once the tokens are known. */
  #advance(times: number, tokens: readonly number[]): void {
    const { plan } = this.#input;
    if (!this.#rows || !this.#draws) return;
    const rows = this.#rows.slice();
    const draws = this.#draws.slice();
    advanceDraws(draws, times);
    for (const [row, token] of tokens.entries()) {
      const at = row * ROW_WORDS;
      rows[at] = Math.min(token, plan.outputs - 1);
      rows[at + 2] += times;
      rows[at + 3] += times;
    }
    this.#rows = rows;
    this.#draws = draws;
  }

  #ready(rows: number, isDivided: boolean, logits: boolean): readonly Ready[] {
    const program = this.#program(rows);
    const key = `${isDivided} ${logits}`;
    let ready = program.ready.get(key);
    if (!ready) {
      const { device } = this.#input.buffers;
      const not = [isDivided ? "whole" : "divided", logits ? "noLogits" : "logits"];
      ready = program.dispatches
        .filter(({ when }) => !not.includes(when))
        .map(({ kernel: { pipeline }, bindings, groups, sharing, isDivided: each }) => {
          const layout = pipeline.getBindGroupLayout(0);
          const entries = bindings.map((resource, binding) => ({ binding, resource }));
          const group = device.createBindGroup({ layout, entries });
          return { pipeline, group, groups, sharing, isDivided: each };
        });
      program.ready.set(key, ready);
    }
    return ready;
  }

  /** Starts to compile what so many rows need. */
  prepare(rows: number): void {
    this.#program(rows);
  }

  #program(rows: number): Program {
    const sharing = rows < 3 ? rows : 4;
    let program = this.#programs.get(sharing);
    if (!program) {
      program = { dispatches: lowerDecode(this.#parts, sharing, this.#input), ready: new Map() };
      this.#programs.set(sharing, program);
    }
    return program;
  }
}

function dividedBuffer(
  buffers: Buffers,
  { whole }: Division,
  ctx: number,
  floats: number,
): GPUBuffer {
  return buffers.storage(ctx > whole ? floats * 4 : 0, "divided attention");
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}
