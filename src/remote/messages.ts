/**
 * What is said on a channel. Its first message asks: for a description, a generation, or one of the engine's other
 * methods; then come parts, progress of loading, and one end: a value, a result or an error. The asker tells how many
 * parts were read, which lets more come, and that it is still there; closing the channel stops what was asked for.
 */
import type { AdapterInfo } from "../engine/adapter-set.ts";
import type { CallOptions, EngineStats, ModelInfo } from "../engine/engine.ts";
import type { SnapshotInfo } from "../engine/snapshots.ts";
import { type ErrorCode, PronkError } from "../errors.ts";
import type { GenerateRequest, GenerateResult, TokenPart } from "../generate/request.ts";

/** Parts that may be on their way to a reader: as many as an engine runs ahead by halves. */
export const WINDOW_PARTS = 32;

/** A message of the reader for so many parts: each gives a Durable Object its whole CPU time again. */
export const ACK_PARTS = 8;

/** How often the asker says that it is there. An answer comes between two batches. */
export const PING_MS = 5000;

/** Without any message for so long the other side is gone. Longer than any batch, and than storage stalls. */
export const SILENCE_MS = 30_000;

/** What of an engine its users look at without waiting. */
export interface EngineDescription {
  readonly info: ModelInfo;
  readonly contextShift: boolean;
  readonly adapters: readonly AdapterInfo[];
  readonly snapshots: readonly SnapshotInfo[];
  readonly stats: EngineStats;
}

/** The engine's methods that take and give what JSON can hold, or vectors, or bytes. */
export const CALLS = [
  "scoreContinuations",
  "promptLogprobs",
  "classify",
  "perplexity",
  "embed",
  "saveSnapshot",
] as const;
export type CallName = (typeof CALLS)[number];

export type Asked =
  | { readonly ask: "describe" }
  | {
      readonly ask: "stream";
      readonly request: WireRequest;
      readonly fingerprint: string;
      /** Absent from fronts that do not know it. */
      readonly call?: WireCall;
    }
  | {
      readonly ask: CallName;
      readonly args: readonly unknown[];
      readonly fingerprint: string;
    };

/** Whose it is, how long it may wait, and whose prefixes it shares. */
export type WireCall = Pick<CallOptions, "caller" | "maxWaitMs" | "isPart" | "cacheSalt">;

/** What the asker says after that. */
export type Heard = { readonly read: number } | { readonly ping: true };

export type Told =
  | { readonly description: EngineDescription }
  | { readonly part: TokenPart }
  | { readonly result: GenerateResult; readonly stats: EngineStats }
  /** Vectors: their lengths, and f32 beside them. */
  | { readonly vectors: readonly number[]; readonly stats: EngineStats }
  /** The bytes beside it. */
  | { readonly bytes: true; readonly stats: EngineStats }
  | { readonly value: unknown; readonly stats: EngineStats }
  | { readonly error: WireError }
  | { readonly loading: number }
  | { readonly pong: true };

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly retryAfterMs?: number;
  /** Another model is there than the one that was described. */
  readonly changed?: true;
}

/** A request as JSON holds it. */
export type WireRequest = Omit<GenerateRequest, "logit_bias"> & {
  readonly logit_bias?: readonly (readonly [number, number])[];
};

export function toWireRequest(request: GenerateRequest): WireRequest {
  const { logit_bias, prompt_ids, prediction_ids, output_ids, ...rest } = request;
  return {
    ...rest,
    // Typed arrays, too.
    prompt_ids: Array.from(prompt_ids),
    ...(prediction_ids && { prediction_ids: Array.from(prediction_ids) }),
    ...(output_ids && { output_ids: Array.from(output_ids) }),
    ...(logit_bias && { logit_bias: [...logit_bias] }),
  };
}

/** What is wrong with it is the engine's to say. */
export function fromWireRequest({ logit_bias, ...rest }: WireRequest): GenerateRequest {
  return { ...rest, ...(logit_bias && { logit_bias: new Map(logit_bias) }) };
}

/** JSON has no infinities; a log-probability can be one. */
export function fromWirePart(part: TokenPart): TokenPart {
  if (part.top_logprobs === undefined) return part;
  return {
    ...part,
    logprob: part.logprob ?? Number.NEGATIVE_INFINITY,
    top_logprobs: part.top_logprobs.map(finiteOrNot),
  };
}

/** The same for a result. */
export function fromWireResult(result: GenerateResult): GenerateResult {
  if (result.logprobs === undefined) return result;
  const logprobs = result.logprobs.map(({ logprob, top_logprobs }) => ({
    logprob: logprob ?? Number.NEGATIVE_INFINITY,
    top_logprobs: top_logprobs.map(finiteOrNot),
  }));
  return { ...result, logprobs };
}

function finiteOrNot<T extends { readonly logprob: number }>(one: T): T {
  return { ...one, logprob: one.logprob ?? Number.NEGATIVE_INFINITY };
}

/** Of what is no PronkError nothing is told: it is a bug, and stays in its log. */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof PronkError)) {
    return { code: "engine_failed", message: "remote engine: internal error" };
  }
  const { code, message, param, retryAfterMs } = error;
  return {
    code,
    message,
    ...(param !== undefined && { param }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** A full queue is the server's state, not this client's doing: another moment, or another engine, will do. */
export function fromWireError({ code, message, ...options }: WireError): PronkError {
  return new PronkError(code === "overloaded" ? "unavailable" : code, message, options);
}
