/** Token counts and times of a request, summed over its choices. */
import type { ModelInfo } from "../engine/engine.ts";
import type { LoadTimings } from "../engine/load-timings.ts";
import type { GenerateResult, Timings } from "../generate/request.ts";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: {
    readonly reasoning_tokens: number;
    /** Of `prediction`, over all choices. */
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
}

/**
 * A prompt with several choices counts once, with what its first choice found in the cache.
 *
 * @param results the choices in order of their index: `n` for each prompt.
 */
export function usageOf(
  prompts: readonly (readonly number[])[],
  results: readonly GenerateResult[],
  n: number,
): Usage {
  const prompt_tokens = sum(prompts.map((ids) => ids.length));
  const completion_tokens = sum(results.map(({ ids }) => ids.length));
  const firsts = results.filter((_, index) => index % n === 0);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: sum(firsts.map(({ timings }) => timings.cached_n)) },
    completion_tokens_details: {
      reasoning_tokens: 0,
      accepted_prediction_tokens: sum(results.map(({ prediction }) => prediction?.accepted ?? 0)),
      rejected_prediction_tokens: sum(results.map(({ prediction }) => prediction?.rejected ?? 0)),
    },
  };
}

/** The engine's timings with llama-server's names and rates; rates are 0 where clocks stand still. */
export interface WireTimings {
  readonly queue_ms: number;
  /** Prompt tokens taken from the cache; also under llama-server's name. */
  readonly cached_n: number;
  readonly cache_n: number;
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_second: number;
  /** Tokens that were proposed and run ahead; and those of them that came. */
  readonly draft_n: number;
  readonly draft_n_accepted: number;
  readonly backend: string;
  readonly kernel: string;
}

/** Sums over choices: with several of them, milliseconds are those of slots, not of the wall. */
export function timingsOf(
  results: readonly GenerateResult[],
  { backend, kernel }: Pick<ModelInfo, "backend" | "kernel">,
): WireTimings {
  const total = (of: (timings: Timings) => number): number =>
    sum(results.map(({ timings }) => of(timings)));
  const prompt_n = total((t) => t.prompt_n);
  const prompt_ms = total((t) => t.prompt_ms);
  const predicted_n = total((t) => t.predicted_n);
  const predicted_ms = total((t) => t.predicted_ms);
  const cached_n = total((t) => t.cached_n);
  return {
    queue_ms: total((t) => t.queue_ms),
    cached_n,
    cache_n: cached_n,
    prompt_n,
    prompt_ms,
    prompt_per_second: perSecond(prompt_n, prompt_ms),
    predicted_n,
    predicted_ms,
    predicted_per_second: perSecond(predicted_n, predicted_ms),
    draft_n: total((t) => t.draft_n),
    draft_n_accepted: total((t) => t.draft_n_accepted),
    backend,
    kernel,
  };
}

/** https://www.w3.org/TR/server-timing/ */
export function serverTiming({ queue_ms, prompt_ms, predicted_ms }: WireTimings): string {
  return [
    timingEntry("queue", queue_ms),
    timingEntry("prefill", prompt_ms),
    timingEntry("decode", predicted_ms),
  ].join(", ");
}

/** Of any answer: until its headers were sent, and of a stream until its first token came. */
export function totalTiming(ms: number, firstTokenMs: number | undefined): string {
  const total = timingEntry("request", ms);
  return firstTokenMs === undefined
    ? total
    : `${timingEntry("first_token", firstTokenMs)}, ${total}`;
}

/** The phases of a load, in the same form: `open;dur=4.2, …, total;dur=140.0`. */
export function loadTiming(loading: LoadTimings): string {
  const phases = Object.entries(loading) as [keyof LoadTimings, number][];
  return phases.map(([name, ms]) => timingEntry(name.replace(/_ms$/, ""), ms)).join(", ");
}

function timingEntry(name: string, ms: number): string {
  return `${name};dur=${ms.toFixed(1)}`;
}

const perSecond = (count: number, ms: number): number => (ms > 0 ? (count * 1000) / ms : 0);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
