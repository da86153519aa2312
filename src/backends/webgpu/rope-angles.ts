/**
 * Cosines and sines of the rotary embedding: by position where frequencies are fixed, written once as far as positions
 * are used; where they change with a sequence's length, of the batch's rows.
 */
import type { LlamaConfig } from "../../model/config.ts";
import { type RopeFrequencies, ropeDependsOnLength, SequenceRope } from "../../model/rope.ts";
import type { Span } from "../backend.ts";
import { sequenceLength } from "../sequence-length.ts";
import type { Buffers } from "./buffers.ts";

/** Tables by position are extended by so many at a time. */
const POSITIONS = 1024;

const PAIR_BYTES = 8;

export class RopeAngles {
  readonly isCutDependent: boolean;
  /** (positions or rows, headDim / 2) pairs. */
  readonly buffer: GPUBuffer;

  readonly #device: GPUDevice;
  readonly #half: number;
  readonly #ctx: number;
  readonly #ropes: readonly SequenceRope[];
  #end = 0;

  constructor(
    buffers: Buffers,
    config: LlamaConfig,
    { ctx, slots, maxRows }: { readonly ctx: number; readonly slots: number; maxRows: number },
  ) {
    this.isCutDependent = ropeDependsOnLength(config);
    this.#device = buffers.device;
    this.#half = config.head_dim / 2;
    this.#ctx = ctx;
    const count = this.isCutDependent ? slots : 1;
    this.#ropes = Array.from({ length: count }, () => new SequenceRope(config));
    const rows = this.isCutDependent ? maxRows : ctx;
    this.buffer = buffers.storage(rows * this.#half * PAIR_BYTES, "rope");
  }

  /** Before a batch: the table's row of each of its rows. `beyond` more positions will follow each span. */
  prepare(spans: readonly Span[], beyond = 0): number[] {
    return this.isCutDependent ? this.#rows(spans) : this.#positions(spans, beyond);
  }

  copySlot(from: number, to: number): void {
    if (this.isCutDependent) this.#ropes[to].become(this.#ropes[from]);
  }

  #positions(spans: readonly Span[], beyond: number): number[] {
    const rows: number[] = [];
    let end = 0;
    for (const { start, count, positions } of spans) {
      for (let r = 0; r < count; r++) rows.push(positions?.[r] ?? start + r);
      end = Math.max(end, start + count + beyond);
    }
    for (const row of rows) end = Math.max(end, row + 1);
    if (end > this.#end) {
      const to = Math.min(this.#ctx, Math.ceil(end / POSITIONS) * POSITIONS);
      const positions = Array.from({ length: to - this.#end }, (_, i) => this.#end + i);
      this.#write(this.#ropes[0].at(1), this.#end, positions);
      this.#end = to;
    }
    return rows;
  }

  #rows(spans: readonly Span[]): number[] {
    const rows: number[] = [];
    for (const span of spans) {
      const { slot, start, count, positions } = span;
      const rope = this.#ropes[slot];
      if (start === 0) rope.reset();
      const own = Array.from({ length: count }, (_, r) => positions?.[r] ?? start + r);
      this.#write(rope.at(sequenceLength(span)), rows.length, own);
      for (let r = 0; r < count; r++) rows.push(rows.length);
    }
    return rows;
  }

  #write(
    { inverse, attentionFactor }: RopeFrequencies,
    row: number,
    positions: readonly number[],
  ): void {
    const half = this.#half;
    const pairs = new Float32Array(positions.length * half * 2);
    for (const [r, position] of positions.entries()) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * Math.fround(inverse[i]));
        pairs[2 * (r * half + i)] = Math.cos(angle) * attentionFactor;
        pairs[2 * (r * half + i) + 1] = Math.sin(angle) * attentionFactor;
      }
    }
    this.#device.queue.writeBuffer(this.buffer, row * half * PAIR_BYTES, pairs);
  }
}
