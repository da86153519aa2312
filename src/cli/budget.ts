/** --budget: what an isolate's limit leaves for the kernels' memory, and the form that fits it. */
import { chooseForBudget, type FittingForm } from "../engine/budget-choice.ts";
import { ISOLATE_RESERVED_BYTES } from "../engine/isolate-memory.ts";
import type { PlanOptions } from "../engine/load-model.ts";
import type { ModelInput } from "../engine/opened-model.ts";
import { bytesOption, UsageError } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

export const BUDGET_OPTION: OptionSpecs = {
  budget: {
    type: "string",
    value: "SIZE",
    help: "the best form that fits, such as 128MB, of which 20 are for JavaScript",
    group: "Weights and memory",
  },
};

/** Bytes of WebAssembly memory in an isolate of so many bytes. */
export function kernelBudget(isolateBytes: number): number {
  return Math.max(0, isolateBytes - ISOLATE_RESERVED_BYTES);
}

/** @throws UsageError when --budget stands beside what it chooses. */
export function budgetOption(input: Arguments): number | undefined {
  const budget = bytesOption(input, "budget");
  if (budget !== undefined && input.values.profile !== undefined) {
    throw new UsageError("--budget chooses the profile: not together with --profile");
  }
  return budget;
}

/**
 * The best form for --budget.
 *
 * @throws PronkError as chooseForBudget.
 */
export function fittingForm(
  input: ModelInput,
  isolateBytes: number,
  options: PlanOptions,
): Promise<FittingForm> {
  const budget = { bytes: isolateBytes, reservedBytes: ISOLATE_RESERVED_BYTES };
  return chooseForBudget(input, budget, options);
}
