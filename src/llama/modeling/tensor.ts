/** Dense numbers with dimensions, row-major: what models take and give. */
import { PronkError } from "../../errors.ts";

export interface Tensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export function zeros(...dims: number[]): Tensor {
  return { dims, data: new Float32Array(dims.reduce((product, dim) => product * dim, 1)) };
}

/** Nested lists of integers with one length per level, as (rows, cols) and so on. */
export type Nested = number | boolean | readonly Nested[];

/**
 * The dimensions of nested lists, which must be of one length per level.
 *
 * @throws PronkError "bad_request" naming the input.
 */
export function nestedDims(value: Nested, name: string): number[] {
  if (!Array.isArray(value)) return [];
  const inner = value.map((item: Nested) => nestedDims(item, name));
  const [first = []] = inner;
  if (inner.some((dims) => dims.join() !== first.join())) {
    throw new PronkError("bad_request", `${name}: lists of different lengths`, { param: name });
  }
  return [value.length, ...first];
}

/**
 * Rows of integers: input_ids, position_ids, labels, a mask.
 *
 * @throws PronkError "bad_request" unless it is (batch, length) of integers.
 */
export function integerRows(
  value: readonly (readonly number[])[],
  name: string,
  batch?: number,
  length?: number,
): readonly (readonly number[])[] {
  const dims = nestedDims(value as Nested, name);
  const wrong = (why: string): PronkError =>
    new PronkError("bad_request", `${name}: ${why}`, { param: name });
  if (dims.length !== 2) throw wrong(`${dims.length} dimensions, not (batch, length)`);
  if ((batch !== undefined && dims[0] !== batch) || (length !== undefined && dims[1] !== length)) {
    throw wrong(`(${dims.join(", ")}), not (${batch ?? "batch"}, ${length ?? "length"})`);
  }
  for (const row of value) {
    for (const item of row) if (!Number.isInteger(item)) throw wrong(`${item} is no integer`);
  }
  return value;
}
