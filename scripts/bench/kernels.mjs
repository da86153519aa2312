/**
 * Times the kernels, one thread: `npm run bench -- kernels [--json] [--write] [--simd-width W] [NAME ...]`; a
 * name selects the kernels that contain it, W the vectors' bits on Node: auto (the default), 128 or 256. Best and median of samples of about 2 ms, and the best's share of what the
 * core gives (kernel-limits.mjs). Runs in Node, Deno and Bun, on the build; --write runs it in all of them.
 *
 * "L2" multiplies one matrix over and over; "60 MB" walks through copies of it, as decoding does. The sizes are
 * SmolLM2-135M's. PRONK_WASM_DIST names other modules.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { activationLayout } from "../../dist/src/backends/wasm/activation-layout.js";
import { attentionScratchBytes, kvLayout } from "../../dist/src/backends/wasm/kv-layout.js";
import { matrixBytes } from "../../dist/src/pack/forms.js";
import { createLimits } from "./kernel-limits.mjs";

const [DIM, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCAB] = [576, 1536, 9, 3, 64, 49_152];
const FORMS = ["q4", "q4m", "q4s", "q6m", "q8"];
const FAR_BYTES = 60e6; // far past the L2 cache
const SAMPLE_MS = 2;
const BUDGET_MS = 250; // for each line
const MIB = 1 << 20;

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    write: { type: "boolean" },
    "simd-width": { type: "string", default: "auto" },
  },
});
if (options.write) {
  const { writeKernels } = await import("./kernels-everywhere.mjs");
  writeKernels();
  process.exit();
}
const folder =
  process.env.PRONK_WASM_DIST ?? fileURLToPath(new URL("../../wasm/dist/", import.meta.url));

// Weights last, and long enough for a copy to start anywhere in the last of FAR_BYTES.
const [ACTIVATIONS, Y, SCRATCH, X, ROW, WEIGHTS] = [1, 8, 16, 24, 31, 40].map((mib) => mib * MIB);
const memory = new WebAssembly.Memory({ initial: 104 * 16 });
const load = (name) => {
  const bytes = readFileSync(join(folder, `${name}.wasm`));
  if (!WebAssembly.validate(bytes)) return undefined;
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports;
};
const bits = await simdBits(options["simd-width"]);
const plain = load("plain");
const relaxed = load(bits === 256 ? "wide" : "relaxed");
const modules = bits === 256 ? { wide: relaxed } : { ...(relaxed && { relaxed }), plain };
const variants = {
  ...(relaxed && { dot: relaxed, m: relaxed }),
  ...(bits === 128 && { simd: plain }),
};

/** Sets how wide vectors are from here on, as far as this runtime can. */
async function simdBits(asked) {
  if ("Deno" in globalThis || "Bun" in globalThis) return 128;
  const { setSimdWidth } = await import("../../dist/src/platform/node/simd-width.js");
  return setSimdWidth(asked === "auto" ? asked : Number(asked)).bits;
}

function fillMemory() {
  // Bytes from 0x38 to 0x3f are codes and scales like any, floats below 1, and exponents that keep all sums finite.
  const bytes = new Uint8Array(memory.buffer);
  for (let i = WEIGHTS; i < bytes.length; i++) bytes[i] = 0x38 | (((i * 40_503) >> 7) & 7);
  const x = new Float32Array(memory.buffer, X, (ROW - X) / 4);
  for (let i = 0; i < x.length; i++) x[i] = Math.sin(i) * 2;
}

/** Milliseconds a call, over samples: the smallest and the median. */
function time(call) {
  const sample = (calls) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call(i);
    return (performance.now() - start) / calls;
  };
  sample(3);
  const calls = Math.max(1, Math.round(SAMPLE_MS / sample(3)));
  const samples = [];
  const end = performance.now() + BUDGET_MS;
  while (performance.now() < end || samples.length < 5) samples.push(sample(calls));
  samples.sort((a, b) => a - b);
  return { best: samples[0], median: samples[samples.length >> 1] };
}

