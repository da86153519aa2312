/** What the plan's steps are called in adapters. */

import type { Step } from "../model/plan.ts";
import { EMBEDDING, LM_HEAD } from "../model/tensors.ts";

type Product = Extract<Step, { op: "matmul" }>;

/** A product's weight: of tied models the head's is the embedding's, and adapters tell them apart. */
export function adaptedWeight({ out }: Product, weight: string): string {
  return out === "logits" && weight === EMBEDDING ? LM_HEAD : weight;
}

/** Of a weight: `lm_head` of `lm_head.weight`. */
export function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, "");
}
