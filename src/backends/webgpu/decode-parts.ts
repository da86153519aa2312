/** The parts of a plan that a kernel of decoding runs each: norms go with the product behind them, and so on. */
import type { Plan, Step } from "../../model/plan.ts";

export type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

export type DecodePart =
  | { readonly op: "embed"; readonly embed: StepOf<"embed"> }
  | {
      readonly op: "product";
      /** Weights by which its input is normalised: the input is then x. */
      readonly norm: string | undefined;
      readonly product: StepOf<"matmul">;
    }
  | {
      readonly op: "gateUp";
      readonly norm: string;
      readonly product: StepOf<"matmul">;
      readonly glu: StepOf<"swiglu" | "glu">;
    }
  | {
      readonly op: "attention";
      readonly store: StepOf<"storeKv">;
      readonly attention: StepOf<"attention">;
    }
  | { readonly op: "head"; readonly norm: string; readonly product: StepOf<"matmul"> };

/**
 * Parts that do what all of the plan's steps do, but for what they show, which nobody looks at; undefined where it has
 * others.
 */
export function decodeParts(plan: Plan): readonly DecodePart[] | undefined {
  const steps = [...plan.steps, ...plan.head].filter(({ op }) => op !== "tap");
  const parts: DecodePart[] = [];
  for (let at = 0; at < steps.length; ) {
    const found = partAt(steps, at, plan);
    if (!found) return undefined;
    parts.push(found.part);
    at += found.steps;
  }
  const isWhole =
    parts[0]?.op === "embed" &&
    parts.findIndex(({ op }) => op === "head") === parts.length - 1 &&
    parts.findLastIndex(({ op }) => op === "embed") === 0;
  return isWhole ? parts : undefined;
}

interface Found {
  readonly part: DecodePart;
  readonly steps: number;
}

function partAt(steps: readonly Step[], at: number, plan: Plan): Found | undefined {
  const step = steps[at];
  if (step.op === "embed") {
    return step.out === "x" ? { part: { op: "embed", embed: step }, steps: 1 } : undefined;
  }
  if (step.op === "rope") return attentionAt(steps, at, plan);
  if (step.op === "rmsNorm") {
    const product = steps[at + 1];
    const isItsInput =
      product?.op === "matmul" && isPlain(product) && step.in === "x" && product.in === step.out;
    return isItsInput ? normalised(step.weight, product, steps[at + 2]) : undefined;
  }
  if (step.op !== "matmul" || !isPlain(step) || step.out !== "x" || !step.accumulate) {
    return undefined;
  }
  return { part: { op: "product", norm: undefined, product: step }, steps: 1 };
}

function normalised(
  norm: string,
  product: StepOf<"matmul">,
  next: Step | undefined,
): Found | undefined {
  if (product.accumulate || product.out === "x") return undefined;
  if (product.out === "logits") {
    return product.parts.length === 1 && product.parts[0].column === 0
      ? { part: { op: "head", norm, product }, steps: 2 }
      : undefined;
  }
  if ((next?.op === "swiglu" || next?.op === "glu") && next.in === product.out) {
    return isGateAndUp(product, next)
      ? { part: { op: "gateUp", norm, product, glu: next }, steps: 3 }
      : undefined;
  }
  return { part: { op: "product", norm, product }, steps: 2 };
}

function isGateAndUp({ parts }: StepOf<"matmul">, glu: StepOf<"swiglu" | "glu">): boolean {
  const [gate, up] = parts;
  return (
    parts.length === 2 &&
    gate.column === 0 &&
    up.column === glu.upColumn &&
    gate.rows === glu.cols &&
    up.rows === glu.cols
  );
}

function attentionAt(steps: readonly Step[], at: number, { config }: Plan): Found | undefined {
  const [queries, keys, store, attention] = steps.slice(at, at + 4);
  const isWhole =
    queries?.op === "rope" &&
    keys?.op === "rope" &&
    store?.op === "storeKv" &&
    attention?.op === "attention" &&
    queries.heads === config.num_attention_heads &&
    keys.heads === config.num_key_value_heads &&
    queries.column === attention.queryColumn &&
    keys.column === store.keyColumn &&
    store.layer === attention.layer &&
    [queries.buffer, keys.buffer, store.in].every((name) => name === attention.in);
  return isWhole ? { part: { op: "attention", store, attention }, steps: 4 } : undefined;
}

function isPlain(product: StepOf<"matmul">): boolean {
  return (product.slices ?? 1) === 1;
}