const results = [];

const limits = createLimits(time, memory, WEIGHTS);

/**
 * The most that `work` operations of a kind can be done at, in GOP/s, and what bounds it: the
 * instruction itself, or reading so many bytes, which are that part of a working set.
 */
function limitOf(work, kind, bytes, workingSet = bytes) {
  const peak = limits.peak(kind);
  const read = (limits.reading(workingSet) * work) / bytes;
  return read < peak ? { limit: read, bound: "reading" } : { limit: peak, bound: "products" };
}

/**
 * Times `call`, which does `work` operations ("GOP/s") or elements ("ns each").
 *
 * @param reads of operations: which products they are and what they read, for the limit.
 */
function measure(kernel, variant, what, unit, work, reads, call) {
  if (wanted.length && !wanted.some((name) => kernel.includes(name))) return;
  const { best, median } = time(call);
  const rate = (ms) => (unit === "GOP/s" ? work / ms / 1e6 : (ms * 1e6) / work);
  const result = { kernel, variant, what, unit, best: rate(best), median: rate(median) };
  if (reads) {
    Object.assign(result, limitOf(work, reads.kind, reads.bytes, reads.workingSet));
    result.share = result.best / result.limit;
  }
  results.push(result);
  if (options.json) return;
  const numbers = [result.best, result.median].map((n) => n.toPrecision(3).padStart(7)).join(" ");
  const share = reads
    ? `  ${(result.share * 100).toFixed(0).padStart(3)} % of ${result.limit.toFixed(0)}, ${result.bound}`
    : "";
  console.log(
    `${kernel.padEnd(17)} ${variant.padEnd(7)} ${what.padEnd(24)} ${numbers} ${unit}${share}`,
  );
}

function matrices(variant, kernels) {
  for (const form of FORMS) {
    const size = matrixBytes(form, FFN, DIM);
    const copies = Math.floor(FAR_BYTES / size);
    const gemv = kernels[`gemv_${form}_${variant}`];
    kernels.quantize(ACTIVATIONS, X, 1, DIM, DIM, activationLayout(variant, form, 1));
    for (const [what, count] of [
      ["L2", 1],
      ["60 MB", copies],
    ]) {
      const reads = { kind: variant, bytes: size, workingSet: count * size };
      const title = `${FFN} x ${DIM}, ${what}`;
      measure(`gemv_${form}`, variant, title, "GOP/s", 2 * FFN * DIM, reads, (i) =>
        gemv(Y, WEIGHTS + (i % count) * size, ACTIVATIONS, FFN, DIM, 0),
      );
    }
  }
  for (const form of FORMS) {
    const gemm = kernels[`gemm_${form}_${variant}`];
    for (const [tokens, rows, cols] of [
      [4, FFN, DIM],
      [64, FFN, DIM],
      [64, DIM, FFN],
    ]) {
      kernels.quantize(ACTIVATIONS, X, tokens, cols, cols, activationLayout(variant, form, 2));
      const work = 2 * tokens * rows * cols;
      // The plain form of 8-bit products is also that of m.
      const kind = form === "q8" && variant === "m" ? "simd" : variant;
      const reads = { kind, bytes: matrixBytes(form, rows, cols) };
      measure(`gemm_${form}`, variant, `${tokens} x ${rows} x ${cols}`, "GOP/s", work, reads, () =>
        gemm(Y, WEIGHTS, ACTIVATIONS, SCRATCH, tokens, rows, cols, rows, 0),
      );
    }
  }
}

function floats(module, kernels) {
  for (const form of ["f32", "bf16"]) {
    for (const tokens of [1, 64]) {
      const work = 2 * tokens * FFN * DIM;
      const reads = { kind: "f32", bytes: matrixBytes(form, FFN, DIM) };
      measure(`matmul_${form}`, module, `${tokens} x ${FFN} x ${DIM}`, "GOP/s", work, reads, () =>
        kernels[`matmul_${form}`](Y, WEIGHTS, X, tokens, FFN, DIM, DIM, FFN, 0),
      );
    }
  }
}

