/** One model, many callers. */

import type { MemoryUse, ThreadUse } from "../backends/backend.ts";
import type { PronkError } from "../errors.ts";
import type { Perplexity } from "../generate/perplexity.ts";
import type {
  AdapterChoice,
  GenerateRequest,
  GenerateResult,
  TokenPart,
} from "../generate/request.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import type { ChatTemplate } from "../templates/chat-template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { AdapterInfo } from "./adapter-set.ts";
import type { EmbedOptions } from "./embed.ts";
import type { AdapterSource } from "./load-adapters.ts";
import type { LoadTimings } from "./load-timings.ts";
import type { PromptLogprobs } from "./prompt-logprobs.ts";
import type { ContinuationRequest, ContinuationScore } from "./score-continuations.ts";
import type { SnapshotInfo } from "./snapshots.ts";
import type { WorkBudget } from "./work-budget.ts";

/** What the entries know of a loaded model. */
export interface ModelInfo {
  /** `smollm2-135m-instruct`. */
  readonly id: string;
  /** Unix seconds of the moment it was ready; from the injected clock. */
  readonly created: number;
  readonly backend: string;
  /** Why this backend, for people: `wasm: this runtime has no WebGPU`. Absent where it was named. */
  readonly backendReason?: string | undefined;
  readonly kernel: string;
  /** Why these kernels, for people: `dot: fastest here (GOP/s: …)`. Absent where there is no choice. */
  readonly kernelReason?: string | undefined;
  /** That run a batch at most; stats() says how many do now. */
  readonly threads: number;
  /** Why they are fewer than asked for, where they are. */
  readonly threadsReason?: string | undefined;
  /** What its configuration asks for and does not get, for people; absent where there is nothing. */
  readonly notes?: readonly string[] | undefined;
  readonly ctx: number;
  readonly slots: number;
  readonly vocab: number;
  /** Of a model with a classification head: how many scores it gives a text. It generates none. */
  readonly labels?: number;
  /** Memories that it is divided among, where it is. */
  readonly stages?: number;
  readonly memory: MemoryUse;
  /** hash(manifest, kernel version, sampler version): same fingerprint, same output. */
  readonly fingerprint: string;
  /** How long each part of loading took; absent when it was not loaded by loadModel(). */
  readonly loading?: LoadTimings | undefined;
}

export interface EngineStats {
  readonly slots: number;
  /** Slots in use. */
  readonly busy: number;
  /** Requests that wait for a slot. */
  readonly queued: number;
  /** Taken so far, refused ones not counted. */
  readonly requests: number;
  readonly prompt_tokens: number;
  /** Of those, taken from the cache. */
  readonly cached_tokens: number;
  readonly generated_tokens: number;
  /** Where the model was loaded for several threads. */
  readonly threads?: ThreadUse;
  /** Tokens that were proposed and run ahead; and those of them that came. */
  readonly draft_tokens: number;
  readonly accepted_draft_tokens: number;
  /** Of the adapters that are loaded, beside the model's `info.memory`. */
  readonly adapter_bytes: number;
  /** Times that a full context was cut to go on. */
  readonly context_shifts: number;
}

/**
 * A running generation: iterate it for tokens; `result` settles when it ends.
 *
 * It runs ahead of a reader by at most RUN_AHEAD_PARTS, then gives its slot away until it is read
 * again, with the same outcome; "aborted" when nobody reads for PAUSED_LEASE_MS. Without an iterator
 * it runs to its end. All iterators are one and the same.
 */
export interface Generation extends AsyncIterable<TokenPart> {
  /** Rejects with the error that iteration throws. */
  readonly result: Promise<GenerateResult>;
}

/** What every call that computes takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** What may be computed for the request that this is a part of: generations end, others fail. */
  readonly work?: WorkBudget | undefined;
  /** Whose it is: callers share slots and queue evenly. Default: all are one. */
  readonly caller?: string | undefined;
  /**
   * "overloaded" at once where a slot would not be free for it in so many milliseconds, by what answers took lately;
   * four a slot may wait in any case. Default: it waits as long as it takes.
   */
  readonly maxWaitMs?: number | undefined;
  /** It belongs to a request that was let in already: never "overloaded". */
  readonly isPart?: boolean | undefined;
  /**
   * Whose prefixes it reads and leaves: a prompt is gone on from only by calls of an equal salt, a text that is not
   * empty. Loaded snapshots are everybody's. Default: those of all calls without one.
   */
  readonly cacheSalt?: string | undefined;
}

