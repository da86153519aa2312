/** The arguments of Hugging Face's `forward`, checked and turned into what each sequence of the batch runs. */
import { PronkError } from "../../errors.ts";
import { type IntegerRows, integerLists } from "../integer-lists.ts";
import type { KvCache } from "./kv-cache.ts";
import type { AppliedAdapter } from "./model-adapters.ts";
import { integerRows, type Nested, nestedDims, type Tensor } from "./tensor.ts";

/** Of a loss: positions that do not count. */
export const IGNORED_LABEL = -100;

export interface ForwardInputs {
  /** (batch, length); here and below also as `return_tensors` gives it. */
  readonly input_ids?: IntegerRows;
  /** (batch, length, hidden_size), in place of input_ids. */
  readonly inputs_embeds?: Tensor;
  /**
   * (batch, cached + length): 1 for tokens, 0 for padding. Or (batch, 1, length, cached + length): which
   * keys each query sees, as booleans, 1 and 0, or numbers to add to scores of which 0 means seen.
   */
  readonly attention_mask?: IntegerRows | Nested;
  /** (batch, length) rotary positions; the default counts on from what is cached, padding included. */
  readonly position_ids?: IntegerRows;
  /** What an earlier `forward` of this model gave, for the same batch; it is extended in place. */
  readonly past_key_values?: KvCache;
  /** Give past_key_values. Default: config.use_cache. A cache that is given is extended all the same. */
  readonly use_cache?: boolean;
  /** Default: the configuration's, else false. */
  readonly output_hidden_states?: boolean;
  /** Default: the configuration's, else false. */
  readonly output_attentions?: boolean;
  /** (length,) what follows from the cache: another is refused. */
  readonly cache_position?: ArrayLike<number>;
  /** false, tuples, is refused. */
  readonly return_dict?: boolean;
}

/** What one sequence of the batch runs: its tokens without padding. */
export interface SequenceInput {
  /** Columns of the input that are run, ascending. */
  readonly columns: readonly number[];
  readonly ids: readonly number[];
  /** (columns, hidden_size) */
  readonly embeds?: Float32Array;
  readonly positions: readonly number[];
  /** Tokens of the text so far, padding left out: what rotary scalings that depend on it go by. */
  readonly length: number;
  /** (columns, cached rows + columns) bytes; undefined: causal. */
  readonly visible?: Uint8Array;
  /** What it is run with, and again when its cache was lost. */
  readonly adapters?: readonly AppliedAdapter[];
}

export interface BatchInput {
  readonly batch: number;
  /** Columns, padding included. */
  readonly length: number;
  /** Columns that are cached, padding included. */
  readonly cached: number;
  readonly sequences: readonly SequenceInput[];
}

interface CachedColumns {
  /** Columns that were given, padding included. */
  readonly length: number;
  /** Of each sequence: the columns that are in the cache, ascending. */
  readonly columns: readonly (readonly number[])[];
}

const bad = (param: string, why: string): PronkError =>
  new PronkError("bad_request", `${param}: ${why}`, { param });

/**
 * @param masks whether the runner takes masks: padding after a token is then run, too, unseen by others
 * @throws PronkError "bad_request" with the input's name as `param`.
 */
export function readInputs(
  given: ForwardInputs,
  hiddenSize: number,
  past: CachedColumns | undefined,
  hasMasks: boolean,
): BatchInput {
  const inputs = listsOf(given);
  const { batch, length } = sizesOf(inputs, hiddenSize);
  const cached = past?.length ?? 0;
  refuseOthers(given, cached, length);
  if (past && past.columns.length !== batch) {
    throw bad("past_key_values", `${past.columns.length} sequences, the batch has ${batch}`);
  }
  const { position_ids } = inputs;
  if (position_ids) integerRows(position_ids, "position_ids", batch, length);
  const masks = readMask(inputs.attention_mask, batch, length, cached);
  const sequences = Array.from({ length: batch }, (_, b) => {
    const kept = past?.columns[b] ?? [];
    const padding = masks.padding?.[b];
    const first = padding?.indexOf(1) ?? 0;
    const isRun = (column: number): boolean =>
      padding?.[column] !== 0 || (hasMasks && first >= 0 && column > first);
    const columns = Array.from({ length }, (_, column) => column).filter((column) =>
      isRun(cached + column),
    );
    const visible = masks.pairs
      ? pairsOf(masks.pairs[b], kept, cached, columns)
      : paddingOf(padding, kept, cached, columns);
    return {
      columns,
      ids: columns.map((column) => inputs.input_ids?.[b][column] ?? 0),
      ...(inputs.inputs_embeds && {
        embeds: rowsOf(inputs.inputs_embeds.data, columns, b * length, hiddenSize),
      }),
      positions: columns.map((column) => position_ids?.[b][column] ?? cached + column),
      length: lengthOf(position_ids?.[b], padding, cached, length),
      ...(visible && { visible }),
    };
  });
  return { batch, length, cached, sequences };
}

/**
 * By the positions of the tokens; those of columns count the padding before the first token, too, which is taken
 * away: a text is as long in any company as it is alone.
 */
function lengthOf(
  positions: readonly number[] | undefined,
  padding: readonly number[] | undefined,
  cached: number,
  length: number,
): number {
  const isToken = (column: number): boolean => padding?.[cached + column] !== 0;
  if (positions) {
    // At least one: rows of padding alone are run, too.
    return positions.reduce((most, at, column) => Math.max(most, isToken(column) ? at + 1 : 1), 1);
  }
  let end = length;
  while (end > 0 && !isToken(end - 1)) end--;
  return cached + end - Math.max(0, padding?.indexOf(1) ?? 0);
}

