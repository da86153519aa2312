/**
 * Chooses the kernels for this engine and CPU: dot and m need relaxed SIMD, simd runs everywhere.
 * All give the same bits, so only speed is at stake; but a feature test does not tell the fast one
 * (the same dot runs at 160 GOP/s in one engine and 50 in another on one CPU), and one engine
 * computes relaxed dots wrongly until its optimizer has seen them. So: values first, then time.
 */
import { PronkError } from "../../errors.ts";
import type { KernelVariant } from "./activation-layout.ts";
import { createTrial, type KernelTrial, TRIAL_OPERATIONS } from "./kernel-trial.ts";

export interface KernelModules {
  /** Absent where the engine does not compile it. */
  readonly relaxed?: WebAssembly.Module | undefined;
  readonly plain: WebAssembly.Module;
}

export interface KernelOptions {
  /** "auto", the default, picks the fastest whose values are right. */
  readonly variant?: KernelVariant | "auto" | undefined;
  /** Milliseconds; without it, or where it stands still, nothing is timed and the choice is m. */
  readonly now?: (() => number) | undefined;
}

export interface SelectedKernel {
  readonly module: WebAssembly.Module;
  readonly variant: KernelVariant;
  /** Why this one, for people. */
  readonly reason: string;
}

/** The choice without a clock: where the CPU has no int8 dot product, m is twice as fast as dot; else 20 % slower. */
const UNTIMED_CHOICE: KernelVariant = "m";

/** Runs before the second look at the values, where none are timed: engines optimize within 100. */
const WARM_RUNS = 300;

/** Runs in which any useful clock advances: 1 ms, the coarsest that browsers have, are some 500. */
const CLOCK_RUNS = 1500;

/** A timed batch is at least this many ticks of the clock long: m and dot differ by 20 % or more. */
const BATCH_TICKS = 5;

/** Longer than 5 ms on any engine: a clock that makes more of it has stopped. */
const MAX_BATCH = 16_384;

/**
 * Engines run unoptimized code first, which says little about the variants; optimized code is at
 * least this much faster, and comes after 2 to 15 ms, in some engines in two steps. Timing ends when
 * each variant has it and none has gained for a while. At the first limit all may have been
 * optimized before; where some have gained and others not, it would be unfair, so it goes on.
 */
const OPTIMIZED_GAIN = 1.3;
const SETTLED_MS = 3;
const TIMING_LIMIT_MS = 15;
const UNFAIR_LIMIT_MS = 60;

/**
 * (module (func (param v128 v128) (result v128) local.get 0 local.get 1 i16x8.relaxed_dot_i8x16_i7x16_s))
 */
const RELAXED_PROBE = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7b, 0x7b, 1, 0x7b, 3, 2, 1, 0, 10, 11, 1, 9,
  0, 0x20, 0, 0x20, 1, 0xfd, 0x92, 2, 0x0b,
]);

/** Whether this engine knows relaxed SIMD. Compiles nothing, so it works where that is forbidden. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_PROBE);
}

/**
 * Compiles the modules' bytes, the relaxed one only where the engine knows its instructions.
 *
 * @throws PronkError "unsupported" when not even the plain module compiles.
 */
