/**
 * Checks a request before it costs anything and fills in its defaults. Bounds are OpenAI's where it
 * has them; every refusal names its field in `param`.
 */
import { PronkError } from "../errors.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import { MAX_TOP_LOGPROBS } from "./logprobs.ts";
import type { GenerateRequest } from "./request.ts";
import type { SeededSampling } from "./sampler.ts";

/** Stop texts at most. OpenAI takes 4; each costs a step per character of output. */
export const MAX_STOPS = 16;

/**
 * Bounds of repetition_penalty: outside, logits of ordinary size leave what a softmax can tell apart,
 * and at the far end f32.
 */
export const REPETITION_PENALTY_RANGE: readonly [number, number] = [0.01, 100];

const TWO_TO_63 = 0x8000000000000000;

export interface RequestLimits {
  readonly vocab: number;
  readonly ctx: number;
  /** The output may go beyond the context. */
  readonly contextShift: boolean;
  readonly bosId: number | undefined;
  /** When the request names no stop_ids. */
  readonly eogIds: readonly number[];
  /** When the request names no seed. An integer. */
  randomSeed(): number;
}

/** A request in its bounds, with nothing left to decide; shares no array with the caller's. */
export interface ResolvedRequest {
  readonly promptIds: Int32Array;
  /** Tokens at most; 0: nothing is to be run. */
  readonly maxTokens: number;
  /** Tokens that a context shift keeps. */
  readonly keep: number;
  readonly predictionIds: Int32Array | undefined;
  /** Tokens that the output begins with. */
  readonly outputIds: Int32Array | undefined;
  readonly maxTimeMs: number | undefined;
  readonly stop: readonly string[];
  /** Empty under ignore_eos. */
  readonly stopIds: ReadonlySet<number>;
  readonly grammar: GrammarSpec | undefined;
  /** undefined: no log-probabilities. */
  readonly topLogprobs: number | undefined;
  readonly sampling: SeededSampling;
}

/** @throws PronkError "bad_request" with `param`; "context_overflow" when the prompt does not fit. */
export function resolveRequest(request: GenerateRequest, limits: RequestLimits): ResolvedRequest {
  const { vocab, ctx } = limits;
  const { prompt_ids: prompt, max_tokens: maxTokens } = request;
  if (!Array.isArray(prompt) && !ArrayBuffer.isView(prompt)) {
    throw bad("prompt_ids", "not a list of ids");
  }
  if (prompt.length === 0) throw bad("prompt_ids", "empty");
  // Before the ids are read: an endless prompt costs nothing.
  if (prompt.length > ctx) {
    throw new PronkError(
      "context_overflow",
      `prompt_ids: ${prompt.length} tokens do not fit the context of ${ctx}`,
      { param: "prompt_ids" },
    );
  }
  for (let i = 0; i < prompt.length; i++)
    checkId(prompt[i], vocab, `prompt_ids[${i}]`, "prompt_ids");
  checkInteger(maxTokens, "max_tokens", 0, Number.MAX_SAFE_INTEGER);
  checkNumber(request.temperature, "temperature", 0, 2);
  checkInteger(request.top_k, "top_k", 0, Number.MAX_SAFE_INTEGER);
  checkNumber(request.top_p, "top_p", 0, 1);
  checkNumber(request.min_p, "min_p", 0, 1);
  checkNumber(request.typical_p, "typical_p", 0, 1);
  checkNumber(request.repetition_penalty, "repetition_penalty", ...REPETITION_PENALTY_RANGE);
  checkNumber(request.frequency_penalty, "frequency_penalty", -2, 2);
  checkNumber(request.presence_penalty, "presence_penalty", -2, 2);
  checkInteger(request.top_logprobs, "top_logprobs", 0, MAX_TOP_LOGPROBS);
  checkNumber(request.max_time_ms, "max_time_ms", 0, Number.MAX_SAFE_INTEGER);
  checkInteger(request.n_keep, "n_keep", 0, Number.MAX_SAFE_INTEGER);
  // An int64; beyond 2^53 a number is a multiple of a power of two, and still that integer.
  checkInteger(request.seed, "seed", -TWO_TO_63, TWO_TO_63);

  return {
    promptIds: Int32Array.from(prompt),
    maxTokens: resolveMaxTokens(maxTokens, ctx - prompt.length, limits),
    keep: Math.min(request.n_keep ?? (prompt[0] === limits.bosId ? 1 : 0), prompt.length, ctx >> 1),
    predictionIds: resolveIds(request.prediction_ids, vocab, "prediction_ids"),
    outputIds: resolveIds(request.output_ids, vocab, "output_ids"),
    maxTimeMs: request.max_time_ms,
    stop: resolveStop(request.stop),
    stopIds: resolveStopIds(request, limits),
    grammar: request.grammar,
    topLogprobs: request.top_logprobs,
    sampling: {
      temperature: request.temperature,
      top_k: request.top_k,
      top_p: request.top_p,
      min_p: request.min_p,
      typical_p: request.typical_p,
      repetition_penalty: request.repetition_penalty,
      frequency_penalty: request.frequency_penalty,
      presence_penalty: request.presence_penalty,
      logit_bias: resolveBias(request.logit_bias, vocab),
      seed: request.seed ?? limits.randomSeed(),
    },
  };
}

