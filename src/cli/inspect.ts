/** pronk inspect: what a model is and what memory it needs, without loading it. */
import type { MemoryUse } from "../backends/backend.ts";
import type { FittingForm } from "../engine/budget-choice.ts";
import { isolateBytes } from "../engine/isolate-memory.ts";
import { type ModelPlan, type PlanOptions, planModel, planOpened } from "../engine/load-model.ts";
import { openSourceInput, type SourceOptions } from "../engine/open-source-input.ts";
import type { ModelInput } from "../engine/opened-model.ts";
import { countThreads } from "../engine/threads.ts";
import { PronkError } from "../errors.ts";
import type { StagePart } from "../stages/stage-part.ts";
import type { PlannedStage } from "../stages/stage-plan.ts";
import { flagOption, integerOption } from "./arguments.ts";
import { budgetOption, fittingForm, kernelBudget } from "./budget.ts";
import type { Command } from "./command.ts";
import { LORA_OPTION } from "./lora-options.ts";
import {
  JSON_OPTION,
  MODEL_OPTIONS,
  modelOptions,
  openForCommand,
  openLora,
  openSourceForCommand,
} from "./model-options.ts";

/** How many sequences at a time the table of what fits goes through. */
const FIT_SLOTS = [1, 2, 4, 8];

interface Fit {
  /** Bytes of the whole isolate or process. */
  readonly budget: number;
  readonly ctx: number;
  readonly slots: number;
}

interface TensorLine {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export const inspect: Command = {
  name: "inspect",
  summary: "show a model's configuration, tensors and memory plan",
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    plan: { type: "boolean", help: "list the steps that run for a batch" },
    tensors: { type: "boolean", help: "list the tensors" },
    slots: { type: "string", value: "N", help: "sequences at a time" },
    ...MODEL_OPTIONS,
    ...LORA_OPTION,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const budget = budgetOption(input);
    const slots = integerOption(input, "slots", 1) ?? (budget === undefined ? undefined : 1);
    const asked = modelOptions(input);
    const { ctx } = asked;
    const named = await (budget === undefined ? openForCommand : openSourceForCommand)(input, cli);
    try {
      const { id, input: model } = named;
      const threads = countThreads(asked.threads, cli.host.threads).count;
      const roomFor = (await openLora(input, cli)).map(({ adapter }) => adapter);
      const { stages } = asked;
      const room = { ctx, slots, threads, stages, id, roomFor, signal: cli.signal };
      const choice =
        budget === undefined ? undefined : await choiceFor(model, budget, { ...asked, ...room });
      const form = choice instanceof PronkError ? undefined : choice;
      const { quantization = "auto", profile = "default", kv } = form ?? asked;
      const found = form?.plan ?? (await planModel(model, { ...room, kv, quantization, profile }));
      const document = {
        architecture: found.config.model_type,
        config: found.config,
        tensors: await listTensors(model, found, { quantization, profile }),
        memory: found.memory,
        ...(roomFor.length > 0 && { adapter_bytes: found.adapterBytes }),
        ...(found.stages && { stages: found.stages.stages.map(stageLine) }),
        ...(budget !== undefined && { isolate_bytes: isolateBytes(found.memory) }),
        ...(budget !== undefined && { choice: form ? { quantization, profile, kv } : null }),
        fits: budget === undefined ? [] : whatFits(found, budget, { kv, ctx, threads, roomFor }),
        ...(flagOption(input, "plan") && {
          plan: { steps: found.plan.steps, head: found.plan.head },
        }),
      };
      cli.out(
        flagOption(input, "json")
          ? `${JSON.stringify(document)}\n`
          : describe(found, document, flagOption(input, "tensors")) +
              (choice instanceof PronkError ? `no form fits: ${choice.message}\n` : ""),
      );
    } finally {
      await named.close();
    }
  },
};

interface StageLine extends StagePart {
  readonly bytes: number;
}

function stageLine({ part, memory }: PlannedStage): StageLine {
  return { ...part, bytes: memory.total };
}

