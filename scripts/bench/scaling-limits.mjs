// What one core of this machine can do at most, as one process: `node scaling-limits.mjs BYTES FORM`.
//
//   read_gbps   10^9 bytes a second read by 16-byte loads, over and over, from a working set of BYTES
//   gemm_gops   10^9 operations a second of the kernels' own GEMM of FORM on a matrix that stays in cache
//   gemv_gbps   10^9 bytes a second of that matrix that their GEMV goes through
//
// The best of many passes each: limits, so what else the machine does must not lower them.
import { readFile } from "node:fs/promises";
import {
  activationBytes,
  activationLayout,
  gemmScratchBytes,
} from "../../dist/src/backends/wasm/activation-layout.js";
import { instantiateKernels, quantizedMatmul } from "../../dist/src/backends/wasm/kernel-loader.js";
import { selectKernel } from "../../dist/src/backends/wasm/kernel-variants.js";
import { RESERVED_BYTES } from "../../dist/src/backends/wasm/memory-layout.js";
import { matrixBytes } from "../../dist/src/pack/forms.js";
import { loadKernels } from "../../dist/src/platform/host/kernels.js";
import { setSimdWidth } from "../../dist/src/platform/node/simd-width.js";
import { READER_SPAN_BYTES, readerModule } from "./scaling-reader.mjs";

const PAGE_BYTES = 65_536;

/** Passes go on for so long, and there are at least so many. */
const BUDGET_MS = 1000;
const MIN_PASSES = 3;

/** 64 rows are a chunk of prefill; the matrix has 553 KB in q4m. SmolLM2-135M's gate projection. */
const [TOKENS, ROWS, COLS] = [64, 1536, 576];

/** The shortest of many runs, in milliseconds. */
function best(run) {
  for (let i = 0; i < MIN_PASSES; i++) run();
  let least = Number.POSITIVE_INFINITY;
  const end = performance.now() + BUDGET_MS;
  for (let passes = 0; passes < MIN_PASSES || performance.now() < end; passes++) {
    const started = performance.now();
    run();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

function readLimit(asked) {
  const bytes = Math.ceil(asked / READER_SPAN_BYTES) * READER_SPAN_BYTES;
  const memory = new WebAssembly.Memory({ initial: bytes / PAGE_BYTES });
  // Pages that nobody has written are all one page of zeros.
  new Uint8Array(memory.buffer).fill(1);
  const { read } = new WebAssembly.Instance(readerModule(), { env: { memory } }).exports;
  const ms = best(() => {
    for (let at = 0; at < bytes; at += READER_SPAN_BYTES) read(at);
  });
  return bytes / ms / 1e6;
}

/** Codes, scales and exponents like any, sums finite. */
const byteAt = (i) => 0x38 | (((i * 40_503) >> 7) & 7);

async function kernelLimits(form) {
  const modules = await loadKernels({ readFile }, setSimdWidth("auto"));
  const { module, variant } = selectKernel(modules, { now: () => performance.now() });
  let top = RESERVED_BYTES;
  const allocate = (bytes) => {
    const at = top;
    top = Math.ceil((top + bytes) / 64) * 64;
    return at;
  };
  const layout = activationLayout(variant, form, TOKENS);
  const w = allocate(matrixBytes(form, ROWS, COLS));
  const x = allocate(TOKENS * COLS * 4);
  const a = allocate(activationBytes(layout, TOKENS, COLS));
  const scratch = allocate(gemmScratchBytes(COLS));
  const y = allocate(TOKENS * ROWS * 4);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / PAGE_BYTES) });
  const kernels = instantiateKernels(module, memory, RESERVED_BYTES);
  new Uint8Array(memory.buffer, w, x - w).forEach((_, i, bytes) => {
    bytes[i] = byteAt(i);
  });
  new Float32Array(memory.buffer, x, TOKENS * COLS).forEach((_, i, values) => {
    values[i] = ((i * 7919) % 1000) / 500 - 1;
  });
  const { gemm, gemv } = quantizedMatmul(kernels, variant, form);
  kernels.quantize(a, x, TOKENS, COLS, COLS, layout);
  const gemmMs = best(() => gemm(y, w, a, scratch, TOKENS, ROWS, COLS, ROWS, 0));
  kernels.quantize(a, x, 1, COLS, COLS, activationLayout(variant, form, 1));
  const gemvMs = best(() => gemv(y, w, a, ROWS, COLS, 0));
  return {
    variant,
    gemm_gops: (2 * TOKENS * ROWS * COLS) / gemmMs / 1e6,
    gemv_gbps: matrixBytes(form, ROWS, COLS) / gemvMs / 1e6,
  };
}

const [bytes, form] = process.argv.slice(2);
const read_gbps = readLimit(Number(bytes));
console.log(JSON.stringify({ read_gbps, ...(await kernelLimits(form)) }));
