/**
 * Texts as vectors: the last layer's normalised states of their tokens, averaged or the last one's.
 *
 * Sums are in f64, in the order of the tokens, so that a text has the same bits alone and in company, however it was cut.
 */
import type { Span } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { SlotLoan } from "./slot-lender.ts";

/** mean: of all tokens; last: the last one's; none: of every token, one behind the other. */
export type Pooling = "mean" | "last" | "none";

export interface EmbedOptions {
  /** Default mean. */
  readonly pooling?: Pooling;
  /** Whether vectors have length 1. Default true. */
  readonly normalize?: boolean;
  /** So many numbers of each state, the first, before it is normalised. Default: all. */
  readonly dimensions?: number;
}

/** One text on its way. */
interface Reading {
  readonly ids: readonly number[];
  readonly rows: Rows;
  at: number;
}

/** Texts that are read in one turn: enough to fill batches, little enough for others to get their slots soon. */
const TURN_TOKENS = 512;

/** How many of the texts from `first` on are read in one turn. */
export function turnLength(texts: readonly (readonly number[])[], first: number): number {
  let tokens = 0;
  let count = 0;
  while (first + count < texts.length && (count === 0 || tokens < TURN_TOKENS)) {
    tokens += texts[first + count].length;
    count++;
  }
  return count;
}

/**
 * Checks before anything is run.
 *
 * @throws PronkError "bad_request"; "context_overflow" for a text that is longer than the context.
 */
export function checkEmbedding(
  texts: readonly (readonly number[])[],
  { pooling = "mean", dimensions = 1 }: EmbedOptions,
  runner: SlotLoan["runner"],
): void {
  const { width } = runner;
  const bad = (param: string, found: string): PronkError =>
    new PronkError("bad_request", `${param}: ${found}`, { param });
  if (!["mean", "last", "none"].includes(pooling)) throw bad("pooling", `${pooling}: unknown`);
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > width) {
    throw bad("dimensions", `${dimensions} is not an integer from 1 to the model's ${width}`);
  }
  checkTexts(texts, runner);
}

/** @throws PronkError "bad_request"; "context_overflow", naming `input[i]`. */
export function checkTexts(
  texts: readonly (readonly number[])[],
  { ctx, vocab }: Pick<SlotLoan["runner"], "ctx" | "vocab">,
): void {
  const bad = (param: string, found: string): PronkError =>
    new PronkError("bad_request", `${param}: ${found}`, { param });
  for (const [t, ids] of texts.entries()) {
    const param = `input[${t}]`;
    if (ids.length === 0) throw bad(param, "no tokens");
    if (ids.length > ctx) {
      throw new PronkError(
        "context_overflow",
        `${param}: ${ids.length} tokens do not fit the context of ${ctx}`,
        { param },
      );
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
    if (wrong !== undefined) throw bad(param, `${wrong} is no token of ${vocab}`);
  }
}

/**
 * The vectors of texts, in their order; several at a time where there are slots. Of `none` a vector is that of each
 * token in turn.
 *
 * @throws PronkError "engine_failed"; "aborted".
 */
export async function embedTexts(
  { runner, slots, adapters, run }: SlotLoan,
  texts: readonly (readonly number[])[],
  options: EmbedOptions,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const readings = texts.map((ids): Reading => ({ ids, rows: rowsFor(options, runner), at: 0 }));
  const waiting = [...readings];
  const active = new Map<number, Reading>();
  for (;;) {
    throwIfAborted(signal);
    for (const slot of slots) {
      const next = active.has(slot) ? undefined : waiting.shift();
      if (next !== undefined) active.set(slot, next);
    }
    if (active.size === 0) return readings.map(({ rows }) => rows.finish());
    const ids: number[] = [];
    const spans: Span[] = [];
    const logitsRows: number[] = [];
    const targets: Rows[] = [];
    for (const [slot, reading] of active) {
      const { ids: own, rows, at } = reading;
      const count = Math.min(own.length - at, runner.maxRows - ids.length);
      if (count === 0) break;
      for (let i = 0; i < count; i++) {
        ids.push(own[at + i]);
        if (!rows.wants(at + i, own.length)) continue;
        logitsRows.push(ids.length - 1);
        targets.push(rows);
      }
      // The length of the whole text, where rotary scalings go by it.
      const part = { slot, start: at, count, length: own.length };
      spans.push(adapters && adapters.length > 0 ? { ...part, adapters } : part);
      reading.at += count;
      if (reading.at === own.length) active.delete(slot);
    }
    await run({ ids, spans, logitsRows, states: true }, () => {
      for (const [index, rows] of targets.entries()) rows.push(runner.states(index));
    });
  }
}

/** Takes the states of a text's tokens and makes its vector. */
interface Rows {
  wants(token: number, length: number): boolean;
  push(state: Float32Array): void;
  finish(): Float32Array;
}

function rowsFor(
  { pooling = "mean", normalize = true, dimensions }: EmbedOptions,
  { width }: { readonly width: number },
): Rows {
  const size = dimensions ?? width;
  const scaled = (numbers: Float64Array | Float32Array): Float32Array =>
    normalize ? toUnitLength(numbers) : Float32Array.from(numbers);
  if (pooling === "mean") {
    const sum = new Float64Array(size);
    let count = 0;
    return {
      wants: () => true,
      push: (state) => {
        for (let i = 0; i < size; i++) sum[i] += state[i];
        count++;
      },
      finish: () => scaled(sum.map((total) => total / count)),
    };
  }
  const vectors: Float32Array[] = [];
  return {
    wants: (token, length) => pooling === "none" || token === length - 1,
    push: (state) => {
      vectors.push(scaled(state.subarray(0, size)));
    },
    finish: () => {
      const all = new Float32Array(vectors.length * size);
      for (const [i, vector] of vectors.entries()) all.set(vector, i * size);
      return all;
    },
  };
}

/** Zeros stay zeros. @throws PronkError "engine_failed" when they are not numbers. */
function toUnitLength(numbers: Float64Array | Float32Array): Float32Array {
  let squares = 0;
  for (let i = 0; i < numbers.length; i++) squares += numbers[i] * numbers[i];
  const length = Math.sqrt(squares);
  if (!Number.isFinite(length)) {
    throw new PronkError("engine_failed", "embeddings: the states are not numbers");
  }
  return Float32Array.from(numbers, (number) => (length > 0 ? number / length : 0));
}