export async function compileKernels(bytes: {
  readonly relaxed: BufferSource;
  readonly plain: BufferSource;
}): Promise<KernelModules> {
  try {
    const relaxed = hasRelaxedSimd()
      ? WebAssembly.compile(bytes.relaxed).catch(() => undefined)
      : undefined;
    return { plain: await WebAssembly.compile(bytes.plain), relaxed: await relaxed };
  } catch (cause) {
    throw new PronkError("unsupported", `kernels: plain.wasm: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Chooses a variant, in about 10 ms where it is timed, else in 2.
 *
 * @throws PronkError "unsupported" when the variant asked for does not run here, or no module does.
 */
export function selectKernel(modules: KernelModules, options: KernelOptions = {}): SelectedKernel {
  const { variant = "auto", now } = options;
  const simd = createTrial(modules.plain, "simd");
  if (variant === "simd") return { module: modules.plain, variant, reason: "simd: as asked for" };

  const expected = simd.bits();
  const refusals: string[] = [];
  const isRight = (trial: KernelTrial, when: string): boolean => {
    const right = equal(trial.bits(), expected);
    if (!right) refusals.push(`${trial.variant} refused: wrong values ${when}`);
    return right;
  };

  const cold = (variant === "auto" ? (["dot", "m"] as const) : [variant])
    .map((name) => createRelaxedTrial(modules, name, refusals))
    .filter((trial) => trial !== undefined)
    .filter((trial) => isRight(trial, "in its first calls"));
  const times =
    variant === "auto" && now && cold.length > 0 ? timeTrials([...cold, simd], now) : undefined;
  if (!times) for (const trial of cold) for (let i = 0; i < WARM_RUNS; i++) trial.run();
  const right = cold.filter((trial) => isRight(trial, "once optimized"));

  const chosen = (name: KernelVariant, why: string): SelectedKernel => ({
    module: name === "simd" ? modules.plain : (modules.relaxed ?? modules.plain),
    variant: name,
    reason: [`${name}: ${why}`, ...refusals].join("; "),
  });
  if (variant !== "auto") {
    if (right.length === 0) throw new PronkError("unsupported", `kernels: ${refusals[0]}`);
    return chosen(variant, "as asked for");
  }
  if (right.length === 0) return chosen("simd", "runs everywhere");
  if (!times) {
    const untimed = right.find((trial) => trial.variant === UNTIMED_CHOICE) ?? right[0];
    return chosen(untimed.variant, now ? "the clock stands still" : "no clock to time with");
  }
  const names = [...right, simd].map((trial) => trial.variant);
  const speed = (name: KernelVariant): number => TRIAL_OPERATIONS / (times.get(name) ?? 0) / 1e6;
  const fastest = names.reduce((a, b) => (speed(b) > speed(a) ? b : a));
  const speeds = names.map((name) => `${name} ${Math.round(speed(name))}`).join(", ");
  return chosen(fastest, `fastest here (GOP/s: ${speeds})`);
}

function createRelaxedTrial(
  modules: KernelModules,
  variant: "dot" | "m",
  refusals: string[],
): KernelTrial | undefined {
  if (!modules.relaxed) {
    refusals.push(`${variant} not possible: no relaxed SIMD in this engine`);
    return undefined;
  }
  try {
    return createTrial(modules.relaxed, variant);
  } catch (cause) {
    refusals.push(`${variant} not possible: ${reasonOf(cause)}`);
    return undefined;
  }
}

/** The shortest time of a run of each, in milliseconds; undefined when the clock stands still. */
function timeTrials(
  trials: readonly KernelTrial[],
  now: () => number,
): Map<KernelVariant, number> | undefined {
  const tick = clockTick(trials[0], now);
  if (tick === undefined) return undefined;
  const start = now();
  let calls = 1;
  const batch = (trial: KernelTrial): number => {
    const before = now();
    for (let i = 0; i < calls; i++) trial.run();
    return now() - before;
  };
  while (calls < MAX_BATCH && batch(trials[0]) < BATCH_TICKS * tick) calls *= 2;

  const first = trials.map((trial) => Math.max(batch(trial), tick) / calls);
  let best = first;
  let gained = now();
  for (;;) {
    const batches = trials.map(batch);
    // once optimized, a batch may be too short for a coarse clock
    const times = batches.map((ms, i) => (ms > tick ? Math.min(best[i], ms / calls) : best[i]));
    if (Math.min(...batches) < BATCH_TICKS * tick) calls *= 2;
    if (calls > MAX_BATCH) return undefined;
    if (times.some((ms, i) => ms < 0.95 * best[i])) gained = now();
    best = times;
    const optimized = best.filter((ms, i) => ms * OPTIMIZED_GAIN < first[i]).length;
    if (optimized === best.length && now() - gained > SETTLED_MS) break;
    const unfair = optimized > 0 && optimized < best.length;
    if (now() - start > (unfair ? UNFAIR_LIMIT_MS : TIMING_LIMIT_MS)) break;
  }
  return new Map(trials.map(({ variant }, i) => [variant, best[i]]));
}

/** The smallest step of the clock that was seen; undefined when it does not move while work is done. */
function clockTick(trial: KernelTrial, now: () => number): number | undefined {
  const steps: number[] = [];
  let last = now();
  for (let i = 0; i < CLOCK_RUNS && steps.length < 3; i++) {
    trial.run();
    const time = now();
    if (time > last) steps.push(time - last);
    last = time;
  }
  return steps.length > 0 ? Math.min(...steps) : undefined;
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((bits, i) => bits === b[i]);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
