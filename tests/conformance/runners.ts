/**
 * Runners of test tensors that need no runtime's own: the reference and webgpu, as functions from a plan and packed
 * tensors. backends.ts has wasm beside them.
 */
import type { Runner } from "../../src/backends/backend.ts";
import { createReferenceRunner } from "../../src/backends/reference/reference-runner.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import { createWebgpuRunner } from "../../src/backends/webgpu/webgpu-runner.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { type PackEntry, planImage } from "../../src/pack/image-plan.ts";
import { packTensors } from "../../src/pack/packer.ts";
import { memorySource } from "../../src/sources/memory.ts";
import type { TestTensor } from "./op-plans.ts";

export type CreateRunner = (
  plan: Plan,
  entries: readonly PackEntry[],
  options: RunnerOptions,
) => Promise<Runner>;

/** Puts the tensors into the runner's memory. */
export async function fill(runner: Runner, entries: readonly PackEntry[]): Promise<Runner> {
  await packTensors(entries, (offset, bytes) => runner.weights.set(bytes, offset));
  return runner;
}

export const reference: CreateRunner = (plan, entries, options) => {
  const { tensors, weightBytes } = planImage(entries);
  return fill(createReferenceRunner(plan, tensors, weightBytes, options), entries);
};

export function webgpu(gpu: Gpu): CreateRunner {
  return async (plan, entries, options) => {
    const { tensors, weightBytes } = planImage(entries);
    const runner = await createWebgpuRunner(plan, tensors, weightBytes, gpu, options);
    await packTensors(entries, (offset, bytes) => runner.image.write(offset, bytes));
    return runner;
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
