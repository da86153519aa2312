/**
 * Rotation, KV cache and attention as calls of kernels. Where the K/V heads can be dealt out evenly,
 * each thread has whole groups of heads from the rotation to attention and waits for nobody; else
 * attention is divided by its cost, by heads for single queries and by queries for a prompt's.
 */
import type { Step } from "../../model/plan.ts";
import { ropeDependsOnLength } from "../../model/rope.ts";
import type { Span } from "../backend.ts";
import { causalMask } from "../causal-mask.ts";
import { type CacheCalls, cacheCalls } from "./cache-calls.ts";
import type { LoweringInput } from "./lower.ts";
import { type Access, SHARED, whole } from "./threads/dependencies.ts";
import {
  type AttentionPiece,
  type Part,
  type Range,
  shareOf,
  shareOfAttention,
} from "./threads/part.ts";
import type { PartCalls } from "./threads/part-calls.ts";

const FLOAT_BYTES = 4;

type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

export class AttentionLowering {
  readonly #input: LoweringInput;
  readonly #part: Part;
  readonly #steps: PartCalls;
  readonly #cacheCalls: CacheCalls;
  /** Whether each thread has whole groups of heads. */
  readonly #byGroups: boolean;
  /** This thread's attention in the batch at hand, the same for every layer. */
  #pieces: { spans: readonly Span[]; own: readonly AttentionPiece[] } = { spans: [], own: [] };

  constructor(input: LoweringInput, part: Part, steps: PartCalls) {
    const { plan, kernels, options } = input;
    this.#input = input;
    this.#part = part;
    this.#steps = steps;
    this.#cacheCalls = cacheCalls(kernels, plan.config, options);
    this.#byGroups = plan.config.num_key_value_heads % part.count === 0;
  }

