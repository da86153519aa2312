/**
 * How long variants of one computation take, side by side, on a machine that does other things too:
 * samples are taken in turn, the shortest of each counts, and what ends the timing is the work that
 * was done, not the time that went by. A sample that another process cut in two is then only lost.
 */

/** One of the variants: `run` computes once, the same amount as the others'. */
export interface TimedVariant {
  run(): void;
  /** How many times as fast optimized code is, at least, in the engines that optimize late. */
  readonly gain: number;
}

/** Runs in which any useful clock advances: 1 ms, the coarsest that browsers have, are some 500. */
const CLOCK_RUNS = 1500;
const CLOCK_CALLS = 16;
const CLOCK_STEPS = 3;

/** A sample is at least this many ticks of the clock long: variants differ by 20 % or more. */
const SAMPLE_TICKS = 5;

/**
 * The first samples, of unoptimized code: few runs, since engines optimize within hundreds; but where
 * the clock is fine enough for that several samples, since one that was cut in two would let all that
 * follow pass for optimized.
 */
const FIRST_CALLS = 4;
const FIRST_SAMPLES = 5;

/** Runs of a sample where the clock is fine, 10 to 50 us: long beside a call of the clock, short beside a time slice. */
const FINE_CALLS = 16;

/** Longer than 5 ms on any engine: a clock that makes more of it has stopped. */
const MAX_CALLS = 16_384;

/**
 * Engines run unoptimized code first, which says little about the variants; optimized code comes
 * after 2 to 15 ms, in some engines in two steps. Timing ends when each variant has gained by it and none has gained for a while. Where only some have gained it would be unfair
 * to stop. Where none has, all were optimized early if they ran before this or the clock needs long
 * samples; otherwise their optimizer may be waiting for a core.
 */
const SETTLED_MS = 3;
const EARLY_LIMIT_MS = 15;
const LIMIT_MS = 30;

/**
 * The shortest time of a run of each, in milliseconds; undefined when the clock stands still.
 *
 * Takes 5 to 15 ms where the engine optimizes in time, at most 30 ms of computing.
 *
 * @param ranBefore the engine may have optimized all of them already
 */
export function timeVariants(
  variants: readonly TimedVariant[],
  now: () => number,
  ranBefore: boolean,
): number[] | undefined {
  const tick = clockTick(variants[0], now);
  if (tick === undefined) return undefined;
  let calls = FIRST_CALLS;
  const sample = (variant: TimedVariant): number => {
    const before = now();
    for (let i = 0; i < calls; i++) variant.run();
    return now() - before;
  };
  while (calls < MAX_CALLS && sample(variants[0]) < SAMPLE_TICKS * tick) calls *= 2;
  const isFine = calls === FIRST_CALLS;
  let first = variants.map((variant) => Math.max(sample(variant), tick) / calls);
  for (let i = 1; isFine && i < FIRST_SAMPLES; i++) {
    first = first.map((ms, k) => Math.min(ms, Math.max(sample(variants[k]), tick) / calls));
  }
  if (isFine) calls = FINE_CALLS;

  let best = first;
  // Milliseconds of computing, as the best samples have it.
  let spent = 0;
  let gained = 0;
  for (;;) {
    const samples = variants.map(sample);
    // Once optimized, a sample may be too short for a coarse clock.
    const times = samples.map((ms, i) => (ms > tick ? Math.min(best[i], ms / calls) : best[i]));
    spent += calls * sumOf(times);
    if (times.some((ms, i) => ms < 0.95 * best[i])) gained = spent;
    best = times;
    if (Math.min(...samples) < SAMPLE_TICKS * tick) {
      calls *= 2;
      if (calls > MAX_CALLS) return undefined;
      continue;
    }
    const optimized = best.filter((ms, i) => ms * variants[i].gain < first[i]).length;
    if (optimized === best.length && spent - gained > SETTLED_MS) break;
    const limit = optimized === 0 && (ranBefore || !isFine) ? EARLY_LIMIT_MS : LIMIT_MS;
    if (spent > limit) break;
  }
  return best;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** The smallest step of the clock that was seen; undefined when it does not move while work is done. */
function clockTick(variant: TimedVariant, now: () => number): number | undefined {
  const steps: number[] = [];
  let last = now();
  for (let i = 0; i < CLOCK_RUNS && steps.length < CLOCK_STEPS; i++) {
    // A fine clock moves from call to call; a coarse one needs work, so that time goes by.
    if (i >= CLOCK_CALLS) variant.run();
    const time = now();
    if (time > last) steps.push(time - last);
    last = time;
  }
  return steps.length > 0 ? Math.min(...steps) : undefined;
}
