/** A model over several stages in this process, opened as the conformance suite opens backends. */

import { scatter } from "../../src/pack/image-pieces.ts";
import { planImage } from "../../src/pack/image-plan.ts";
import { packTensors } from "../../src/pack/packer.ts";
import { planStages } from "../../src/stages/stage-plan.ts";
import { createStagedRunner } from "../../src/stages/staged-runner.ts";
import { WasmStage } from "../../src/stages/wasm-stage.ts";
import { type CreateRunner, kernelOf } from "../conformance/backends.ts";
import type { KernelBuild } from "./kernel-builds.ts";

/** Larger than any of these models: the number of stages decides. */
const STAGE_BYTES = 2 ** 30;

export function staged(build: KernelBuild, count: number): CreateRunner {
  const kernel = kernelOf(build);
  return async (plan, entries, options) => {
    const { tensors } = planImage(entries);
    const model = { plan, tensors };
    const stages = planStages(model, options, { stageBytes: STAGE_BYTES, count });
    const own = stages.stages.map(({ part }) => new WasmStage(model, part, options, kernel));
    const pieces = own.map(({ imageStart, weights }) => ({ start: imageStart, bytes: weights }));
    await packTensors(entries, (offset, bytes) => scatter(pieces, offset, bytes));
    return createStagedRunner(plan, stages, own);
  };
}
