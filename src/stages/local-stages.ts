/** Stages in this process, each with a memory of its own, on one thread. */
import type { Runner } from "../backends/backend.ts";
import type { SelectedKernel } from "../backends/wasm/wasm-runner.ts";
import type { ImagePiece } from "../pack/image-pieces.ts";
import type { StageModel, StagesPlan } from "./stage-plan.ts";
import { createStagedRunner } from "./staged-runner.ts";
import { WasmStage } from "./wasm-stage.ts";

export interface LocalStages {
  readonly runner: Runner;
  /** Where the loader puts the pack's image. */
  readonly image: readonly ImagePiece[];
}

/** Allocates the memories. @throws PronkError "out_of_memory" where the engine refuses one. */
export function createLocalStages(
  model: StageModel,
  planned: StagesPlan,
  kernel: SelectedKernel,
): LocalStages {
  const stages = planned.stages.map(
    ({ part }) => new WasmStage(model, part, planned.options, kernel),
  );
  return {
    runner: createStagedRunner(model.plan, planned, stages),
    image: stages.map(({ imageStart, weights }) => ({ start: imageStart, bytes: weights })),
  };
}
