/** What of a model one stage holds, and the plan of just that: steps, buffers and tensors. */
import { PronkError } from "../errors.ts";
import type { BufferName, Plan, Step } from "../model/plan.ts";
import { EMBEDDING, FINAL_NORM, LM_HEAD, layerTensor } from "../model/tensors.ts";
import { PANEL_ROWS, paddedRows, weightBytes } from "../pack/forms.ts";
import type { PackedTensor } from "../pack/manifest.ts";

/** Half-open; empty where `from` equals `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * A consecutive part of a model, in the order of its image: rows of the embedding, whole layers, rows of the head. The
 * last layer's stage normalises its output. Where embedding and head are one tensor so are their rows.
 */
export interface StagePart {
  readonly embedding: Range;
  readonly layers: Range;
  readonly head: Range;
}

export const NOTHING: Range = { from: 0, to: 0 };

/** Names of the heads' matrices whose rows may be divided: the language model's. */
const DIVISIBLE: readonly string[] = [EMBEDDING, LM_HEAD];

export function sizeOf({ from, to }: Range): number {
  return to - from;
}

/** The head's product; undefined for a model that ends with states. */
export function headStep({ head }: Plan): Extract<Step, { op: "matmul" }> | undefined {
  const last = head.at(-1);
  return last?.op === "matmul" && last.out === "logits" ? last : undefined;
}

/** Whether a head's rows may be in several stages. */
export function isDivisible(plan: Plan): boolean {
  return DIVISIBLE.includes(headStep(plan)?.parts[0].weight ?? "");
}

export function isTied(plan: Plan): boolean {
  return headStep(plan)?.parts[0].weight === EMBEDDING;
}

/** A plan's steps by what they belong to; those of a layer all together. */
interface DividedSteps {
  readonly embed: readonly Step[];
  readonly layers: readonly (readonly Step[])[];
  /** Of the last layer, those that only rows of wanted results go through, from this one on. */
  readonly tailFrom: number;
  readonly norm: readonly Step[];
  readonly head: readonly Step[];
}

function divide(plan: Plan): DividedSteps {
  const embed: Step[] = [];
  const layers: Step[][] = [];
  const norm: Step[] = [];
  const head: Step[] = [];
  let current = embed;
  for (const step of [...plan.steps, ...plan.head]) {
    if (step.op === "tap") throw new PronkError("unsupported", "stages: a plan with taps");
    if (step.op === "rmsNorm" && step.weight === FINAL_NORM) current = norm;
    else if (step.op === "matmul" && step.out === "logits") current = head;
    else if (
      step.op === "rmsNorm" &&
      step.weight === layerTensor(layers.length, "input_layernorm.weight")
    ) {
      current = [];
      layers.push(current);
    }
    current.push(step);
  }
  const last = layers.at(-1) ?? [];
  const inHead = plan.head.length - norm.length - head.length;
  return { embed, layers, tailFrom: last.length - inHead, norm, head };
}

/**
 * The steps of one stage. Layers are counted from its own first one, so that its cache has just those; the rows of its
 * logits are the part's.
 */
export interface PartPlan {
  readonly plan: Plan;
  /** From ids to rows of the residual stream. */
  readonly embed: readonly Step[];
  /** Over every row. */
  readonly layers: readonly Step[];
  /** The rest of the last layer, and the final norm, over the rows whose results are wanted; empty elsewhere. */
  readonly tail: readonly Step[];
  /** From normalised states to logits. */
  readonly head: readonly Step[];
}

export function planPart(plan: Plan, part: StagePart): PartPlan {
  const { embed, layers, tailFrom, norm, head } = divide(plan);
  checkPart(plan, part);
  const hasLast = sizeOf(part.layers) > 0 && part.layers.to === layers.length;
  const own = layers
    .slice(part.layers.from, part.layers.to)
    .map((steps, i) => steps.map((step) => ("layer" in step ? { ...step, layer: i } : step)));
  const last = hasLast ? own.pop() : undefined;
  const rows = sizeOf(part.head);
  const steps = {
    embed: sizeOf(part.embedding) > 0 ? embed : [],
    layers: [...own.flat(), ...(last?.slice(0, tailFrom) ?? [])],
    tail: last ? [...last.slice(tailFrom), ...norm] : [],
    head: rows > 0 ? head.map((step) => withRows(step, rows)) : [],
  };
  const used = new Set<BufferName>(
    [...steps.layers, ...steps.tail].flatMap((step) => buffersOf(step)),
  );
  const buffers = Object.fromEntries(
    Object.entries(plan.buffers).map(([name, columns]) => {
      if (name === "x" || name === "h") return [name, columns];
      if (name === "logits") return [name, paddedRows(rows)];
      return [name, used.has(name as BufferName) ? columns : 0];
    }),
  ) as Plan["buffers"];
  return {
    ...steps,
    plan: {
      ...plan,
      config: { ...plan.config, num_hidden_layers: sizeOf(part.layers) },
      outputs: rows,
      buffers,
      steps: [...steps.embed, ...steps.layers],
      head: [...steps.tail, ...steps.head],
    },
  };
}

