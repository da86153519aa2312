/**
 * Small matrix products by one variant's kernels: to see that their values are right on this engine,
 * and how long one takes.
 */
import {
  matrixBytes,
  PANEL_HEADER_BYTES,
  panelBytes,
  type QuantizedForm,
} from "../../pack/forms.ts";
import {
  activationBytes,
  activationLayout,
  gemmScratchBytes,
  type KernelVariant,
  tiledRows,
} from "./activation-layout.ts";
import { instantiateKernels, quantizedMatmul } from "./kernel-loader.ts";
import type { TimedVariant } from "./time-variants.ts";

/** For values: 4 and 8 bits, one row and a cut tile. */
const FORMS: readonly QuantizedForm[] = ["q4m", "q8"];
const TOKENS = 5;
const VALUE_ROWS = 16;

/** For time: a GEMV of 74,000 operations, 2 us or so. */
const TIMED_FORM: QuantizedForm = "q4m";
const TIMED_ROWS = 64;
const COLS = 576;
export const TRIAL_OPERATIONS: number = 2 * TIMED_ROWS * COLS;

const PAGE_BYTES = 65_536;

/** The modules' stack and constants. */
const RESERVED_BYTES = 2 * PAGE_BYTES;

const X_BYTES = TOKENS * COLS * 4;

/**
 * How many times as fast kernels are once they are optimized: in V8 dot 2.1, m 1.6, simd 1.55; in
 * JavaScriptCore 1.6, 2.0, 1.26. A little less, and more than what the machine's noise looks like.
 */
const OPTIMIZED_GAIN: Record<KernelVariant, number> = { dot: 1.45, m: 1.45, simd: 1.2 };

export interface KernelTrial extends TimedVariant {
  readonly variant: KernelVariant;
  /** Activations and weights, the same for every variant. */
  readonly inputs: Uint8Array;
  /** The timed product, once. */
  run(): void;
  /** What the kernels give, as bits: equal for every variant. */
  bits(): Uint32Array;
}

/**
 * @param like a trial whose inputs are taken, which is faster than making the same ones again
 * @throws PronkError "unsupported" when the module is none of ours.
 */
export function createTrial(
  module: WebAssembly.Module,
  variant: KernelVariant,
  like?: KernelTrial,
): KernelTrial {
  let top = RESERVED_BYTES;
  const allocate = (bytes: number): number => (top += bytes) - bytes;
  const x = allocate(X_BYTES);
  const w = FORMS.map((form) => allocate(matrixBytes(form, TIMED_ROWS, COLS)));
  const inputsEnd = top;
  const one = allocate(activationBytes(activationLayout(variant, TIMED_FORM, 1), 1, COLS));
  const a = allocate(activationBytes(activationLayout("simd", "q8", TOKENS), TOKENS, COLS));
  const scratch = allocate(gemmScratchBytes(COLS));
  const yBytes = (1 + tiledRows(TOKENS)) * VALUE_ROWS * 4;
  const y = FORMS.map(() => allocate(yBytes));
  const timedY = allocate(TIMED_ROWS * 4);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / PAGE_BYTES) });
  const kernels = instantiateKernels(module, memory, RESERVED_BYTES);

  const inputs = new Uint8Array(memory.buffer, x, inputsEnd - x);
  if (like) inputs.set(like.inputs);
  else {
    const random = randomWords();
    const activations = new Float32Array(memory.buffer, x, X_BYTES / 4);
    for (let i = 0; i < activations.length; i++) activations[i] = random() / 2 ** 31 - 1;
    FORMS.forEach((form, i) => {
      const bytes = matrixBytes(form, form === TIMED_FORM ? TIMED_ROWS : VALUE_ROWS, COLS);
      fillMatrix(new Uint32Array(memory.buffer, w[i], bytes / 4), form, random);
    });
  }

  const timed = quantizedMatmul(kernels, variant, TIMED_FORM).gemv;
  const timedW = w[FORMS.indexOf(TIMED_FORM)];
  kernels.quantize(one, x, 1, COLS, COLS, activationLayout(variant, TIMED_FORM, 1));
  return {
    variant,
    gain: OPTIMIZED_GAIN[variant],
    inputs,
    run: () => timed(timedY, timedW, one, TIMED_ROWS, COLS, 0),
    bits() {
      const results = FORMS.flatMap((form, i) => {
        const { gemv, gemm } = quantizedMatmul(kernels, variant, form);
        const first = y[i] + VALUE_ROWS * 4;
        kernels.quantize(a, x, 1, COLS, COLS, activationLayout(variant, form, 1));
        gemv(y[i], w[i], a, VALUE_ROWS, COLS, 0);
        kernels.quantize(a, x, TOKENS, COLS, COLS, activationLayout(variant, form, TOKENS));
        gemm(first, w[i], a, scratch, tiledRows(TOKENS), VALUE_ROWS, COLS, VALUE_ROWS, 0);
        return [...new Uint32Array(memory.buffer, y[i], (1 + TOKENS) * VALUE_ROWS)];
      });
      this.run();
      return Uint32Array.from([...results, ...new Uint32Array(memory.buffer, timedY, TIMED_ROWS)]);
    },
  };
}

/** Exponents of four rows, which keep scales and minima below 2^-5. */
const EXPONENTS = 0xe8e9eaeb; // -21 to -24

/** Random codes, scales and minima. */
function fillMatrix(words: Uint32Array, form: QuantizedForm, random: () => number): void {
  const panelWords = panelBytes(form, COLS) / 4;
  for (let at = 0; at < words.length; at++) {
    words[at] = at % panelWords < PANEL_HEADER_BYTES / 4 ? EXPONENTS : random();
  }
}

/** Words of 32 random bits, always the same: a linear congruential generator, its halves swapped. */
function randomWords(): () => number {
  let state = 1;
  return () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    return ((state >>> 16) | (state << 16)) >>> 0;
  };
}
