/** The model classes over golden models, on both backends. */
import { readFileSync } from "node:fs";
import { compileKernels } from "../../src/backends/wasm/kernel-variants.ts";
import { bindModels, type ModelClasses } from "../../src/llama/modeling/bind-models.ts";
import type { PretrainedOptions } from "../../src/llama/modeling/pretrained-options.ts";
import type { ModelRuntime } from "../../src/llama/modeling/runner-build.ts";
import { outputFolder } from "../../src/platform/host/output-folder.ts";

const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));

export const runtime: ModelRuntime = {
  kernels: await compileKernels({ plain: read("plain"), relaxed: read("relaxed") }),
  now: (): number => performance.now(),
};

/** As an entry has them; `fromPretrained` takes folders and opened files. */
export const models: ModelClasses = bindModels({
  open: async (name) => {
    throw new Error(`${name}: open it first`);
  },
  runtime: async () => runtime,
  outputFolder,
});

/** Longer than any golden case: dynamic scaling goes beyond what the configuration names. */
const CTX = 64;

export const BACKENDS: readonly PretrainedOptions[] = [
  { backend: "reference", ctx: CTX },
  { backend: "wasm", ctx: CTX },
];

/** @throws unless all are within the tolerance of goldens/README.md for f32. */
export function expectClose(found: ArrayLike<number>, expected: readonly number[]): void {
  if (found.length !== expected.length) {
    throw new Error(`${found.length} numbers, expected ${expected.length}`);
  }
  expected.forEach((value, i) => {
    if (!(Math.abs(found[i] - value) <= 2e-4 + 1e-4 * Math.abs(value))) {
      throw new Error(`element ${i}: ${found[i]}, expected ${value}`);
    }
  });
}
