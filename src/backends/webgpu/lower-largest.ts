/** The largest logits of a row: sorted chunk by chunk, then what is left of those, until one chunk is. */

import type { Buffers } from "./buffers.ts";
import { BEST_BYTES } from "./choice-buffers.ts";
import type { Dispatch } from "./lower-steps.ts";
import type { PipelineCache } from "./pipelines.ts";
import type { ReadRange } from "./readback.ts";

export interface LargestInput {
  readonly outputs: number;
  /** So many, in the end of which there may be fewer. */
  readonly kept: number;
  readonly rows: number;
  readonly buffers: Buffers;
  readonly pipelines: PipelineCache;
  /** Rows of logits, so many floats apart. */
  readonly logits: GPUBuffer;
  readonly stride: number;
  /** Each row's temperature. */
  readonly draws: GPUBuffer;
}

export interface LargestRow {
  readonly passes: readonly Dispatch[];
  /** Where they leave `kept` of (logit, id). */
  readonly largest: { readonly buffer: GPUBuffer; readonly offset: number };
  /** Behind them sums of e^((logit - largest) / temperature), each in a score's place. */
  readonly total: Dispatch;
  readonly sums: ReadRange;
}

export interface LargestLowering {
  row(index: number): LargestRow;
}

/** Candidates that a workgroup sorts in its memory. */
const CHUNK = 1024;

/** Logits that a workgroup of `total` adds up. */
const TOTAL_CHUNK = 4096;

export function lowerLargest(input: LargestInput): LargestLowering {
  const { buffers, outputs, kept, rows } = input;
  const room = Math.ceil(outputs / CHUNK) * kept * BEST_BYTES;
  // Rows follow one another: all have the same scratch.
  const scratch = [0, 1].map((i) => buffers.storage(room, `candidates ${i}`));
  const sums = Math.ceil(outputs / TOTAL_CHUNK);
  const results = buffers.storage(rows * (kept + sums) * BEST_BYTES, "largest");
  const made = new Map<number, LargestRow>();
  return {
    row(index) {
      let row = made.get(index);
      if (!row) made.set(index, (row = lowerRow(index, scratch, results, input)));
      return row;
    },
  };
}

function lowerRow(
  index: number,
  scratch: readonly GPUBuffer[],
  results: GPUBuffer,
  { outputs, kept: KEPT, buffers, pipelines, logits, stride, draws }: LargestInput,
): LargestRow {
  const sums = Math.ceil(outputs / TOTAL_CHUNK);
  const first = index * (KEPT + sums);
  const plans: { params: number[]; from: GPUBuffer; to: GPUBuffer; groups: number }[] = [];
  let count = outputs;
  let from = logits;
  do {
    const groups = Math.ceil(count / CHUNK);
    const to = groups === 1 ? results : scratch[plans.length % 2];
    const params = [count, index * stride, groups === 1 ? first : 0];
    plans.push({ params, from, to, groups });
    count = groups === 1 ? 0 : groups * KEPT;
    from = to;
  } while (count > 0);
  const start = index * stride;
  const uniforms = buffers.uniforms([
    [outputs, index, start, first, first + KEPT],
    ...plans.map(({ params }) => params),
  ]);
  const passes = plans.map(({ from: candidates, to, groups }, i): Dispatch => {
    const constants = { CHUNK, KEPT, FIRST: i === 0 };
    return {
      kernel: pipelines.kernel({ op: "largest", parts: ["noise"], constants }),
      bindings: [uniforms[1 + i], { buffer: logits }, { buffer: candidates }, { buffer: to }],
      groups,
    };
  });
  const total: Dispatch = {
    kernel: pipelines.kernel({ op: "total", parts: ["noise"], constants: { CHUNK: TOTAL_CHUNK } }),
    bindings: [uniforms[0], { buffer: logits }, { buffer: draws }, { buffer: results }],
    groups: sums,
  };
  return {
    passes,
    total,
    largest: { buffer: results, offset: first * BEST_BYTES },
    sums: { buffer: results, offset: (first + KEPT) * BEST_BYTES, bytes: sums * BEST_BYTES },
  };
}
