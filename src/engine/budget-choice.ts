/**
 * Which form of a model fits a memory budget: of those that fit with the context that is asked for,
 * the one with the best measured quality. docs/benchmarks.md has the measurements.
 */
import type { KvType } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import type { Profile, Quantization } from "../pack/form-choice.ts";
import { BUDGET_CHUNK, type ModelPlan, type PlanOptions, planModel } from "./load-model.ts";
import type { ModelInput } from "./opened-model.ts";

export interface FormChoice {
  readonly quantization: Quantization;
  readonly profile: Profile;
  readonly kv: KvType;
}

/**
 * From the best to the smallest, by the mean KL divergence from the source in f32 (npm run bench --
 * quality). From float weights, auto has 8 bits and q4 follows at some distance. q4s has smaller scales,
 * which cost little, and last a 4-bit head, which costs most. bf16 takes what int16 does and is no
 * better; f32 is neither.
 */
const BEST_FIRST: readonly FormChoice[] = [
  { quantization: "auto", profile: "default", kv: "int16" },
  { quantization: "auto", profile: "default", kv: "int8" },
  { quantization: "auto", profile: "small", kv: "int16" },
  { quantization: "auto", profile: "small", kv: "int8" },
  { quantization: "q4", profile: "small", kv: "int16" },
  { quantization: "q4", profile: "small", kv: "int8" },
  { quantization: "q4s", profile: "default", kv: "int16" },
  { quantization: "q4s", profile: "default", kv: "int8" },
  { quantization: "q4s", profile: "small", kv: "int16" },
  { quantization: "q4s", profile: "small", kv: "int8" },
];

/** Of a pack, whose weights are what they are: the cache that it was measured with, then smaller ones. */
const OWN_CACHE_FIRST: readonly (KvType | undefined)[] = [undefined, "int16", "int8"];

/** Positions that a model must have room for where none are asked, unless it has fewer. */
const DEFAULT_CTX = 1024;

export interface FittingForm {
  readonly quantization: Quantization;
  readonly profile: Profile;
  readonly kv: KvType;
  /** With the asked context, or the longest that fits. */
  readonly plan: ModelPlan;
}

export interface Budget {
  readonly bytes: number;
  /** Of these, for what is not the kernels' memory: in an isolate the JavaScript heap. */
  readonly reservedBytes: number;
}

/**
 * The best form whose plan fits the budget. What `options` fix (a quantization
 * but auto, profile, kv) is not chosen.
 *
 * @throws PronkError "out_of_memory" with what the smallest form takes, and what to do; and as
 *   planModel.
 */
export async function chooseForBudget(
  input: ModelInput,
  budget: Budget,
  options: PlanOptions = {},
): Promise<FittingForm> {
  const budgetBytes = Math.max(0, budget.bytes - budget.reservedBytes);
  const planAt = (form: Candidate, more: PlanOptions): Promise<ModelPlan> =>
    planModel(input, {
      maxCtx: DEFAULT_CTX,
      ...options,
      chunk: options.chunk ?? BUDGET_CHUNK,
      ...form,
      ...more,
    });
  let smallest: { form: Candidate; plan: ModelPlan } | undefined;
  let tooLarge: unknown;
  for (const form of candidatesFor(input, options)) {
    let plan: ModelPlan;
    try {
      plan = await planAt(form, { budgetBytes: undefined });
    } catch (error) {
      if (!(error instanceof PronkError) || error.code !== "out_of_memory") throw error;
      tooLarge = error; // for wasm32
      continue;
    }
    if (plan.memory.total + plan.adapterBytes <= budgetBytes) {
      const { requested, profile } = plan.model.facts.quantization;
      const longest = await planModel(input, { ...options, ...form, budgetBytes });
      return {
        quantization: form.quantization ?? (requested as Quantization),
        profile,
        kv: plan.runner.kv,
        plan: longest,
      };
    }
    if (!smallest || plan.memory.total < smallest.plan.memory.total) smallest = { form, plan };
  }
  if (!smallest) throw tooLarge;
  const largest = await planAt(smallest.form, { ctx: undefined, budgetBytes }).catch(
    (error: unknown) => {
      if (error instanceof PronkError && error.code === "out_of_memory") return undefined;
      throw error;
    },
  );
  throw tooSmall(budget, smallest.plan, largest?.runner.ctx);
}

type Candidate = Partial<FormChoice>;

function candidatesFor(input: ModelInput, options: PlanOptions): readonly Candidate[] {
  const { quantization = "auto", profile, kv } = options;
  const isFixed = "pack" in input || quantization === "none" || quantization === "f32";
  const forms: readonly Candidate[] = isFixed
    ? OWN_CACHE_FIRST.map((kv) => ({ kv }))
    : BEST_FIRST.map((form) => (quantization === "auto" ? form : { ...form, quantization }));
  const candidates = forms.map((form) => ({
    ...form,
    ...(profile && { profile }),
    ...(kv && { kv }),
  }));
  const keys = candidates.map((form) => JSON.stringify(form));
  return candidates.filter((_, i) => keys.indexOf(keys[i]) === i);
}

function tooSmall(
  { bytes, reservedBytes }: Budget,
  { model, runner, memory, adapterBytes }: ModelPlan,
  fittingCtx?: number,
): PronkError {
  const { requested, profile } = model.facts.quantization;
  const { ctx, slots, kv } = runner;
  const { weights, total, kv: cache } = memory;
  const reserved = reservedBytes > 0 ? `, ${reservedBytes} of them not the kernels'` : "";
  const beside = adapterBytes > 0 ? `; adapters ${adapterBytes}` : "";
  const room = slots === 1 ? `ctx ${ctx}` : `ctx ${ctx} and ${slots} sequences`;
  const fits = fittingCtx === undefined ? "" : `ctx ${fittingCtx} fits, or `;
  return new PronkError(
    "out_of_memory",
    `plan: the budget is ${bytes} bytes${reserved}; the smallest form (${requested}, profile ${profile}, ` +
      `${kv} cache) takes ${total} at ${room}: weights ${weights}, cache ${cache}, ` +
      `the rest ${total - weights - cache}${beside}; ${fits}a budget of ` +
      `${total + adapterBytes + reservedBytes} would do`,
  );
}