/** @param room positions behind the prompt. */
function resolveMaxTokens(
  asked: number | undefined,
  room: number,
  { contextShift }: RequestLimits,
): number {
  if (asked === undefined) return room;
  return contextShift ? asked : Math.min(asked, room);
}

function resolveIds(
  ids: readonly number[] | undefined,
  vocab: number,
  param: string,
): Int32Array | undefined {
  if (ids === undefined || ids.length === 0) return undefined;
  if (!Array.isArray(ids) && !ArrayBuffer.isView(ids)) throw bad(param, "not a list of ids");
  ids.forEach((id, i) => {
    checkId(id, vocab, `${param}[${i}]`, param);
  });
  return Int32Array.from(ids);
}

function resolveStop(stop: readonly string[] | undefined): readonly string[] {
  if (stop === undefined) return [];
  if (!Array.isArray(stop)) throw bad("stop", "not a list of texts");
  if (stop.length > MAX_STOPS) throw bad("stop", `${stop.length} texts, ${MAX_STOPS} at most`);
  stop.forEach((text: unknown, i) => {
    if (typeof text !== "string") throw bad("stop", `stop[${i}] is not a text`);
    if (text === "") throw bad("stop", `stop[${i}] is empty`);
  });
  return [...new Set(stop)];
}

function resolveStopIds(request: GenerateRequest, { vocab, eogIds }: RequestLimits): Set<number> {
  const ids = request.stop_ids;
  if (ids !== undefined && !Array.isArray(ids)) throw bad("stop_ids", "not a list of ids");
  ids?.forEach((id, i) => {
    checkId(id, vocab, `stop_ids[${i}]`, "stop_ids");
  });
  return new Set(request.ignore_eos === true ? [] : (ids ?? eogIds));
}

function resolveBias(
  bias: ReadonlyMap<number, number> | undefined,
  vocab: number,
): ReadonlyMap<number, number> | undefined {
  if (bias === undefined) return undefined;
  if (!(bias instanceof Map)) throw bad("logit_bias", "not a map of ids to numbers");
  for (const [id, value] of bias) {
    checkId(id, vocab, `logit_bias: ${id}`, "logit_bias");
    checkNumber(value, "logit_bias", -100, 100);
  }
  return new Map(bias);
}

function checkNumber(value: number | undefined, param: string, least: number, most: number): void {
  if (value === undefined) return;
  // NaN is in no range.
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw bad(param, `${value} is not a number from ${least} to ${most}`);
  }
}

function checkInteger(value: number | undefined, param: string, least: number, most: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw bad(param, `${value} is not an integer from ${least} to ${most}`);
  }
}

function checkId(id: number, vocab: number, where: string, param: string): void {
  if (!Number.isInteger(id) || id < 0 || id >= vocab) {
    throw new PronkError("bad_request", `${where}: ${id} is not an id of the ${vocab} tokens`, {
      param,
    });
  }
}

function bad(param: string, found: string): PronkError {
  return new PronkError("bad_request", `${param}: ${found}`, { param });
}
