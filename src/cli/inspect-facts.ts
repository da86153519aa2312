/** What inspect tells beside the plan: how large each part is, what fits in which memory, what Workers take. */
import { chooseForBudget, type FormChoice } from "../engine/budget-choice.ts";
import { ISOLATE_BYTES, ISOLATE_RESERVED_BYTES } from "../engine/isolate-memory.ts";
import { BUDGET_CHUNK, type PlanOptions, planModel, planOpened } from "../engine/load-model.ts";
import type { ModelInput } from "../engine/opened-model.ts";
import { PronkError } from "../errors.ts";
import type { PackedTensor } from "../pack/manifest.ts";
import { planStages } from "../stages/stage-plan.ts";
import { kernelBudget } from "./budget.ts";
import { MAX_CTX } from "./deploy/topology.ts";

export const KINDS = ["embedding", "attention", "mlp", "norms", "head"] as const;

export interface KindSize {
  readonly kind: (typeof KINDS)[number];
  /** As pronk keeps the weights. */
  readonly bytes: number;
  /** The forms of its tensors, the largest first. */
  readonly forms: readonly string[];
}

export interface Sizes {
  readonly parameters: number;
  readonly kinds: readonly KindSize[];
  /** Bytes of each layer. */
  readonly layers: readonly number[];
}

/** Bytes of a process; what is not the kernels' memory is Node's: 75 MB resident, with what a server needs. */
const PROCESS_BUDGETS = [1e9, 2e9, 4e9, 8e9];
const PROCESS_RESERVED_BYTES = 100_000_000;

/** How many sequences at a time the table of what fits goes through. */
export const FIT_SLOTS: readonly number[] = [1, 2, 4, 8];

/** What fits in a memory: the best form, and the longest context for each number of sequences. */
export interface BudgetFit {
  /** Of the whole isolate or process. */
  readonly budget: number;
  readonly where: "isolate" | "process";
  readonly choice: FormChoice | null;
  readonly contexts: readonly { readonly slots: number; readonly ctx: number }[];
}

/** On Cloudflare Workers; 0 where nothing of it fits. */
export interface WorkersFit {
  readonly isolates: number;
  /** Positions of a sequence. */
  readonly ctx: number;
}

export function sizesOf(tensors: readonly PackedTensor[], isTied: boolean): Sizes {
  const kinds = KINDS.map((kind) => {
    const own = tensors.filter(({ name }) => kindOf(name) === kind);
    const bytesOf = (form: string): number => sum(own.filter((one) => one.form === form));
    const forms = [...new Set(own.map(({ form }): string => form))];
    return { kind, bytes: sum(own), forms: forms.sort((a, b) => bytesOf(b) - bytesOf(a)) };
  });
  const layers: number[] = [];
  let parameters = 0;
  for (const { name, bytes, shape } of tensors) {
    const layer = /\blayers\.(\d+)\./.exec(name)?.[1];
    if (layer !== undefined) layers[Number(layer)] = (layers[Number(layer)] ?? 0) + bytes;
    // A head that is the embedding again has no weights of its own.
    if (!isTied || kindOf(name) !== "head") parameters += shape.reduce((a, b) => a * b, 1);
  }
  return { parameters, kinds: kinds.filter(({ bytes }) => bytes > 0), layers };
}

function kindOf(name: string): KindSize["kind"] {
  if (/norm/.test(name)) return "norms";
  if (/self_attn/.test(name)) return "attention";
  if (/\bmlp\b/.test(name)) return "mlp";
  return /embed_tokens/.test(name) ? "embedding" : "head";
}

function sum(tensors: readonly PackedTensor[]): number {
  return tensors.reduce((total, { bytes }) => total + bytes, 0);
}

/**
 * @param budget of an isolate, instead of the usual ones
 * @param options what is fixed of the form is not chosen
 */
export async function budgetFits(
  input: ModelInput,
  budget: number | undefined,
  options: PlanOptions,
): Promise<BudgetFit[]> {
  const isolate = { bytes: budget ?? ISOLATE_BYTES, where: "isolate" as const };
  const processes = PROCESS_BUDGETS.map((bytes) => ({ bytes, where: "process" as const }));
  const fits: BudgetFit[] = [];
  for (const { bytes, where } of budget === undefined ? [isolate, ...processes] : [isolate]) {
    const reservedBytes = where === "isolate" ? ISOLATE_RESERVED_BYTES : PROCESS_RESERVED_BYTES;
    fits.push(await budgetFit(input, { bytes, reservedBytes, where }, options));
  }
  return fits;
}

async function budgetFit(
  input: ModelInput,
  {
    bytes,
    reservedBytes,
    where,
  }: { bytes: number; reservedBytes: number; where: BudgetFit["where"] },
  options: PlanOptions,
): Promise<BudgetFit> {
  const form = await orTooLarge(
    chooseForBudget(input, { bytes, reservedBytes }, { ...options, slots: 1 }),
  );
  if (form === undefined) return { budget: bytes, where, choice: null, contexts: [] };
  const { quantization, profile, kv } = form;
  const contexts: { slots: number; ctx: number }[] = [];
  for (const slots of FIT_SLOTS) {
    const budgetBytes = bytes - reservedBytes;
    const plan = async (): Promise<number> =>
      planOpened(form.plan.model, { ...options, kv, slots, budgetBytes }).runner.ctx;
    const ctx = await orTooLarge(plan());
    if (ctx !== undefined) contexts.push({ slots, ctx });
  }
  return { budget: bytes, where, choice: { quantization, profile, kv }, contexts };
}

/** How many isolates a model takes: one, or as many as it is divided among. */
export async function workersFit(
  input: ModelInput,
  isolate: BudgetFit,
  { signal }: PlanOptions,
): Promise<WorkersFit> {
  const ctx = isolate.contexts[0]?.ctx;
  if (ctx !== undefined) return { isolates: 1, ctx: Math.min(ctx, MAX_CTX) };
  const sizes = { slots: 1, chunk: BUDGET_CHUNK, maxLogits: 1, maxCtx: MAX_CTX } as const;
  const form = "pack" in input ? {} : ({ profile: "small", kv: "int8" } as const);
  const plan = async (): Promise<WorkersFit> => {
    const { model, plan, runner } = await planModel(input, { ...sizes, ...form, signal });
    const stageBytes = kernelBudget(ISOLATE_BYTES);
    const { stages } = planStages({ plan, tensors: model.tensors }, runner, { stageBytes });
    return { isolates: stages.length, ctx: runner.ctx };
  };
  return (await orTooLarge(plan())) ?? { isolates: 0, ctx: 0 };
}

async function orTooLarge<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PronkError && error.code === "out_of_memory") return undefined;
    throw error;
  }
}
