/**
 * Angles of the rotary embedding in a model's memory. Where frequencies are fixed a table by position grows with the
 * longest sequence; where they change with a sequence's length each batch gets a table of its rows.
 */
import type { LlamaConfig } from "../../model/config.ts";
import { type RopeFrequencies, ropeDependsOnLength, SequenceRope } from "../../model/rope.ts";
import type { Span } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { sequenceLength } from "../sequence-length.ts";
import type { Kernels } from "./kernels.gen.ts";
import type { MemoryLayout } from "./memory-layout.ts";

/** Tables by position are extended by so many at a time. */
const POSITIONS = 256;

const FLOAT_BYTES = 4;

export class RopeTables {
  readonly isCutDependent: boolean;

  readonly #layout: MemoryLayout;
  readonly #kernels: Kernels;
  readonly #ctx: number;
  readonly #half: number;
  /** In the memory. */
  readonly #inverse: Float64Array;
  /** Of each slot's sequence; one where they are all the same. */
  readonly #ropes: readonly SequenceRope[];
  /** What `#inverse` holds. */
  #held: RopeFrequencies | undefined;
  /** Positions that the tables have. */
  #end = 0;

  constructor(
    config: LlamaConfig,
    layout: MemoryLayout,
    kernels: Kernels,
    memory: WebAssembly.Memory,
    { ctx, slots }: Pick<RunnerOptions, "ctx" | "slots">,
  ) {
    this.isCutDependent = ropeDependsOnLength(config);
    this.#layout = layout;
    this.#kernels = kernels;
    this.#ctx = ctx;
    this.#half = config.head_dim / 2;
    this.#inverse = new Float64Array(memory.buffer, layout.inverseFrequencies, this.#half);
    const count = this.isCutDependent ? slots : 1;
    this.#ropes = Array.from({ length: count }, () => new SequenceRope(config));
  }

  /** Before a batch with these spans runs. */
  prepare(spans: readonly Span[]): void {
    if (this.isCutDependent) this.#fillRows(spans);
    else for (const span of spans) this.#extend(span);
  }

  /** What slot `from` holds is then in slot `to`, too. */
  copySlot(from: number, to: number): void {
    if (this.isCutDependent) this.#ropes[to].become(this.#ropes[from]);
  }

  #extend({ start, count, positions }: Span): void {
    let end = start + count;
    for (let r = 0; positions && r < count; r++) end = Math.max(end, positions[r] + 1);
    if (end <= this.#end) return;
    const to = Math.min(this.#ctx, Math.ceil(end / POSITIONS) * POSITIONS);
    this.#write(this.#ropes[0].at(1), 0, this.#end, to);
    this.#end = to;
  }

  #fillRows(spans: readonly Span[]): void {
    let row = 0;
    for (const span of spans) {
      const { slot, start, count, positions } = span;
      const rope = this.#ropes[slot];
      if (start === 0) rope.reset();
      const frequencies = rope.at(sequenceLength(span));
      if (positions === undefined) this.#write(frequencies, row - start, start, start + count);
      for (let r = 0; positions && r < count; r++) {
        this.#write(frequencies, row + r - positions[r], positions[r], positions[r] + 1);
      }
      row += count;
    }
  }

  /** Angles of positions [from, to), `shift` rows further than their positions. */
  #write(frequencies: RopeFrequencies, shift: number, from: number, to: number): void {
    const { inverse, attentionFactor } = frequencies;
    if (this.#held !== frequencies) this.#inverse.set(inverse);
    this.#held = frequencies;
    const { cos, sin, inverseFrequencies } = this.#layout;
    // The kernel counts from position 0, which may lie below the memory's start: addresses are modulo 2^32.
    const bytes = shift * this.#half * FLOAT_BYTES;
    this.#kernels.rope_table(
      cos + bytes,
      sin + bytes,
      inverseFrequencies,
      this.#half,
      from,
      to,
      attentionFactor,
    );
  }
}
