/** A plan's dispatches, for the rows of a batch and for those whose logits are wanted. */
import { type Plan, stateSteps } from "../../model/plan.ts";
import { type LoweredStep, type LoweringInput, lowerSteps } from "./lower-steps.ts";
import type { Masks } from "./mask-buffers.ts";

/** (token, slot, position, row of the angles) of each row. */
export interface RowTables {
  readonly rows: GPUBuffer;
  /** Of those whose logits are wanted. */
  readonly wanted: GPUBuffer;
}

export class LoweredPlan {
  readonly steps: readonly LoweredStep[];
  readonly head: readonly LoweredStep[];
  readonly #lowerStates: () => LoweredStep[];
  #stateHead: readonly LoweredStep[] | undefined;

  /** @param masks attention goes by them. */
  constructor(input: LoweringInput, tables: RowTables, masks?: Masks) {
    const { plan } = input;
    const lower = (steps: Plan["steps"], which: keyof RowTables): LoweredStep[] => {
      const own = masks && { rows: masks[which].buffer, probabilities: masks.probabilities };
      return lowerSteps(steps, tables[which], { ...input, ...(own && { masks: own }) });
    };
    this.steps = lower(plan.steps, "rows");
    this.head = lower(plan.head, "wanted");
    this.#lowerStates = () => lower(stateSteps(plan), "wanted");
  }

  /** The head up to the normalised states. */
  get stateHead(): readonly LoweredStep[] {
    return (this.#stateHead ??= this.#lowerStates());
  }
}