function pointwise(module, kernels) {
  const each = (kernel, what, count, call) =>
    measure(kernel, module, what, "ns each", count, undefined, call);
  const tile = activationLayout(module === "plain" ? "simd" : "dot", "q4", 64);
  for (const layout of [0, 1, 2, 3, 4]) {
    each("quantize", `64 x ${DIM}, layout ${layout}`, 64 * DIM, () =>
      kernels.quantize(ACTIVATIONS, X, 64, DIM, DIM, layout),
    );
  }
  each("rms_norm", `64 x ${DIM}`, 64 * DIM, () => kernels.rms_norm(Y, X, ROW, 64, DIM, 1e-5));
  each("swiglu", `64 x ${FFN}`, 64 * FFN, () => kernels.swiglu(Y, X, 64, FFN, FFN, 2 * FFN));
  each("swiglu_quantize", `64 x ${FFN}`, 64 * FFN, () =>
    kernels.swiglu_quantize(ACTIVATIONS, ROW, X, 64, FFN, FFN, 2 * FFN, tile),
  );
  each("argmax", `${VOCAB}`, VOCAB, () => kernels.argmax(X, VOCAB));
}

/** Of one layer; a product of q with a key and of p with a value, 4 operations an element. */
function attention(module, kernels) {
  const [ctx, ld] = [2048, (HEADS + 2 * KV_HEADS) * HEAD_DIM];
  for (const [kv, suffix] of [
    ["int16", "i16"],
    ["int8", "i8"],
    ["bf16", "bf16"],
    ["f32", "f32"],
  ]) {
    const { kBytes, vBytes, kScaleBytes } = kvLayout(kv, KV_HEADS, HEAD_DIM, ctx);
    const caches = [WEIGHTS, WEIGHTS + kBytes];
    const scales = kScaleBytes ? [X, X + kScaleBytes] : [];
    for (const [rows, position] of [
      [1, 511],
      [1, 2047],
      [64, 448],
    ]) {
      if (
        SCRATCH + attentionScratchBytes(kv, rows, HEADS, KV_HEADS, HEAD_DIM, ctx) > X ||
        kBytes + vBytes > 60 * MIB
      ) {
        throw new Error(`bench kernels: attention_${suffix} does not fit its memory`);
      }
      const keys = rows * position + (rows * (rows + 1)) / 2;
      const work = 4 * keys * HEADS * HEAD_DIM;
      const reads = {
        kind: kScaleBytes ? "simd" : "f32",
        bytes: ((kBytes + vBytes) * (position + rows)) / ctx,
      };
      measure(`attention_${suffix}`, module, `${rows} at ${position}`, "GOP/s", work, reads, () =>
        kernels[`attention_${suffix}`](
          ...[Y, X, ...caches, ...scales, SCRATCH, rows, ld, HEADS * HEAD_DIM, position],
          ...[HEADS, KV_HEADS, HEAD_DIM, ctx, 1 / Math.sqrt(HEAD_DIM)],
        ),
      );
    }
  }
}

fillMemory();
if (!options.json) console.log(`${" ".repeat(55)}best  median       the best's share of the limit`);
for (const [variant, kernels] of Object.entries(variants)) matrices(variant, kernels);
for (const [module, kernels] of Object.entries(modules)) {
  floats(module, kernels);
  pointwise(module, kernels);
  attention(module, kernels);
}
if (options.json) {
  const peaks = ["dot", "m", "simd", "f32"].map((kind) => [kind, limits.peak(kind)]);
  const reading = { l2: limits.reading(500_000), memory: limits.reading(FAR_BYTES) };
  console.log(JSON.stringify({ bits, peaks: Object.fromEntries(peaks), reading, results }));
}
