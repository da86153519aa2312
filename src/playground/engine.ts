/**
 * What the page talks to: a server's HTTP API, or the engine in this page's own Web Worker. Both take the
 * same requests and give the same parts, so that nothing above this file knows which one it has.
 */
import type { AttentionGrid } from "../llama/attention-mask-visualizer.ts";
import type { LlmPart, LlmRequest } from "../server/llm.ts";
import type { TokenPiece } from "../tokenizers/token-pieces.ts";

export type { AttentionGrid } from "../llama/attention-mask-visualizer.ts";
export type { LlmAnswer, LlmPart, LlmRequest } from "../server/llm.ts";
export type { TokenPiece } from "../tokenizers/token-pieces.ts";

/** What is known of the engine; what it cannot know is absent. Shown as it stands. */
export interface EngineFacts {
  readonly model: string;
  /** Names that a request may give as its `model` beside the model's own. */
  readonly adapters: readonly string[];
  /** Tokens of prompt and answer together. */
  readonly ctx: number;
  /** `wasm`, `webgpu` or `reference`. */
  readonly backend: string;
  readonly backendReason?: string | undefined;
  readonly kernel: string;
  readonly kernelReason?: string | undefined;
  readonly threads?: number | undefined;
  readonly threadsReason?: string | undefined;
  /** Bytes of weights, cache and the rest; of what the model takes, not of the page. */
  readonly memory?: { readonly weights: number; readonly kv: number; readonly total: number };
  /** Where it runs, for people: `127.0.0.1:8787`, `this tab`. */
  readonly place: string;
}

/** Every method throws PronkError, with the codes and messages of the HTTP API. */
export interface PlaygroundEngine {
  readonly kind: "server" | "tab";
  facts(): Promise<EngineFacts>;
  /** The last part has `answer`. Left early, or aborted, it stops the model within a token. */
  chat(request: LlmRequest, signal: AbortSignal): AsyncIterable<LlmPart>;
  /** Special tokens that the text spells out are those tokens; BOS as the tokenizer adds it. */
  tokenize(text: string): Promise<readonly TokenPiece[]>;
  /** Which token of the text attends to which, without special ones; at most 1,024 tokens. */
  attentionMask(text: string): Promise<AttentionGrid>;
  dispose(): Promise<void>;
}
