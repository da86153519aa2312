/**
 * How much one submit may do. While a long one runs nothing else gets on the screen, and a watchdog kills it after some
 * seconds: a batch becomes as many submits as it takes, by what earlier ones took here.
 */
import type { LlamaConfig } from "../../model/config.ts";
import type { Span } from "../backend.ts";
import type { LoweredStep } from "./lower-steps.ts";

/** Well below 100 ms: the next one may be slower than the last. */
const TARGET_MS = 50;

/** Multiplications in a millisecond before anything is known: of a slow integrated GPU. */
const FIRST_RATE = 20e6;

/** What takes less says more of launching than of computing. */
const SHORTEST_MS = 1;

/** What of a queue is needed. */
export type PacedQueue = Pick<GPUQueue, "onSubmittedWorkDone">;

export class SubmitPacer {
  readonly #queue: PacedQueue;
  readonly #now: () => number;
  #rate = FIRST_RATE;
  #running = 0;

  constructor(queue: PacedQueue, now: () => number = () => performance.now()) {
    this.#queue = queue;
    this.#now = now;
  }

  /** Multiplications of a submit at most. */
  get budget(): number {
    return this.#rate * TARGET_MS;
  }

  /** So many multiplications were submitted just now. Resolves when they are done. */
  async submitted(multiplications: number): Promise<void> {
    const before = this.#now();
    const isAlone = this.#running === 0;
    this.#running++;
    try {
      await this.#queue.onSubmittedWorkDone();
    } finally {
      this.#running--;
    }
    if (!isAlone || multiplications === 0) return;
    const rate = multiplications / Math.max(SHORTEST_MS, this.#now() - before);
    // Slower counts at once; a first one, which compiles, is soon forgotten.
    this.#rate = rate < this.#rate ? rate : (this.#rate + rate) / 2;
  }
}

/** Of products and attention, which are nearly all of a batch. */
export function multiplicationsOf(
  step: LoweredStep["of"],
  rows: number,
  spans: readonly Span[],
  { num_attention_heads: heads, head_dim: headDim }: LlamaConfig,
): number {
  if (step.op === "matmul") {
    return rows * step.cols * step.parts.reduce((sum, part) => sum + part.rows, 0);
  }
  if (step.op !== "attention") return 0;
  const seen = spans.reduce((sum, { start, count }) => sum + count * (start + count / 2), 0);
  return 2 * seen * heads * headDim;
}
