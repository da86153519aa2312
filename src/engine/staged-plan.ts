/** When a model is divided among several memories of one process, and what is then said where there is not enough. */
import type { MemoryUse } from "../backends/backend.ts";
import type { RunnerOptions } from "../backends/runner-options.ts";
import { PronkError } from "../errors.ts";
import type { Plan } from "../model/plan.ts";
import { planStages, type StagesPlan } from "../stages/stage-plan.ts";
import { fitContext } from "./context-fit.ts";
import type { OpenedModel } from "./opened-model.ts";

/** Of one memory: wasm32 ends at 4 GiB, and engines differ in how near to it they allocate. */
export const STAGE_BYTES: number = 3.5 * 2 ** 30;

/** Positions of a slot where none are asked: of 4 GiB of weights and more a longer cache is no small thing. */
const STAGED_CTX = 4096;

export interface StagedSizes {
  /** What is asked for; undefined: as many as STAGED_CTX, or the model has. */
  readonly ctx: number | undefined;
  readonly maxCtx: number | undefined;
  /** At least so many stages. */
  readonly count: number | undefined;
  readonly runnerAt: (ctx: number) => RunnerOptions;
}

/** @throws PronkError as planStages and fitContext. */
export function planStaged(
  { config, tensors }: Pick<OpenedModel, "config" | "tensors">,
  plan: Plan,
  { ctx: asked, maxCtx, count, runnerAt }: StagedSizes,
): StagesPlan {
  const { max_position_embeddings: most } = config;
  const limit = asked === undefined ? Math.min(most, maxCtx ?? STAGED_CTX) : most;
  const ctx = fitContext(asked, limit, Number.POSITIVE_INFINITY, () => 0);
  const { slots, maxRows, maxLogits, kv } = runnerAt(ctx);
  const sizes = { ctx, slots, maxRows, maxLogits, kv };
  return planStages({ plan, tensors }, sizes, { stageBytes: STAGE_BYTES, count });
}

/** @throws PronkError "out_of_memory" with the plan's numbers where the host has less. */
export function checkHostMemory(planned: StagesPlan, freeBytes: number | undefined): void {
  const { stages, memory, frontBytes, options } = planned;
  const needed = memory.total + frontBytes;
  if (freeBytes === undefined || needed <= freeBytes) return;
  const inStages = stages.map((stage) => stage.memory.total).join(" + ");
  throw new PronkError(
    "out_of_memory",
    `plan: ${needed} bytes (${describe(memory)}) in ${stages.length} stages (${inStages}) at ` +
      `ctx ${options.ctx} and ${options.slots} sequences; this machine has ${freeBytes} free`,
  );
}

function describe({ weights, kv, activations, scratch }: MemoryUse): string {
  return `weights ${weights}, KV cache ${kv}, activations ${activations}, scratch ${scratch}`;
}
