/** The backends under test, beside the reference: wasm, or webgpu where `npm run test:webgpu` says so. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished } from "vitest";
import type { KvType } from "../../src/backends/backend.ts";
import { createWasmRunner, type SelectedKernel } from "../../src/backends/wasm/wasm-runner.ts";
import { rowTileFor } from "../../src/backends/webgpu/row-tiles.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { isQuantized } from "../../src/pack/forms.ts";
import { planImage } from "../../src/pack/image-plan.ts";
import { BUILDS, type KernelBuild, moduleOf, variantOf } from "../support/kernel-builds.ts";
import { ROWS } from "./op-errors.ts";
import { type CreateRunner, fill, reference, webgpu } from "./runners.ts";

export { type CreateRunner, entriesOf, reference } from "./runners.ts";

const dist = process.env.PRONK_WASM_DIST ?? "wasm/dist";

function compile(name: string): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(`${dist}/${name}.wasm`));
}

export function kernelOf(build: KernelBuild): SelectedKernel {
  return { module: compile(moduleOf(build)), variant: variantOf(build) };
}

export function wasm(build: KernelBuild): CreateRunner {
  const kernel = kernelOf(build);
  return (plan, entries, options) => {
    const { tensors, weightBytes } = planImage(entries);
    return fill(createWasmRunner(plan, tensors, weightBytes, kernel, options), entries);
  };
}

export interface TestedBackend {
  readonly name: string;
  readonly create: CreateRunner;
  /** Whether a row has the same bits however its text is cut and whatever else is in the batch. */
  readonly isExact: boolean;
  /** Types of cache that it really has. */
  readonly caches: readonly KvType[];
  /** Whether masks need a cache of f32. */
  readonly masksNeedF32: boolean;
  /** Rows of the batches by which operations are tested. */
  readonly rows: readonly number[];
  /** How far an operation's output may be from the reference's, as a share of its root mean square. */
  readonly tolerance: (form: MatrixForm, kv: KvType) => number;
}

const REFERENCE: TestedBackend = {
  name: "reference",
  create: reference,
  isExact: true,
  caches: ["f32"],
  masksNeedF32: false,
  rows: ROWS,
  tolerance: () => 0,
};

/** Of the largest number, where a prompt's parts and single tokens take different kernels. */
const ROUNDING = 1e-4;

/** The same bits where the backend promises them, else what differs by rounding alone. */
export function expectSame(
  { isExact }: TestedBackend,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): void {
  if (isExact) {
    expect(Array.from(found)).toEqual(Array.from(expected));
    return;
  }
  expect(found.length).toBe(expected.length);
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    difference = Math.max(difference, Math.abs(found[i] - expected[i]));
  }
  expect(difference).toBeLessThanOrEqual(ROUNDING * largest);
}

/** Sums of up to 192 products of rounding 2^-24, through two or three operations, and exp. */
const F32_TOLERANCE = 3e-6;

/**
 * int8 activations in blocks of 32 have an error of at most absmax / 254 each, uniform, so 1 / 254 / sqrt(3) of the
 * largest, under 1 % of the RMS of a block of noise; attention and SwiGLU take products of two such values.
 */
const INT8_TOLERANCE = 2e-2;

/** Keys and values in 11 and 8 bits, one scale a head vector; bf16 has 8 bits of fraction. */
const CACHE_TOLERANCE: Record<KvType, number> = {
  f32: 3e-6,
  int16: 2e-3,
  int8: 1.5e-2,
  bf16: 8e-3,
};

/** f16 has 11 bits of fraction. */
const F16_CACHE_TOLERANCE = 1e-3;

const wasmBackends = (): TestedBackend[] =>
  BUILDS.map((build) => ({
    name: `wasm ${build}`,
    create: wasm(build),
    isExact: true,
    caches: ["f32", "bf16", "int16", "int8"],
    masksNeedF32: true,
    rows: ROWS,
    tolerance: (form, kv) =>
      Math.max(isQuantized(form) ? INT8_TOLERANCE : F32_TOLERANCE, CACHE_TOLERANCE[kv]),
  }));

/** A device for each file of tests; a test's runners give their memory back at its end. */
async function webgpuBackends(): Promise<TestedBackend[]> {
  const [{ openCheckedGpu }, { openDawn }] = await Promise.all([
    import("../webgpu/checked-gpu.ts"),
    import("../webgpu/dawn.ts"),
  ]);
  const create = webgpu(await openCheckedGpu(await openDawn(), "llvmpipe"));
  return [
    {
      name: "webgpu",
      async create(plan, entries, options) {
        const runner = await create(plan, entries, options);
        onTestFinished(() => runner.dispose());
        return runner;
      },
      isExact: false,
      // f16 for whatever is not f32.
      caches: ["f32", "int16"],
      masksNeedF32: false,
      // Tiles of more rows take a CPU's driver seconds to compile: tests/webgpu/tiles.test.ts has them for some sizes.
      rows: ROWS.filter((rows) => rowTileFor(rows) === undefined),
      tolerance: (_, kv) => (kv === "f32" ? F32_TOLERANCE : F16_CACHE_TOLERANCE),
    },
  ];
}

const isWebgpu = process.env.PRONK_TEST_BACKEND === "webgpu";

export const BACKENDS: readonly TestedBackend[] = isWebgpu
  ? await webgpuBackends()
  : wasmBackends();

/** The reference, too, where it is compared with something else; once is enough, with wasm. */
export const BACKENDS_AND_REFERENCE: readonly TestedBackend[] = isWebgpu
  ? BACKENDS
  : [REFERENCE, ...BACKENDS];
