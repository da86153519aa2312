/** The backends under test, each as a function from a plan and packed tensors to a runner. */
import { readFileSync } from "node:fs";
import type { Runner } from "../../src/backends/backend.ts";
import { createReferenceRunner } from "../../src/backends/reference/reference-runner.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { createWasmRunner, type SelectedKernel } from "../../src/backends/wasm/wasm-runner.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { type PackEntry, packTensors, planImage } from "../../src/pack/packer.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { type KernelBuild, moduleOf, variantOf } from "../support/kernel-builds.ts";
import type { TestTensor } from "./op-plans.ts";

const dist = process.env.PRONK_WASM_DIST ?? "wasm/dist";

function compile(name: string): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(`${dist}/${name}.wasm`));
}

export type CreateRunner = (
  plan: Plan,
  entries: readonly PackEntry[],
  options: RunnerOptions,
) => Promise<Runner>;

async function fill(runner: Runner, entries: readonly PackEntry[]): Promise<Runner> {
  await packTensors(entries, (offset, bytes) => runner.weights.set(bytes, offset));
  return runner;
}

export const reference: CreateRunner = (plan, entries, options) => {
  const { tensors, weightBytes } = planImage(entries);
  return fill(createReferenceRunner(plan, tensors, weightBytes, options), entries);
};

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

/** Test tensors as a pack's entries; `formOf` says which form a matrix gets. */
export function entriesOf(
  tensors: readonly TestTensor[],
  formOf: (name: string) => MatrixForm,
): PackEntry[] {
  return tensors.map(({ name, shape, values }) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return {
      name,
      form: shape.length === 1 ? "vector" : formOf(name),
      tensor: {
        name,
        type: "F32",
        shape,
        source: memorySource(bytes, name),
        start: 0,
        bytes: bytes.length,
      },
    };
  });
}
