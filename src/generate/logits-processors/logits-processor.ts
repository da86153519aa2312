/**
 * Logits processors under Hugging Face's names, over whole batches (transformers 4.57,
 * generation/logits_process.py). Each step rounds to f32 where the reference does. The server's
 * sampler (../sampler.ts) does the common ones faster; these are for everything else.
 */
import { PronkError } from "../../errors.ts";

/** (batch, length) token ids. */
export type TokenRows = readonly (readonly number[])[];

/** (batch, vocab) logits, or log-probabilities in beam search. */
export type ScoreRows = readonly Float32Array[];

/** Changes scores before a token is chosen. */
export interface LogitsProcessor {
  /**
   * New scores, one row for each row of `scores`, which stay as they are. `input_ids` are what was
   * generated so far, the prompt and its padding included.
   */
  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows | Promise<ScoreRows>;
}

/** Processors one after the other, in the order of the list. */
export class LogitsProcessorList implements LogitsProcessor, Iterable<LogitsProcessor> {
  readonly #processors: LogitsProcessor[];

  constructor(processors: Iterable<LogitsProcessor> = []) {
    this.#processors = [...processors];
  }

  get length(): number {
    return this.#processors.length;
  }

  push(processor: LogitsProcessor): void {
    this.#processors.push(processor);
  }

  [Symbol.iterator](): IterableIterator<LogitsProcessor> {
    return this.#processors[Symbol.iterator]();
  }

  async apply(input_ids: TokenRows, scores: ScoreRows): Promise<ScoreRows> {
    let processed = scores;
    for (const processor of this.#processors) {
      // No turn of the event loop where the processor needs none: a token may take microseconds.
      const next = processor.apply(input_ids, processed);
      processed = next instanceof Promise ? await next : next;
    }
    return processed;
  }
}

/** Bounds how a filter removes tokens. */
export interface FilterOptions {
  /** What a removed token's score becomes. Default -Infinity. */
  readonly filter_value?: number;
  /** Default 1. */
  readonly min_tokens_to_keep?: number;
}

/** Applies `change` to a copy of each row. */
export function mapRows(
  scores: ScoreRows,
  change: (row: Float32Array, index: number) => void,
): Float32Array[] {
  return scores.map((row, index) => {
    const copy = row.slice();
    change(copy, index);
    return copy;
  });
}

/** A wrong argument, in the reference's words. */
export function invalid(param: string, message: string): PronkError {
  return new PronkError("bad_request", message, { param });
}

export function isCount(value: unknown, least: number): value is number {
  return Number.isInteger(value) && (value as number) >= least;
}

/** @throws PronkError "bad_request" unless `min_tokens_to_keep` is a positive integer. */
export function filterOptions(options: FilterOptions): Required<FilterOptions> {
  const { filter_value = Number.NEGATIVE_INFINITY, min_tokens_to_keep = 1 } = options;
  if (!isCount(min_tokens_to_keep, 1)) {
    const found = inPython(min_tokens_to_keep);
    throw invalid(
      "min_tokens_to_keep",
      `\`min_tokens_to_keep\` has to be a positive integer, but is ${found}`,
    );
  }
  return { filter_value, min_tokens_to_keep };
}

/** Ids of one end token or several. @throws PronkError "bad_request". */
export function tokenIds(eos_token_id: number | readonly number[]): number[] {
  const ids = typeof eos_token_id === "number" ? [eos_token_id] : [...eos_token_id];
  if (ids.every((id) => isCount(id, 0))) return ids;
  throw invalid(
    "eos_token_id",
    `\`eos_token_id\` has to be a list of positive integers, but is ${inPython(ids)}`,
  );
}

/** A value as Python prints it, so that errors read as the reference's. */
export function inPython(value: unknown): string {
  if (value === undefined || value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return `'${value}'`;
  if (value === Number.POSITIVE_INFINITY) return "inf";
  if (value === Number.NEGATIVE_INFINITY) return "-inf";
  if (Number.isNaN(value)) return "nan";
  if (Array.isArray(value)) return `[${value.map(inPython).join(", ")}]`;
  return String(value);
}

/** A number as Python prints a float: 1 is 1.0. */
export function pythonFloat(value: unknown): string {
  return Number.isInteger(value) ? (value as number).toFixed(1) : inPython(value);
}
