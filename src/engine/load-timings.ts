/** Where the time of a load goes: phases that follow one another, so that their sum is the whole. */
import type { Digest } from "../pack/digest.ts";

/** Milliseconds; all are 0 where the clock stands still during work (Workers). */
export interface LoadTimings {
  /** The manifest or the file's header, read and checked; the plan of the memory. */
  readonly open_ms: number;
  /** The choice of kernels. */
  readonly kernel_ms: number;
  /** Memory allocated, the plan made calls of kernels. */
  readonly memory_ms: number;
  /** Read, verified and checked. */
  readonly tokenizer_ms: number;
  /** The weights, without what follows. */
  readonly read_ms: number;
  /** Their hashes; where those are computed beside the reading, what was left of the time at least. */
  readonly verify_ms: number;
  /** The chat template, the fingerprint, other threads' start. */
  readonly finish_ms: number;
  readonly total_ms: number;
}

export type LoadPhase = Exclude<keyof LoadTimings, "total_ms">;

/** Runs from its creation on. */
export class LoadWatch {
  readonly #now: () => number;
  readonly #start: number;
  #last: number;
  #verified = 0;
  readonly #phases: Record<LoadPhase, number> = {
    open_ms: 0,
    kernel_ms: 0,
    memory_ms: 0,
    tokenizer_ms: 0,
    read_ms: 0,
    verify_ms: 0,
    finish_ms: 0,
  };

  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
    this.#last = this.#start;
  }

  /** What went by since the last lap was this phase. */
  lap(phase: LoadPhase): void {
    const time = this.#now();
    this.#phases[phase] += time - this.#last;
    this.#last = time;
  }

  /** Notes how long hashing takes; `weightsLap` uses it. */
  timed(digest: Digest): Digest {
    return async (bytes) => {
      const before = this.#now();
      try {
        return await digest(bytes);
      } finally {
        this.#verified += this.#now() - before;
      }
    };
  }

  /** A lap of reading, and of verifying by the digest that was timed. */
  weightsLap(): void {
    const time = this.#now();
    const verified = Math.min(this.#verified, time - this.#last);
    this.#phases.verify_ms += verified;
    this.#phases.read_ms += time - this.#last - verified;
    this.#last = time;
  }

  /** Up to the last lap. */
  timings(): LoadTimings {
    return { ...this.#phases, total_ms: this.#last - this.#start };
  }
}
