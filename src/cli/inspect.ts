/** pronk inspect: what a model is and what memory it needs, without loading it. */
import type { FittingForm } from "../engine/budget-choice.ts";
import { explainBackend } from "../engine/choose-backend.ts";
import { isolateBytes } from "../engine/isolate-memory.ts";
import { type ModelPlan, type PlanOptions, planModel, planOpened } from "../engine/load-model.ts";
import { openSourceInput, type SourceOptions } from "../engine/open-source-input.ts";
import type { ModelInput } from "../engine/opened-model.ts";
import { countThreads } from "../engine/threads.ts";
import { PronkError } from "../errors.ts";
import type { Plan } from "../model/plan.ts";
import { createRuntime } from "../platform/host/create-engine.ts";
import type { StagePart } from "../stages/stage-part.ts";
import type { PlannedStage } from "../stages/stage-plan.ts";
import { flagOption, integerOption } from "./arguments.ts";
import { budgetOption, fittingForm, kernelBudget } from "./budget.ts";
import type { Command } from "./command.ts";
import {
  type BudgetFit,
  budgetFits,
  FIT_SLOTS,
  sizesOf,
  type WorkersFit,
  workersFit,
} from "./inspect-facts.ts";
import { reportText } from "./inspect-report.ts";
import { LORA_OPTION } from "./lora-options.ts";
import {
  JSON_OPTION,
  MODEL_OPTIONS,
  modelOptions,
  openForCommand,
  openLora,
  openSourceForCommand,
} from "./model-options.ts";
import { jsonLine, visibleText } from "./terminal/visible-text.ts";

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
  group: "Get and make models",
  summary: "show what a model is, how large its parts are, and where it fits",
  examples: [
    {
      line: "pronk inspect model.gguf",
      does: "architecture, sizes, what fits where, and what to type next",
    },
    {
      line: "pronk inspect --budget 128MB",
      does: "the form of the default model that fits one Worker, and its context",
    },
    {
      line: "pronk inspect model.gguf --json --tensors",
      does: "all of it for programs, each tensor included",
    },
  ],
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
      const { stages, backend: where } = asked;
      const { signal } = cli;
      const room = { ctx, slots, threads, stages, backend: where, id, roomFor, signal };
      const choice =
        budget === undefined ? undefined : await choiceFor(model, budget, { ...asked, ...room });
      const form = choice instanceof PronkError ? undefined : choice;
      const { quantization = "auto", profile = "default", kv } = form ?? asked;
      const options = { ...room, kv, quantization, profile };
      const planned = form?.plan ?? (await planModel(model, options));
      const backend = await explainBackend(planned.model, await createRuntime(cli.host, 128), {
        ...asked,
        ...(budget !== undefined && { budgetBytes: kernelBudget(budget) }),
        threads,
      });
      const found = backend.limits ? planOpened(planned.model, options, backend.limits) : planned;
      const document = {
        architecture: found.config.model_type,
        config: found.config,
        tensors: await listTensors(model, found, { quantization, profile }),
        backend: backend.reason,
        memory: found.memory,
        ...(roomFor.length > 0 && { adapter_bytes: found.adapterBytes }),
        ...(found.stages && { stages: found.stages.stages.map(stageLine) }),
        ...(budget !== undefined && { isolate_bytes: isolateBytes(found.memory) }),
        ...(budget !== undefined && { choice: form ? { quantization, profile, kv } : null }),
        fits: budget === undefined ? [] : whatFits(found, budget, { kv, ctx, threads, roomFor }),
        sizes: sizesOf(found.model.tensors, found.config.tie_word_embeddings),
        ...(await fitsOf(model, budget, { ...asked, ctx: undefined, threads, roomFor, signal })),
        ...(flagOption(input, "plan") && {
          plan: { steps: found.plan.steps, head: found.plan.head },
        }),
      };
      if (flagOption(input, "json")) return cli.out(jsonLine(document));
      const { colors, columns } = cli;
      const report = reportText(
        {
          ...document,
          planned: found,
          tokenizer: await found.model.loadTokenizer(signal),
          fileTypes: typesOf(document.tensors),
          stages: (document.stages ?? []).map(describeStage),
          isolateBytes: document.isolate_bytes,
          name: input.positionals[0] ?? "",
        },
        colors.out,
        columns(),
      );
      cli.out(report + listText(document, flagOption(input, "tensors")));
      if (choice instanceof PronkError) cli.out(`no form fits: ${choice.message}\n`);
    } finally {
      await named.close();
    }
  },
};

/** What fits in the usual memories, or in the one that is asked for, and what Workers take. */
async function fitsOf(
  model: ModelInput,
  budget: number | undefined,
  options: PlanOptions,
): Promise<{ budgets: readonly BudgetFit[]; workers?: WorkersFit }> {
  const budgets = await budgetFits(model, budget, options);
  if (budget !== undefined) return { budgets };
  return { budgets, workers: await workersFit(model, budgets[0], options) };
}

function typesOf(tensors: readonly TensorLine[]): Map<string, { count: number; bytes: number }> {
  const types = new Map<string, { count: number; bytes: number }>();
  for (const { type, bytes } of tensors) {
    const { count, bytes: before } = types.get(type) ?? { count: 0, bytes: 0 };
    types.set(type, { count: count + 1, bytes: before + bytes });
  }
  return new Map([...types].sort(([, a], [, b]) => b.bytes - a.bytes));
}

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

/** Of --tensors and --plan. */
function listText(
  { tensors, plan }: { tensors: readonly TensorLine[]; plan?: Pick<Plan, "steps" | "head"> },
  withTensors: boolean,
): string {
  const lines = [
    ...(withTensors
      ? tensors.map((t) => `${visibleText(t.name)} ${t.type} [${t.shape}] ${t.bytes} bytes`)
      : []),
    ...(plan ? [...plan.steps, ...plan.head].map((step) => JSON.stringify(step)) : []),
  ];
  return lines.length === 0 ? "" : `\n${lines.join("\n")}\n`;
}
