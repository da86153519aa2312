/**
 * What may be computed for one request, where a platform ends those that compute too long (Workers' cpu_ms)
 * and its clock stands still meanwhile: rows and positions are counted, each for as long as it usually takes.
 */
import type { Batch } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import { relativeCost } from "./batch-cost.ts";

/** Positions that a row looks back to, for the time of a row: npm run bench -- contexts. */
const POSITIONS_PER_ROW = 3000;

/** What a batch costs, in batches of one row at the start of a text. */
export function batchWork({ ids, spans }: Pick<Batch, "ids" | "spans">): number {
  const positions = spans.reduce((sum, { start, count }) => sum + count * (start + count / 2), 0);
  return relativeCost(ids.length) + positions / POSITIONS_PER_ROW;
}

/** Of one request, shared by all that it runs. */
export class WorkBudget {
  readonly #ms: number;
  #spent = 0;

  constructor(ms: number) {
    this.#ms = ms;
  }

  spend(ms: number): void {
    this.#spent += ms;
  }

  get isSpent(): boolean {
    return this.#spent >= this.#ms;
  }

  /** @throws PronkError "bad_request" when there is none left, for what cannot end early with a part. */
  check(): void {
    if (!this.isSpent) return;
    const limit = `the ${this.#ms / 1000} s that this server computes for one request`;
    throw new PronkError("bad_request", `it takes more than ${limit}: send fewer texts at a time`);
  }
}

/** What batches usually take, by what they compute. */
export class WorkClock {
  readonly #stepMs: number;
  /** Of all batches. */
  ms = 0;
  /** Of those whose time the clock did not tell. */
  stillMs = 0;

  /** @param stepMs milliseconds that a batch of one row counts for. */
  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  ran(batch: Pick<Batch, "ids" | "spans">, isStill: boolean): void {
    const ms = batchWork(batch) * this.#stepMs;
    this.ms += ms;
    if (isStill) this.stillMs += ms;
  }

  /** What `run` computes counts for `budget`: that of the request in whose context it runs, as platforms count. */
  async spend(budget: WorkBudget | undefined, run: () => Promise<void> | undefined): Promise<void> {
    const before = this.ms;
    await run();
    budget?.spend(this.ms - before);
  }

  /** For what runs batches of its own. */
  meter(budget: WorkBudget | undefined): (batch: Pick<Batch, "ids" | "spans">) => void {
    return (batch) => {
      budget?.check();
      budget?.spend(batchWork(batch) * this.#stepMs);
    };
  }
}