/** What --budget chooses in every other command, or why nothing fits. */
async function choiceFor(
  input: ModelInput,
  budget: number,
  { quantization, kv, ctx, slots, id, roomFor, signal }: PlanOptions,
): Promise<FittingForm | PronkError> {
  try {
    const options = { quantization, kv, ctx, slots, id, roomFor, signal };
    return await fittingForm(input, budget, options);
  } catch (error) {
    if (error instanceof PronkError && error.code === "out_of_memory") return error;
    throw error;
  }
}

/** The tensors of a file as they are in it, under Hugging Face's names; of a pack, its forms. */
async function listTensors(
  input: ModelInput,
  { model }: ModelPlan,
  options: SourceOptions,
): Promise<TensorLine[]> {
  if ("pack" in input) {
    return model.tensors.map(({ name, form, shape, bytes }) => ({
      name,
      type: form,
      shape,
      bytes,
    }));
  }
  const { entries } = await openSourceInput(input, options);
  return entries.map(({ name, tensor: { type, shape, bytes } }) => ({ name, type, shape, bytes }));
}

/** The longest context for each number of slots that leaves one at all. */
function whatFits(
  { model }: ModelPlan,
  budget: number,
  options: Parameters<typeof planOpened>[1],
): Fit[] {
  const budgetBytes = kernelBudget(budget);
  return FIT_SLOTS.flatMap((slots) => {
    try {
      const { runner } = planOpened(model, { ...options, slots, budgetBytes });
      return [{ budget, ctx: runner.ctx, slots }];
    } catch (error) {
      if (error instanceof PronkError && error.code === "out_of_memory") return [];
      throw error;
    }
  });
}

function describeStage({ embedding, layers, head, bytes }: StageLine): string {
  const parts = Object.entries({ "embedding rows": embedding, layers, "head rows": head })
    .filter(([, { from, to }]) => to > from)
    .map(([what, { from, to }]) => `${what} ${from} to ${to - 1}`);
  return `${(bytes / 1e6).toFixed(1)} MB: ${parts.join(", ")}`;
}

function describe(
  { model, config, runner, plan, adapterBytes }: ModelPlan,
  document: {
    tensors: readonly TensorLine[];
    memory: MemoryUse;
    stages?: readonly StageLine[];
    isolate_bytes?: number;
    fits: readonly Fit[];
    plan?: unknown;
  },
  withTensors: boolean,
): string {
  const { name, license, quantization } = model.facts;
  const { fits, tensors, isolate_bytes } = document;
  const memory = {
    ...document.memory,
    ...(adapterBytes > 0 && { adapters: adapterBytes }),
  };
  const row = (label: string, text: string): string => `${label.padEnd(14)} ${text}`;
  const heads = `${config.num_attention_heads} heads, ${config.num_key_value_heads} of keys and values`;
  const lines = [
    row("model", `${name}, licence ${license ?? "not given"}`),
    row(
      "architecture",
      `${config.model_type}: ${config.num_hidden_layers} layers of ${config.hidden_size}, ${heads}`,
    ),
    row("vocabulary", `${config.vocab_size} tokens`),
    row("weights", `${quantization.requested}, ${quantization.profile} profile`),
    row("sequences", `${runner.slots} of ${runner.ctx} positions, ${runner.kv} cache`),
    ...Object.entries(memory).map(([part, bytes]) => row(part, `${(bytes / 1e6).toFixed(1)} MB`)),
    ...(document.stages ?? []).map((stage, i) => row(`stage ${i + 1}`, describeStage(stage))),
    ...(isolate_bytes === undefined
      ? []
      : [row("isolate", `${(isolate_bytes / 1e6).toFixed(1)} MB with JavaScript at its peak`)]),
    ...fits.map(({ budget, ctx, slots }) =>
      row("fits", `${slots} x ${ctx} positions in ${(budget / 1e6).toFixed(0)} MB`),
    ),
  ];
  if (withTensors) {
    lines.push(...tensors.map((t) => `${t.name} ${t.type} [${t.shape}] ${t.bytes} bytes`));
  }
  if (document.plan) {
    lines.push(...[...plan.steps, ...plan.head].map((step) => JSON.stringify(step)));
  }
  return `${lines.join("\n")}\n`;
}
