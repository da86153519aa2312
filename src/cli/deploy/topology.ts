/** How a pack is spread over isolates: all of it in one, or as stages, each the part of the model that an isolate can hold. */
import type { KvType, MemoryUse } from "../../backends/backend.ts";
import { BUDGET_CHUNK, type ModelPlan, planModel } from "../../engine/load-model.ts";
import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../../model/config.ts";
import type { Manifest } from "../../pack/manifest.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { Range } from "../../stages/stage-part.ts";
import { type PlannedStage, planStages } from "../../stages/stage-plan.ts";
import { parseStageSpec, type StageSpec, stageSpec } from "../../stages/stage-spec.ts";
import { fittingForm, kernelBudget } from "../budget.ts";

/** What Cloudflare gives an isolate, JavaScript's part included. */
export const ISOLATE_BYTES = 128_000_000;

/** As of createWorker(): a chat of some 700 words. */
export const MAX_CTX = 1024;

/**
 * Worker invocations of a request are 32 at most, of which the front's is one and each stage's session one.
 * Source: developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings, Limits.
 */
const MAX_STAGES = 31;

export const TOPOLOGIES = ["auto", "isolate", "objects", "stages"] as const;

/** How a Worker runs its model; kept with the release, so that going back brings it back. */
export interface WorkerSettings {
  readonly topology: "isolate" | "objects" | "stages";
  readonly id: string;
  readonly ctx: number;
  readonly slots: number;
  readonly kv: KvType;
  /** Of stages: what each has of the model, in the model's order. */
  readonly stages?: readonly StageSpec[];
  /** Of objects: how many scripts of them, each with a memory of its own. */
  readonly engines?: number;
}

/** What is asked of a deployment. */
export interface Asked {
  readonly topology: (typeof TOPOLOGIES)[number];
  readonly ctx: number | undefined;
  readonly slots: number;
  readonly kv: KvType | undefined;
  /** Scripts of engine objects. */
  readonly engines: number;
}

/** An isolate that holds weights. */
export interface WeightIsolate {
  /** What of the model it has, for people. */
  readonly holds: string;
  readonly memory: MemoryUse;
  /** Beside it while it loads. */
  readonly spareBytes: number;
  /** Objects of the pack that it reads. */
  readonly objects: number;
}

export interface Fit {
  readonly settings: WorkerSettings;
  readonly config: LlamaConfig;
  readonly isolates: readonly WeightIsolate[];
  /** Where a front has no weights: its states and logits of a batch. */
  readonly frontBytes?: number;
}

/**
 * @throws PronkError "out_of_memory" with the plan's numbers, and what to do; as planModel and planStages.
 */
export async function fitTopology(
  pack: SourceFolder,
  manifest: Manifest,
  asked: Asked,
  signal: AbortSignal,
): Promise<Fit> {
  if (asked.topology === "stages") return inStages(pack, manifest, asked, signal);
  const { ctx, slots, kv, topology } = asked;
  try {
    const options = { ctx, slots, kv, maxCtx: MAX_CTX, signal };
    const form = await fittingForm({ pack }, ISOLATE_BYTES, options);
    const engines = topology === "objects" ? asked.engines : undefined;
    return inWholeIsolates(form.kv, form.plan, manifest, engines);
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    if (topology === "auto") return inStages(pack, manifest, asked, signal);
    throw new PronkError("out_of_memory", `${error.message}; --topology stages divides it`);
  }
}

export function isTooLarge(error: unknown): error is PronkError {
  return error instanceof PronkError && error.code === "out_of_memory";
}

/** @param engines scripts of engine objects behind a front; undefined: one Worker does it all. */
function inWholeIsolates(
  kv: KvType,
  { model, config, runner, memory }: ModelPlan,
  manifest: Manifest,
  engines: number | undefined,
): Fit {
  const { ctx, slots } = runner;
  const objects = manifest.shards.length + (manifest.tokenizer ? 1 : 0);
  const isolate = { holds: "the whole model", memory, spareBytes: 0, objects };
  const own = { id: model.facts.name, ctx, slots, kv };
  if (engines === undefined) {
    return { settings: { topology: "isolate", ...own }, config, isolates: [isolate] };
  }
  return {
    settings: { topology: "objects", ...own, engines },
    config,
    isolates: Array.from({ length: engines }, () => isolate),
    frontBytes: 0,
  };
}

async function inStages(
  pack: SourceFolder,
  manifest: Manifest,
  { ctx, slots, kv }: Asked,
  signal: AbortSignal,
): Promise<Fit> {
  const sizes = { chunk: BUDGET_CHUNK, maxLogits: slots, maxCtx: MAX_CTX, slots, ctx, kv };
  const { model, config, plan, runner } = await planModel({ pack }, { ...sizes, signal });
  const shardBytes = manifest.shards.map(({ bytes }) => bytes);
  const planned = planStages({ plan, tensors: model.tensors, shardBytes }, runner, {
    stageBytes: kernelBudget(ISOLATE_BYTES),
  });
  const { stages, frontBytes } = planned;
  if (stages.length > MAX_STAGES) {
    throw new PronkError(
      "out_of_memory",
      `plan: ${stages.length} isolates of ${ISOLATE_BYTES / 1e6} MB are needed, a request can reach ${MAX_STAGES}; ` +
        "a smaller --quant or --ctx needs fewer, and a container has more memory",
    );
  }
  return {
    settings: {
      topology: "stages",
      id: model.facts.name,
      ctx: runner.ctx,
      slots: runner.slots,
      kv: runner.kv,
      stages: stages.map((stage) => stageSpec(stage, planned.options)),
    },
    config,
    isolates: stages.map((stage) => ({
      holds: holds(stage),
      memory: stage.memory,
      spareBytes: stage.spareBytes,
      objects: stage.shards.to - stage.shards.from,
    })),
    frontBytes,
  };
}

/** `embedding 0 to 42,752, layers 1 to 2`, counting layers from 1. */
function holds({ part: { embedding, layers, head } }: PlannedStage): string {
  const size = ({ from, to }: Range): number => to - from;
  const rows = ({ from, to }: Range): string =>
    `${from.toLocaleString("en-US")} to ${(to - 1).toLocaleString("en-US")}`;
  const isTied = size(embedding) > 0 && embedding.from === head.from && embedding.to === head.to;
  return [
    ...(size(embedding) > 0
      ? [`tokens ${rows(embedding)}${isTied ? "" : " of the embedding"}`]
      : []),
    ...(size(layers) === 1 ? [`layer ${layers.to}`] : []),
    ...(size(layers) > 1 ? [`layers ${layers.from + 1} to ${layers.to}`] : []),
    ...(size(head) > 0 && !isTied ? [`tokens ${rows(head)} of the head`] : []),
  ].join(", ");
}

/** Settings that were kept with a release; undefined where they are of a later version, or missing. */
export function readSettings(value: unknown): WorkerSettings | undefined {
  const found = (value ?? {}) as Partial<Record<keyof WorkerSettings, unknown>>;
  const isCount = (number: unknown): boolean => Number.isSafeInteger(number) && Number(number) > 0;
  const isKnown =
    (found.topology === "isolate" ||
      (found.topology === "objects" && isCount(found.engines)) ||
      (found.topology === "stages" && isStages(found.stages))) &&
    typeof found.id === "string" &&
    typeof found.kv === "string" &&
    isCount(found.ctx) &&
    isCount(found.slots);
  return isKnown ? (value as WorkerSettings) : undefined;
}

function isStages(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  try {
    for (const spec of value) parseStageSpec(spec);
    return true;
  } catch {
    return false;
  }
}
