/**
 * A small matrix product by one variant's kernels: to see that its values are right on this engine,
 * and how long it takes. One row and a batch, 4 and 8 bits.
 */
import { BLOCK_COLS, matrixBytes, panelBytes, type QuantizedForm } from "../../pack/forms.ts";
import {
  activationBytes,
  activationLayout,
  gemmScratchBytes,
  type KernelVariant,
} from "./activation-layout.ts";
import { instantiateKernels, quantizedMatmul } from "./kernel-loader.ts";

const FORMS: readonly QuantizedForm[] = ["q4m", "q8"];
const ROWS = 64;
const COLS = 576;
const TOKENS = 8;
const PAGE_BYTES = 65_536;

/** The modules' stack and constants. */
const RESERVED_BYTES = 2 * PAGE_BYTES;

/** Integer operations of one `run`. */
export const TRIAL_OPERATIONS: number = FORMS.length * 2 * ROWS * COLS * (1 + TOKENS);

export interface KernelTrial {
  readonly variant: KernelVariant;
  /** Multiplies everything once. */
  run(): void;
  /** The results of a fresh `run`, as bits: equal for every variant. */
  bits(): Uint32Array;
}

/** @throws PronkError "unsupported" when the module is none of ours. */
export function createTrial(module: WebAssembly.Module, variant: KernelVariant): KernelTrial {
  let top = RESERVED_BYTES;
  const allocate = (bytes: number): number => (top += bytes) - bytes;
  const x = allocate(TOKENS * COLS * 4);
  const w = FORMS.map((form) => allocate(matrixBytes(form, ROWS, COLS)));
  const a = allocate(activationBytes(4, TOKENS, COLS));
  const scratch = allocate(gemmScratchBytes(COLS));
  const y = allocate(FORMS.length * (1 + TOKENS) * ROWS * 4);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / PAGE_BYTES) });
  const kernels = instantiateKernels(module, memory, RESERVED_BYTES);

  const random = createRandom();
  const activations = new Float32Array(memory.buffer, x, TOKENS * COLS);
  for (let i = 0; i < activations.length; i++) activations[i] = random() / 2 ** 31 - 1;
  FORMS.forEach((form, i) => {
    fillMatrix(new DataView(memory.buffer, w[i], matrixBytes(form, ROWS, COLS)), form, random);
  });

  const run = (): void => {
    let out = y;
    FORMS.forEach((form, i) => {
      const { gemv, gemm } = quantizedMatmul(kernels, variant, form);
      kernels.quantize(a, x, 1, COLS, COLS, activationLayout(variant, form, 1));
      gemv(out, w[i], a, ROWS, COLS, 0);
      out += ROWS * 4;
      kernels.quantize(a, x, TOKENS, COLS, COLS, activationLayout(variant, form, TOKENS));
      gemm(out, w[i], a, scratch, TOKENS, ROWS, COLS, ROWS, 0);
      out += TOKENS * ROWS * 4;
    });
  };
  const results = new Uint32Array(memory.buffer, y, FORMS.length * (1 + TOKENS) * ROWS);
  return {
    variant,
    run,
    bits() {
      results.fill(0);
      run();
      return results.slice();
    },
  };
}

/** Random codes; scales and minima are bf16 of either sign between 0.008 and 0.03. */
function fillMatrix(view: DataView, form: QuantizedForm, random: () => number): void {
  const tileBytes = panelBytes(form, BLOCK_COLS);
  const codes = form.endsWith("m") ? 64 : 32;
  for (let at = 0; at < view.byteLength; at += 2) {
    const isCode = at % tileBytes >= codes;
    view.setUint16(at, isCode ? random() & 0xffff : 0x3c00 | (random() & 0x80ff), true);
  }
}

/** A linear congruential generator of 32 bits; its high bits first. */
function createRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return ((state >>> 16) | (state << 16)) >>> 0;
  };
}
