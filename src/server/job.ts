/** What the two generating routes have in common once they have read their request. */
import type { Engine } from "../engine/engine.ts";
import type { FinishReason } from "../generate/request.ts";
import type { ServedModel } from "./adapters.ts";
import type { Echo } from "./echo.ts";
import type { LogprobsWriter } from "./logprobs.ts";
import type { Sampling } from "./sampling.ts";
import type { SamplingFields } from "./schemas/sampling.ts";

/** How a route spells its answers: the middle of its choice objects, and the names around them. */
export interface AnswerShape {
  readonly idPrefix: string;
  /** The `object` of a whole answer and of a stream's chunks. */
  readonly object: string;
  readonly chunkObject: string;
  whole(text: string): Record<string, unknown>;
  /** Begins a choice in a stream; undefined when the route has no such chunk. */
  readonly opening: Record<string, unknown> | undefined;
  piece(text: string): Record<string, unknown>;
  /** Goes with the finish reason. */
  readonly closing: Record<string, unknown>;
}

/** Makes more of one choice's text than text: the calls in it. */
export interface OutputReader {
  /** Instead of the shape's. */
  readonly opening: Record<string, unknown>;
  /** What the pieces of text become in chunks; empty while it is not known what they are. */
  push(text: string): readonly Record<string, unknown>[];
  end(): readonly Record<string, unknown>[];
  /** After the end, all of it for a whole answer. */
  whole(): Record<string, unknown>;
  finish(reason: FinishReason): string;
}

/** A request, read and checked. The choice with index `p * n + k` is the k-th of prompt p. */
export interface Job {
  readonly engine: Engine;
  readonly served: ServedModel;
  readonly shape: AnswerShape;
  readonly fields: SamplingFields;
  readonly prompts: readonly (readonly number[])[];
  readonly n: number;
  readonly sampling: Sampling;
  /** What the choices of each prompt begin with. */
  readonly echo?: readonly Echo[] | undefined;
  /** A reader for one choice; undefined where its text is all there is. */
  readonly reader?: ((head: AnswerHead, index: number) => OutputReader) | undefined;
  /** A writer for one choice of that prompt; undefined when no log-probabilities were asked for. */
  readonly logprobs: ((prompt: number) => LogprobsWriter) | undefined;
}

/** What this choice begins with. */
export function echoOf({ echo, n }: Job, index: number): Echo | undefined {
  return echo?.[Math.floor(index / n)];
}

/** For this choice. */
export function writerOf({ logprobs, n }: Job, index: number): LogprobsWriter | undefined {
  return logprobs?.(Math.floor(index / n));
}

/** What every object of one answer begins with. */
export interface AnswerHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

/** For the answer as a whole: the ids of its prompt, when it has one. */
export function sharedPromptIds({ fields, prompts }: Job): {
  prompt_token_ids?: readonly number[];
} {
  const [prompt] = prompts;
  if (fields.return_token_ids !== true || prompts.length !== 1 || prompt === undefined) return {};
  return { prompt_token_ids: prompt };
}

/** For a choice: the ids of its own prompt, when the answer has several. */
export function ownPromptIds(
  { fields, prompts, n }: Job,
  index: number,
): { prompt_token_ids?: readonly number[] } {
  if (fields.return_token_ids !== true || prompts.length === 1) return {};
  return { prompt_token_ids: prompts[Math.floor(index / n)] ?? [] };
}