export interface Engine {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  /** Whether a generation goes on when the context is full. */
  readonly contextShift: boolean;
  /** undefined when the model has no chat template. */
  readonly template: ChatTemplate | undefined;
  /**
   * Why nothing can be run any more: it was disposed, or a kernel trapped. The model has to be loaded anew. Absent of
   * engines that are elsewhere.
   */
  readonly failure?: PronkError | undefined;
  /**
   * Starts at once or queues. Stops within one token when the signal fires or the iterator is
   * returned, and frees its slot.
   *
   * @throws PronkError, from iteration and result: "bad_request"; "context_overflow" when the
   *   prompt does not fit; "overloaded" when the queue is full; "aborted"; "engine_failed".
   */
  stream(request: GenerateRequest, options?: CallOptions): Generation;
  /** `stream(...).result`, drained. */
  generate(request: GenerateRequest, options?: CallOptions): Promise<GenerateResult>;
  /**
   * How likely continuations are, by prompts of text or ids, in the order of the requests. Those of one
   * prompt, one after the other, read it once. Takes one slot, as soon as one is free.
   *
   * @param options.adapters as a generation's.
   * @throws PronkError "bad_request" on a continuation without tokens; "not_found" for an adapter;
   *   "context_overflow"; "overloaded"; "aborted"; "engine_failed".
   */
  scoreContinuations(
    requests: readonly ContinuationRequest[],
    options?: CallOptions & { adapters?: readonly AdapterChoice[] },
  ): Promise<ContinuationScore[]>;
  /**
   * The log-probability of each token of prompts, with the likeliest beside it: what generations with `top_logprobs`
   * report, to the last bit. Takes one slot, as soon as one is free; a generation behind the last of the prompts
   * finds it in the cache.
   *
   * @throws PronkError as scoreContinuations.
   */
  promptLogprobs(
    prompts: readonly (readonly number[])[],
    options?: CallOptions & {
      /** Alternatives, 0 to 20; default 0. */
      top_logprobs?: number;
      adapters?: readonly AdapterChoice[];
    },
  ): Promise<PromptLogprobs[]>;
  /**
   * A classification head's outputs for texts given as ids, in their order: one a label, from the last token.
   *
   * @throws PronkError as embed; "unsupported" for a model without such a head.
   */
  classify(
    texts: readonly (readonly number[])[],
    options?: CallOptions & { adapters?: readonly AdapterChoice[] },
  ): Promise<Float32Array[]>;
  /**
   * How well the model predicts a text, as `pronk eval` tells it: over consecutive windows, each read anew.
   *
   * @throws PronkError as scoreContinuations; "bad_request" on a text of one token.
   */
  perplexity(
    ids: readonly number[],
    options?: CallOptions & {
      /** Tokens of a window; default 512, or the context. */
      window?: number;
      adapters?: readonly AdapterChoice[];
    },
  ): Promise<Perplexity>;
  /**
   * Vectors of texts or ids, in their order: the mean of the last layer's normalised states, of length 1. A text has the
   * same bits whatever else is computed. Texts are encoded as prompts are, BOS included where the tokenizer adds it.
   *
   * @throws PronkError "bad_request"; "context_overflow" for a text longer than the context; "not_found" for an adapter;
   *   "overloaded"; "aborted"; "engine_failed".
   */
  embed(
    texts: readonly (string | readonly number[])[],
    options?: EmbedOptions & CallOptions & { adapters?: readonly AdapterChoice[] },
  ): Promise<Float32Array[]>;
  /** Those that are loaded, in the order of their loading. */
  readonly adapters: readonly AdapterInfo[];
  /**
   * Loads a LoRA adapter beside the model; no request has it unless it says so, or setAdapters() does.
   *
   * @param options.scale what its name stands for in requests that say no other; default 1.
   * @param options.replace takes the place of an adapter of this name, which ends as by unloadAdapter().
   * @throws PronkError, with nothing changed: "bad_request" on a name that is taken; "not_found";
   *   "bad_format", "unsupported" on an adapter that is damaged or not of this model; "out_of_memory";
   *   "source_failed"; "aborted".
   */
  loadAdapter(
    name: string,
    source: AdapterSource,
    options?: { scale?: number; replace?: boolean; signal?: AbortSignal },
  ): Promise<AdapterInfo>;
  /**
   * Takes an adapter's name away at once, and frees it when the last request that began with it has
   * ended; settles then.
   *
   * @throws PronkError "not_found"
   */
  unloadAdapter(name: string): Promise<void>;
  /**
   * What requests from now on get that name no adapters; those that are not listed take no part. []: the
   * model alone.
   *
   * @throws PronkError "not_found"; "bad_request".
   */
  setAdapters(choices: readonly AdapterChoice[]): void;
  /**
   * The keys and values of a text's tokens as bytes, to be kept in storage: computed in one slot, as soon
   * as one is free. They hold the tokens, too.
   *
   * @throws PronkError "bad_request"; "context_overflow"; "unsupported" for a model whose keys depend on how
   *   a text was cut (dynamic or longrope scaling); "overloaded"; "aborted"; "engine_failed".
   */
  saveSnapshot(
    request: Pick<GenerateRequest, "prompt_ids" | "adapters">,
    options?: Pick<CallOptions, "signal" | "cacheSalt">,
  ): Promise<Uint8Array>;
  /**
   * Keeps a snapshot in memory: prompts that begin with its tokens, by the same adapters, go on from it, to
   * the same output as without. They count as cached tokens. The bytes are the engine's from then on. One of this model
   * that another backend made is read again from its tokens, in a slot.
   *
   * @throws PronkError "bad_format", "unsupported", "corrupt" on bytes that are no snapshot, of another
   *   version or changed; "bad_request" when model, cache type or adapters are others; "out_of_memory" beyond
   *   `snapshotBytes`.
   */
  loadSnapshot(bytes: Uint8Array): Promise<SnapshotInfo>;
  /** @throws PronkError "not_found" */
  unloadSnapshot(id: string): void;
  /** Those that are loaded. */
  readonly snapshots: readonly SnapshotInfo[];
  /**
   * Compiles what a request's output would have to be; it is kept for the request.
   *
   * @throws PronkError "bad_request", "unsupported": what is wrong with it, by name.
   */
  checkGrammar(grammar: GrammarSpec): void;
  /**
   * Spares the work before a call that would be refused. Absent where that is known elsewhere (remote engines).
   *
   * @throws PronkError "overloaded" where one more such call would be now.
   */
  checkRoom?(call?: CallOptions): void;
  stats(): EngineStats;
  /** Ends every generation with "engine_failed" and frees the memory. */
  dispose(): Promise<void>;
}