  /** Rotates `heads` heads from the step's column on: its own, and perhaps its neighbour's. */
  rope(step: StepOf<"rope">, heads: number): void {
    const { plan, layout, kernels } = this.#input;
    const { cos, sin } = layout;
    const ld = plan.buffers[step.buffer];
    const headDim = plan.config.head_dim;
    const own = this.#shareOfHeads(heads);
    const ownHeads = own.to - own.from;
    const column = step.column + own.from * headDim;
    const first = layout.buffers[step.buffer] + column * FLOAT_BYTES;
    const byRow = ropeDependsOnLength(plan.config); // as RopeTables has them
    const rotated = this.#headsOf(step.buffer, step.column, heads);
    this.#steps.emit(
      (_rows, spans) => {
        let row = 0;
        for (const { count, start, positions } of spans) {
          const x = first + row * ld * FLOAT_BYTES;
          if (byRow) kernels.rope(x, count, ld, ownHeads, headDim, row, cos, sin);
          else if (positions) {
            for (let r = 0; r < count; r++) {
              const at = x + r * ld * FLOAT_BYTES;
              kernels.rope(at, 1, ld, ownHeads, headDim, positions[r], cos, sin);
            }
          } else kernels.rope(x, count, ld, ownHeads, headDim, start, cos, sin);
          row += count;
        }
      },
      [],
      [rotated],
      ownHeads > 0,
    );
  }

  /**
   * Whether the next step rotates the heads behind this one's: one call does both. Threads divide
   * queries and keys alone, so that each has what it needs next.
   */
  isNeighbour(step: StepOf<"rope">, next: Step | undefined): next is StepOf<"rope"> {
    if (this.#part.count > 1) return false;
    const end = step.column + step.heads * this.#input.plan.config.head_dim;
    return next?.op === "rope" && next.buffer === step.buffer && next.column === end;
  }

  storeKv(step: StepOf<"storeKv">): void {
    const { plan, layout, options } = this.#input;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = plan.config;
    const { store } = this.#cacheCalls;
    const ld = plan.buffers[step.in];
    const first = layout.buffers[step.in];
    const own = this.#shareOfHeads(kvHeads);
    const ownHeads = own.to - own.from;
    const keyColumn = step.keyColumn + own.from * headDim;
    const valueColumn = step.valueColumn + own.from * headDim;
    this.#steps.emit(
      (_rows, spans) => {
        let row = first;
        for (const { slot, start, count } of spans) {
          const k = row + keyColumn * FLOAT_BYTES;
          const v = row + valueColumn * FLOAT_BYTES;
          const cache = layout.cache[slot][step.layer];
          store(cache, own.from, k, v, count, ld, start, ownHeads, headDim, options.ctx);
          row += count * ld * FLOAT_BYTES;
        }
      },
      [
        this.#headsOf(step.in, step.keyColumn, kvHeads),
        this.#headsOf(step.in, step.valueColumn, kvHeads),
      ],
      [this.#headsOf(`cache ${step.layer}`, 0, kvHeads)],
      ownHeads > 0,
    );
  }

  attention(step: StepOf<"attention">): void {
    const { plan, layout, options } = this.#input;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = plan.config;
    const heads = plan.config.num_attention_heads;
    const { attend } = this.#cacheCalls;
    const { attention: scratch } = layout;
    const ldq = plan.buffers[step.in];
    const ldo = plan.buffers[step.out];
    const scale = Math.fround(1 / Math.sqrt(headDim));
    const queries = layout.buffers[step.in] + step.queryColumn * FLOAT_BYTES;
    const outputs = layout.buffers[step.out];
    const cache = `cache ${step.layer}`;
    if (this.#byGroups) {
      const own = this.#shareOfHeads(heads);
      const groups = this.#shareOfHeads(kvHeads);
      const ownHeads = own.to - own.from;
      const ownKvHeads = groups.to - groups.from;
      const offset = own.from * headDim * FLOAT_BYTES;
      this.#steps.emit(
        (_rows, spans) => {
          let q = queries + offset;
          let out = outputs + offset;
          for (const span of spans) {
            const { slot, start, count, visible } = span;
            const region = layout.cache[slot][step.layer];
            if (visible || span.probabilities) {
              this.#masked(step, span, q, out);
              q += count * ldq * FLOAT_BYTES;
              out += count * ldo * FLOAT_BYTES;
              continue;
            }
            const sizes = [
              count,
              ldq,
              ldo,
              start,
              ownHeads,
              ownKvHeads,
              headDim,
              options.ctx,
              scale,
            ];
            attend(out, q, region, groups.from, scratch, sizes);
            q += count * ldq * FLOAT_BYTES;
            out += count * ldo * FLOAT_BYTES;
          }
        },
        [this.#headsOf(step.in, step.queryColumn, heads), this.#headsOf(cache, 0, kvHeads)],
        [this.#headsOf(step.out, 0, heads)],
      );
    } else {
      this.#steps.emit(
        (_rows, spans) => {
          if (this.#pieces.spans !== spans) {
            const own = shareOfAttention(spans, heads, kvHeads, this.#part);
            this.#pieces = { spans, own };
          }
          for (const { slot, position, row, rows, kvHead, from, to } of this.#pieces.own) {
            const region = layout.cache[slot][step.layer];
            const sizes = [rows, ldq, ldo, position, to - from, 1, headDim, options.ctx, scale];
            const q = queries + (row * ldq + from * headDim) * FLOAT_BYTES;
            const out = outputs + (row * ldo + from * headDim) * FLOAT_BYTES;
            attend(out, q, region, kvHead, scratch, sizes);
          }
        },
        [whole(step.in, SHARED), whole(cache, SHARED)],
        [whole(step.out, "attention")],
      );
    }
  }

  /** This thread's of so many heads: with whole groups, the heads that go with its K/V heads. */
  #shareOfHeads(heads: number): Range {
    if (!this.#byGroups) return shareOf(heads, this.#part);
    const kvHeads = this.#input.plan.config.num_key_value_heads;
    const { from, to } = shareOf(kvHeads, this.#part);
    return { from: (from * heads) / kvHeads, to: (to * heads) / kvHeads };
  }

  /** Attention with a mask, for all heads: runners that have masks have one thread. */
  #masked(step: StepOf<"attention">, span: Span, q: number, out: number): void {
    const { plan, layout, kernels, options, tap } = this.#input;
    const { slot, start, count } = span;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = plan.config;
    const heads = plan.config.num_attention_heads;
    const visible = span.visible ?? causalMask(start, count);
    const keys = visible.length / count;
    const { keys: k, values: v } = layout.cache[slot][step.layer];
    const memory = this.#input.memory.buffer;
    new Uint8Array(memory, layout.visible, visible.length).set(visible);
    kernels.attention_masked_f32(
      out,
      layout.probabilities,
      q,
      k,
      v,
      layout.visible,
      layout.attention,
      count,
      plan.buffers[step.in],
      plan.buffers[step.out],
      keys,
      heads,
      kvHeads,
      headDim,
      options.ctx,
      Math.fround(1 / Math.sqrt(headDim)),
    );
    if (step.probabilities === undefined || !span.probabilities) return;
    const data = new Float32Array(memory, layout.probabilities, count * heads * keys);
    tap?.({ name: step.probabilities, data, rows: count, stride: heads * keys, span });
  }

  #headsOf(buffer: string, column: number, heads: number): Access {
    const width = heads * this.#input.plan.config.head_dim;
    const division = this.#byGroups ? "groups" : `${heads} heads`;
    return { buffer, from: column, to: column + width, division };
  }
}