/** What would be something else than here. @throws PronkError */
function refuseOthers(
  { cache_position: positions, return_dict }: ForwardInputs,
  cached: number,
  length: number,
): void {
  if (return_dict === false) {
    throw new PronkError("unsupported", "return_dict: outputs are objects, there are no tuples", {
      param: "return_dict",
    });
  }
  if (positions === undefined) return;
  const found = Array.from(positions);
  if (found.length === length && found.every((at, i) => at === cached + i)) return;
  const why = `they follow from the cache, from ${cached} to ${cached + length - 1}; position_ids may be others`;
  throw bad("cache_position", why);
}

interface ListedInputs {
  readonly input_ids?: readonly (readonly number[])[];
  readonly inputs_embeds?: Tensor;
  readonly attention_mask?: Nested;
  readonly position_ids?: readonly (readonly number[])[];
}

function listsOf({
  input_ids,
  inputs_embeds,
  attention_mask,
  position_ids,
}: ForwardInputs): ListedInputs {
  return {
    ...(inputs_embeds && { inputs_embeds }),
    ...(input_ids && { input_ids: integerLists(input_ids, "input_ids") }),
    ...(position_ids && { position_ids: integerLists(position_ids, "position_ids") }),
    ...(attention_mask !== undefined && {
      attention_mask: integerLists(attention_mask, "attention_mask"),
    }),
  };
}

function sizesOf(
  { input_ids, inputs_embeds }: ListedInputs,
  hiddenSize: number,
): { readonly batch: number; readonly length: number } {
  if ((input_ids === undefined) === (inputs_embeds === undefined)) {
    throw new PronkError(
      "bad_request",
      "You must specify exactly one of input_ids or inputs_embeds",
      { param: "input_ids" },
    );
  }
  if (input_ids) {
    integerRows(input_ids, "input_ids");
    if (input_ids.length === 0 || input_ids[0].length === 0) throw bad("input_ids", "it is empty");
    return { batch: input_ids.length, length: input_ids[0].length };
  }
  const [batch, length, width] = (inputs_embeds as Tensor).dims;
  const { data } = inputs_embeds as Tensor;
  if (width !== hiddenSize || data.length !== batch * length * width || data.length === 0) {
    throw bad(
      "inputs_embeds",
      `(${(inputs_embeds as Tensor).dims.join(", ")}), not (batch, length, ${hiddenSize})`,
    );
  }
  return { batch, length };
}

interface Masks {
  /** (batch, cached + length) */
  readonly padding?: readonly (readonly number[])[];
  /** (batch, length, cached + length) */
  readonly pairs?: readonly (readonly (readonly boolean[])[])[];
}

function readMask(mask: Nested | undefined, batch: number, length: number, cached: number): Masks {
  if (mask === undefined) return {};
  const dims = nestedDims(mask, "attention_mask");
  const keys = cached + length;
  if (dims.length === 2) {
    const padding = integerRows(mask as number[][], "attention_mask", batch, keys);
    for (const row of padding) {
      const other = row.find((value) => value !== 0 && value !== 1);
      if (other !== undefined) throw bad("attention_mask", `${other} is neither 0 nor 1`);
    }
    return { padding };
  }
  if (dims.join() !== [batch, 1, length, keys].join()) {
    const wanted = `(${batch}, ${keys}) or (${batch}, 1, ${length}, ${keys})`;
    throw bad("attention_mask", `(${dims.join(", ")}), not ${wanted}`);
  }
  const values = mask as readonly (readonly (readonly (readonly (number | boolean)[])[])[])[];
  const flat = values.flat(3);
  // Numbers that are added to scores have negative ones among them, or all is seen.
  const isAdded = flat.some((value) => typeof value === "number" && value < 0);
  const seen = (value: number | boolean): boolean => {
    if (!isAdded) {
      if (value === true || value === 1) return true;
      if (value === false || value === 0) return false;
    } else if (value === 0) return true;
    else if (typeof value === "number" && value <= HIDING) return false;
    throw bad(
      "attention_mask",
      `${value}: a mask hides or shows, a bias on scores is not supported`,
    );
  };
  return { pairs: values.map(([queries]) => queries.map((row) => row.map(seen))) };
}

/** Added to a score, this or less makes its probability 0 in f32. */
const HIDING = -1e4;

/** Only where padding is, or was, run. */
function paddingOf(
  padding: readonly number[] | undefined,
  kept: readonly number[],
  cached: number,
  columns: readonly number[],
): Uint8Array | undefined {
  if (!padding) return undefined;
  const before = padding.slice(0, cached);
  const unmasked = before.findIndex((value, column) => value === 1 && !kept.includes(column));
  if (unmasked >= 0) {
    throw bad("attention_mask", `position ${unmasked} was padding when it was run`);
  }
  const seen = [...kept, ...columns.map((column) => cached + column)].map((c) => padding[c]);
  if (seen.every((value) => value === 1)) return undefined;
  return Uint8Array.from(
    columns.flatMap((_, row) => seen.map((value, key) => (key <= kept.length + row ? value : 0))),
  );
}

function pairsOf(
  pairs: readonly (readonly boolean[])[],
  kept: readonly number[],
  cached: number,
  columns: readonly number[],
): Uint8Array {
  const keys = [...kept, ...columns.map((column) => cached + column)];
  return Uint8Array.from(columns.flatMap((row) => keys.map((key) => (pairs[row][key] ? 1 : 0))));
}

/** Rows of a (…, width) array. */
export function rowsOf(
  data: Float32Array,
  rows: readonly number[],
  first: number,
  width: number,
): Float32Array {
  const out = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    out.set(data.subarray((first + row) * width, (first + row + 1) * width), i * width);
  });
  return out;
}