/** @throws PronkError "bad_request" for ranges that the model has not. */
function checkPart(plan: Plan, { embedding, layers, head }: StagePart): void {
  const { vocab_size: vocab, num_hidden_layers: count } = plan.config;
  checkRange("embedding rows", embedding, vocab, PANEL_ROWS);
  checkRange("layers", layers, count, 1);
  checkRange("head rows", head, plan.outputs, PANEL_ROWS);
  const isWhole = sizeOf(head) === plan.outputs;
  if (sizeOf(head) > 0 && !isWhole && !isDivisible(plan)) {
    throw new PronkError("unsupported", "stages: only a language model's head is divided by rows");
  }
}

function checkRange(what: string, { from, to }: Range, end: number, multiple: number): void {
  const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to;
  const isCut = (at: number): boolean => at % multiple === 0 || at === end;
  if (isRange && to <= end && (from === to || (isCut(from) && isCut(to)))) return;
  const whole = multiple > 1 ? `, in multiples of ${multiple}` : "";
  throw new PronkError("bad_request", `stages: ${what} ${from} to ${to} of ${end}${whole}`);
}

/** A part's tensors, at their places in its own image, which is a slice of the model's. */
export interface PartImage {
  /** Where the slice is in the model's image. */
  readonly start: number;
  readonly end: number;
  readonly tensors: readonly PackedTensor[];
}

/**
 * @throws PronkError "bad_format" where a tensor is missing; "unsupported" where a part's tensors do not lie together.
 */
export function partImage(
  plan: Plan,
  part: StagePart,
  tensors: readonly PackedTensor[],
): PartImage {
  const { plan: own } = planPart(plan, part);
  const names = new Set(own.steps.concat(own.head).flatMap((step) => tensorsOf(step)));
  const wanted = tensors.filter(({ name }) => names.delete(name));
  const [missing] = names;
  if (missing !== undefined) {
    throw new PronkError("bad_format", `stages: tensor ${missing} is missing`);
  }
  const placed = wanted.map((tensor) => sliceOf(tensor, rowsOf(plan, part, tensor.name)));
  placed.sort((a, b) => a.offset - b.offset);
  const start = placed.at(0)?.offset ?? 0;
  const last = placed.at(-1);
  const end = last ? last.offset + last.bytes : 0;
  const inside = tensors.filter(({ offset, bytes }) => offset < end && offset + bytes > start);
  if (inside.length !== placed.length) {
    throw new PronkError("unsupported", "stages: the model's tensors are not in their usual order");
  }
  return {
    start,
    end,
    tensors: placed.map((tensor) => ({ ...tensor, offset: tensor.offset - start })),
  };
}

/** Which rows of a tensor a part has; undefined: all. */
function rowsOf(plan: Plan, { embedding, head }: StagePart, name: string): Range | undefined {
  if (name === EMBEDDING) return sizeOf(embedding) > 0 ? embedding : head;
  const matrix = headStep(plan)?.parts[0].weight;
  return name === matrix && isDivisible(plan) ? head : undefined;
}

function sliceOf(tensor: PackedTensor, rows: Range | undefined): PackedTensor {
  if (rows === undefined || tensor.form === "vector") return tensor;
  const cols = tensor.shape[1];
  const before = weightBytes(tensor.form, [rows.from, cols]);
  const shape = [sizeOf(rows), cols];
  const bytes = weightBytes(tensor.form, shape);
  return { ...tensor, shape, offset: tensor.offset + before, bytes };
}

function withRows(step: Step, rows: number): Step {
  if (step.op !== "matmul" || step.parts[0].rows === rows) return step;
  return { ...step, parts: [{ ...step.parts[0], rows }] };
}

function buffersOf(step: Step): BufferName[] {
  switch (step.op) {
    case "embed":
      return [step.out];
    case "rope":
      return [step.buffer];
    case "storeKv":
    case "tap":
      return [step.in];
    default:
      return [step.in, step.out];
  }
}

function tensorsOf(step: Step): string[] {
  if (step.op === "embed" || step.op === "rmsNorm") return [step.weight];
  if (step.op !== "matmul") return [];
  return step.parts.flatMap(({ weight, bias }) => (bias === undefined ? [weight] : [weight, bias]));
}
