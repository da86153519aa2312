/**
 * Chooses the kernels for this engine and CPU: dot and m need relaxed SIMD, simd runs everywhere.
 * All give the same bits, so only speed is at stake; but a feature test does not tell the fast one
 * (the same dot runs at 160 GOP/s in one engine and 50 in another on one CPU), and one engine
 * computes relaxed dots wrongly until its optimizer has seen them. So: values first, then time.
 */
import { PronkError } from "../../errors.ts";
import type { KernelVariant } from "./activation-layout.ts";
import { createTrial, type KernelTrial, TRIAL_OPERATIONS } from "./kernel-trial.ts";
import { timeVariants } from "./time-variants.ts";

/** Vectors that kernels were made and compiled for. */
export interface VectorWidth {
  readonly bits: 128 | 256;
  /** Why not 256, where that was looked for. */
  readonly reason?: string;
}

export interface KernelModules {
  /** Absent where the engine does not compile it. */
  readonly relaxed?: WebAssembly.Module | undefined;
  /** Absent where relaxed kernels were found to be right and nothing else is to be fetched: simd is not offered then. */
  readonly plain?: WebAssembly.Module | undefined;
  /** What stands as `relaxed`: relaxed.wasm, the default, or wide.wasm where vectors are of 256 bits. */
  readonly vectors?: VectorWidth;
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

/** Of what every variant gives in a trial; a test computes it by the simd kernels. */
export const TRIAL_HASH = 3_834_031_812;

/**
 * Modules whose kernels were timed in this process: the engine keeps their optimized code, so that
 * they are as fast from the first sample on.
 */
const timedBefore = new WeakSet<WebAssembly.Module>();

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
  readonly relaxed: Uint8Array<ArrayBuffer>;
  readonly plain: Uint8Array<ArrayBuffer>;
}): Promise<KernelModules & { readonly plain: WebAssembly.Module }> {
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
 * Chooses a variant, in about 10 ms where it is timed, else in 2; at once where there is no choice.
 *
 * @throws PronkError "unsupported" when the variant asked for does not run here, or no module does.
 */
export function selectKernel(modules: KernelModules, options: KernelOptions = {}): SelectedKernel {
  const { variant = "auto", now } = options;
  const { plain, relaxed } = modules;
  if (variant === "simd") {
    if (plain !== undefined) return { module: plain, variant, reason: "simd: as asked for" };
    throw new PronkError("unsupported", "kernels: simd: plain.wasm was not loaded");
  }

  const asked: readonly ("dot" | "m")[] = variant === "auto" ? ["dot", "m"] : [variant];
  const refusals: string[] = [];
  const refuse = (name: KernelVariant, why: string): void => {
    refusals.push(`${name} ${why}`);
  };
  const { right, times } = relaxed
    ? tryRelaxed(relaxed, plain, asked, variant === "auto" ? now : undefined, refuse)
    : { right: [], times: undefined };
  if (!relaxed)
    for (const name of asked) refuse(name, "not possible: no relaxed SIMD in this engine");

  const moduleOf = (name: KernelVariant): WebAssembly.Module => {
    const found = name === "simd" ? plain : (relaxed ?? plain);
    if (found !== undefined) return found;
    throw new PronkError(
      "unsupported",
      `kernels: ${[...refusals, "no other was loaded"].join("; ")}`,
    );
  };
  const { bits = 128, reason } = modules.vectors ?? {};
  const width =
    bits === 256 ? ["256-bit vectors"] : reason === undefined ? [] : [`128-bit vectors: ${reason}`];
  const chosen = (name: KernelVariant, why: string): SelectedKernel => ({
    module: moduleOf(name),
    variant: name,
    reason: [`${name}: ${why}`, ...refusals, ...(name === "simd" ? [] : width)].join("; "),
  });
  if (variant !== "auto") {
    if (right.length === 0) throw new PronkError("unsupported", `kernels: ${refusals[0]}`);
    return chosen(variant, "as asked for");
  }
  if (right.length === 0) return chosen("simd", "runs everywhere");
  if (!times) {
    const untimed = right.find((name) => name === UNTIMED_CHOICE) ?? right[0];
    return chosen(untimed, now ? "the clock stands still" : "no clock to time with");
  }
  const names: KernelVariant[] = plain === undefined ? [...right] : [...right, "simd"];
  const speed = (name: KernelVariant): number => TRIAL_OPERATIONS / (times.get(name) ?? 0) / 1e6;
  const fastest = names.reduce((a, b) => (speed(b) > speed(a) ? b : a));
  const speeds = names.map((name) => `${name} ${Math.round(speed(name))}`).join(", ");
  return chosen(fastest, `fastest here (GOP/s: ${speeds})`);
}

/**
 * Of the variants asked for, those whose values are right, before and after the engine has optimized
 * them; with a clock that runs, milliseconds of a run of each and of simd.
 */
function tryRelaxed(
  relaxed: WebAssembly.Module,
  plain: WebAssembly.Module | undefined,
  asked: readonly ("dot" | "m")[],
  now: (() => number) | undefined,
  refuse: (name: KernelVariant, why: string) => void,
): {
  readonly right: readonly KernelVariant[];
  readonly times: ReadonlyMap<KernelVariant, number> | undefined;
} {
  const simd = plain && createTrial(plain, "simd");
  const expected = simd?.bits();
  let first: KernelTrial | undefined = simd;
  const isRight = (trial: KernelTrial, when: string): boolean => {
    const bits = trial.bits();
    const right = expected === undefined ? hashOf(bits) === TRIAL_HASH : equal(bits, expected);
    if (!right) refuse(trial.variant, `refused: wrong values ${when}`);
    return right;
  };
  const cold = asked
    .map((name) => {
      try {
        const trial = createTrial(relaxed, name, first);
        first ??= trial;
        return trial;
      } catch (cause) {
        refuse(name, `not possible: ${reasonOf(cause)}`);
        return undefined;
      }
    })
    .filter((trial) => trial !== undefined)
    .filter((trial) => isRight(trial, "in its first calls"));
  const trials = simd === undefined ? cold : [...cold, simd];
  const modules = plain === undefined ? [relaxed] : [plain, relaxed];
  let times: number[] | undefined;
  if (now && cold.length > 0) {
    times = timeVariants(
      trials,
      now,
      modules.every((module) => timedBefore.has(module)),
    );
    for (const module of modules) timedBefore.add(module);
  }
  if (!times) for (const trial of cold) for (let i = 0; i < WARM_RUNS; i++) trial.run();
  return {
    right: cold.filter((trial) => isRight(trial, "once optimized")).map(({ variant }) => variant),
    times: times && new Map(trials.map(({ variant }, i) => [variant, times[i]])),
  };
}

/** FNV-1a over the words, which is enough to tell values that are wrong by chance. */
export function hashOf(words: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
  return hash;
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((bits, i) => bits === b[i]);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
