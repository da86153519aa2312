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

/** Runs before the second look at the values: engines optimize after 5 to 40 calls. */
const WARM_RUNS = 60;

/** What timing may take. The first half is the optimizer's. */
const TIMING_MS = 4;

/** Of a clock that advances at all; the coarsest that browsers have is 1 ms. */
const CLOCK_PATIENCE_RUNS = 200;

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
 * Chooses a variant, in a few milliseconds.
 *
 * @throws PronkError "unsupported" when the variant asked for does not run here, or no module does.
 */
export function selectKernel(modules: KernelModules, options: KernelOptions = {}): SelectedKernel {
  const { variant = "auto", now } = options;
  const simd = createTrial(modules.plain, "simd");
  if (variant === "simd") return { module: modules.plain, variant, reason: "simd: as asked for" };

  const expected = simd.bits();
  const candidates: KernelTrial[] = [];
  const refusals: string[] = [];
  for (const name of variant === "auto" ? (["dot", "m"] as const) : [variant]) {
    const found = tryVariant(modules, name, expected);
    if (typeof found === "string") refusals.push(`${name} ${found}`);
    else candidates.push(found);
  }
  const chosen = (name: KernelVariant, why: string): SelectedKernel => ({
    module: name === "simd" ? modules.plain : (modules.relaxed ?? modules.plain),
    variant: name,
    reason: [`${name}: ${why}`, ...refusals].join("; "),
  });

  if (variant !== "auto") {
    if (candidates.length === 0) throw new PronkError("unsupported", `kernels: ${refusals[0]}`);
    return chosen(variant, "as asked for");
  }
  if (candidates.length === 0) return chosen("simd", "runs everywhere");

  const trials = [...candidates, simd];
  const times = now ? timeTrials(trials, now) : undefined;
  if (!times) {
    const untimed = candidates.find((trial) => trial.variant === UNTIMED_CHOICE) ?? candidates[0];
    return chosen(
      untimed.variant,
      now ? "the clock stands still or is too coarse" : "no clock to time with",
    );
  }
  const fastest = times.indexOf(Math.min(...times));
  const speeds = trials.map(
    (trial, i) => `${trial.variant} ${Math.round(TRIAL_OPERATIONS / times[i] / 1e6)}`,
  );
  return chosen(trials[fastest].variant, `fastest here (GOP/s: ${speeds.join(", ")})`);
}

/** A trial whose values are right, cold and warm; or what is wrong. */
function tryVariant(
  modules: KernelModules,
  variant: "dot" | "m",
  expected: Uint32Array,
): KernelTrial | string {
  if (!modules.relaxed) return "not possible: no relaxed SIMD in this engine";
  try {
    const trial = createTrial(modules.relaxed, variant);
    if (!equal(trial.bits(), expected)) return "refused: wrong values in its first calls";
    for (let i = 0; i < WARM_RUNS; i++) trial.run();
    if (!equal(trial.bits(), expected)) return "refused: wrong values once optimized";
    return trial;
  } catch (cause) {
    return `not possible: ${reasonOf(cause)}`;
  }
}

/** The shortest run of each, in milliseconds, taking turns; undefined when the clock does not tell. */
function timeTrials(trials: readonly KernelTrial[], now: () => number): number[] | undefined {
  const best = trials.map(() => Number.POSITIVE_INFINITY);
  const start = now();
  for (let round = 0; now() - start < TIMING_MS; round++) {
    if (round === CLOCK_PATIENCE_RUNS && now() === start) return undefined;
    trials.forEach((trial, i) => {
      const before = now();
      trial.run();
      best[i] = Math.min(best[i], now() - before);
    });
  }
  return best.every((ms) => ms > 0) ? best : undefined;
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((bits, i) => bits === b[i]);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
