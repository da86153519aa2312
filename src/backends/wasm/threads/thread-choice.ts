/**
 * How many threads the next batch takes. Whether threads pay depends on what else the machine does:
 * where cores are free two are nearly twice as fast, where they are not a barrier waits for a thread
 * that does not run. So times are measured, of one thread and of more in turn, and the fastest
 * median wins until the next trial. Only speed depends on it: the bits are the same.
 */
import { tiledRows } from "../activation-layout.ts";

/** Batches of one row and of more are told apart: they run different kernels. */
type Kind = "one" | "many";

/** Times of each in a trial. */
const ROUNDS = { one: 5, many: 3 } as const;

/** Batches from one trial to the next; doubled as long as nothing changes. */
const FIRST_HOLD = 64;
const LONGEST_HOLD = 4096;

/** More threads must be so much faster to be taken: they cost others' time, too. */
const LEAST_GAIN = 1.05;

/** In a trial, a time of so many times the best one so far ends the turn of that number of threads. */
const HOPELESS = 3;

/** A trial begins at once when this many of the last batches took longer than one thread would. */
const WATCHED = 8;
const SLOW_OF_WATCHED = 5;

interface Trial {
  readonly counts: number[];
  readonly times: Map<number, number[]>;
}

interface KindState {
  chosen: number;
  trial: Trial | undefined;
  /** Batches until the next trial. */
  left: number;
  hold: number;
  /** Of the last trial, milliseconds a tiled row. */
  medians: Map<number, number>;
  /** Whether the last batches were slower than one thread's. */
  slow: boolean[];
}

export class ThreadChoice {
  readonly #counts: readonly number[];
  readonly #kinds: Record<Kind, KindState>;

  /** Of `threads` or fewer: half as many, and so on, to 1. */
  constructor(threads: number) {
    const counts: number[] = [];
    for (let count = threads; count > 1; count = Math.ceil(count / 2)) counts.push(count);
    this.#counts = [1, ...counts.reverse()];
    this.#kinds = { one: this.#fresh(), many: this.#fresh() };
  }

  /** Threads for a batch of so many rows. */
  next(rows: number): number {
    const state = this.#kinds[kindOf(rows)];
    if (!state.trial && state.left-- <= 0) state.trial = this.#newTrial();
    return state.trial ? state.trial.counts[0] : state.chosen;
  }

  /** The batch that `next` was asked for took so long. */
  record(rows: number, count: number, milliseconds: number): void {
    const kind = kindOf(rows);
    const state = this.#kinds[kind];
    const time = milliseconds / tiledRows(rows);
    const { trial } = state;
    if (!trial) {
      this.#watch(state, count, time);
      return;
    }
    const times = trial.times.get(count) ?? [];
    times.push(time);
    trial.times.set(count, times);
    const best = Math.min(...[...trial.times.values()].flat());
    const first = trial.counts.shift();
    const hopeless = time > HOPELESS * best && count > 1;
    if (!hopeless && first !== undefined && times.length < ROUNDS[kind]) trial.counts.push(first);
    if (trial.counts.length === 0) this.#decide(state, trial);
  }

  /** What is used, and why, for people: `2 threads: 1.8x decoding, 1.9x reading`. */
  get reason(): string {
    const parts = (["one", "many"] as const).flatMap((kind) => {
      const { chosen, medians } = this.#kinds[kind];
      const most = this.#counts[this.#counts.length - 1];
      const gain = (medians.get(1) ?? 0) / (medians.get(chosen > 1 ? chosen : most) ?? 0);
      if (!Number.isFinite(gain) || gain === 0) return [];
      const what = kind === "one" ? "decoding" : "reading";
      return chosen > 1
        ? [`${what} on ${chosen}: ${gain.toFixed(2)}x`]
        : [`${what} on 1: ${most} are ${gain.toFixed(2)}x`];
    });
    return parts.length > 0 ? parts.join(", ") : "not measured yet";
  }

  /** Threads that decoding takes. */
  get decoding(): number {
    return this.#kinds.one.chosen;
  }

  #fresh(): KindState {
    const chosen = this.#counts[this.#counts.length - 1];
    return {
      chosen,
      trial: this.#newTrial(),
      left: 0,
      hold: FIRST_HOLD,
      medians: new Map(),
      slow: [],
    };
  }

  /** One thread first: what more are compared with. */
  #newTrial(): Trial {
    return { counts: [...this.#counts], times: new Map() };
  }

  #decide(state: KindState, trial: Trial): void {
    const medians = new Map([...trial.times].map(([count, times]) => [count, median(times)]));
    const single = medians.get(1) ?? 0;
    let chosen = 1;
    for (const [count, time] of medians) {
      const best = medians.get(chosen) ?? 0;
      if (time < best && time * LEAST_GAIN < single) chosen = count;
    }
    state.hold =
      chosen === state.chosen && state.medians.size > 0
        ? Math.min(state.hold * 2, LONGEST_HOLD)
        : FIRST_HOLD;
    state.chosen = chosen;
    state.medians = medians;
    state.left = state.hold;
    state.slow = [];
    state.trial = undefined;
  }

  #watch(state: KindState, count: number, time: number): void {
    if (count === 1) return;
    state.slow.push(time > (state.medians.get(1) ?? Number.POSITIVE_INFINITY));
    if (state.slow.length > WATCHED) state.slow.shift();
    if (state.slow.filter(Boolean).length >= SLOW_OF_WATCHED) state.left = 0;
  }
}

function kindOf(rows: number): Kind {
  return rows === 1 ? "one" : "many";
}

/** The lower one of two: times are disturbed upwards only. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
}
