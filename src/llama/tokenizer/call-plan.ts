/**
 * What padding and truncation a call asks for, with transformers' rules for what is left out.
 *
 * Source: _get_padding_truncation_strategies() in transformers, tokenization_utils_base.py.
 */
import { PronkError } from "../../errors.ts";
import type { CallOptions, EncodedBatch, EncodedTensors, IntTensor } from "./batch-encoding.ts";

export interface CallPlan {
  readonly padding: "longest" | "max_length" | undefined;
  readonly truncation: "longest_first" | "only_first" | "only_second" | undefined;
  /** Of both. */
  readonly maxLength: number | undefined;
}

/** Limits above are "none": transformers has 1e30 there. */
const LARGE = 1e20;

/** @throws PronkError "bad_request" naming the option. */
export function planCall(options: CallOptions, modelMaxLength: number): CallPlan {
  const { padding = false, max_length } = options;
  let { truncation } = options;
  if (max_length !== undefined && padding === false && truncation === undefined) {
    truncation = "longest_first";
  }
  const pads = padding === true || padding === "longest" ? "longest" : padding;
  const cuts = truncation === true ? "longest_first" : truncation;
  if (pads !== false && !["longest", "max_length", "do_not_pad"].includes(pads)) {
    throw badOption("padding", padding);
  }
  if (cuts !== undefined && cuts !== false && !CUTS.includes(cuts)) {
    throw badOption("truncation", truncation);
  }
  if (max_length !== undefined && !(Number.isInteger(max_length) && max_length >= 0)) {
    throw badOption("max_length", max_length);
  }
  const limit = max_length ?? (modelMaxLength > LARGE ? undefined : modelMaxLength);
  const bounded = limit !== undefined;
  return {
    padding:
      pads === "longest" || (pads === "max_length" && bounded) ? (pads as "longest") : undefined,
    truncation: isCut(cuts) && bounded ? cuts : undefined,
    maxLength: limit,
  };
}

const CUTS: readonly unknown[] = ["longest_first", "only_first", "only_second", "do_not_truncate"];

function isCut(value: unknown): value is "longest_first" | "only_first" | "only_second" {
  return typeof value === "string" && value !== "do_not_truncate";
}

export function badOption(name: string, value: unknown): PronkError {
  return new PronkError("bad_request", `tokenizer: ${name} ${JSON.stringify(value)}`, {
    param: name,
  });
}

/** Rows of equal length as tensors. @throws PronkError "bad_request" when they are not. */
export function toTensors(batch: EncodedBatch): EncodedTensors {
  const tensors: Record<string, IntTensor> = {};
  for (const [name, value] of Object.entries(batch)) {
    if (value !== undefined) tensors[name] = toTensor(name, value as Nested);
  }
  return tensors as unknown as EncodedTensors;
}

type Nested = number | readonly Nested[];

function toTensor(name: string, value: Nested): IntTensor {
  const shape: number[] = [];
  for (let part = value; typeof part !== "number"; part = part[0]!) {
    shape.push(part.length);
    if (part.length === 0) break;
  }
  const data = new Int32Array(shape.reduce((product, size) => product * size, 1));
  let count = 0;
  const add = (part: Nested, depth: number): void => {
    if (typeof part === "number") data[count++] = part;
    else if (part.length !== shape[depth]) {
      throw new PronkError(
        "bad_request",
        `tokenizer: ${name} has rows of different lengths; padding: true and truncation: true make them equal`,
        { param: "return_tensors" },
      );
    } else for (const item of part) add(item, depth + 1);
  };
  add(value, 0);
  return { data, shape };
}
