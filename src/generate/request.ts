/** One generation: what is asked, and what comes back token by token. */
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";

export interface SamplingOptions {
  /** 0 is greedy. Default 1. */
  readonly temperature?: number;
  /** 0 or absent: off. */
  readonly top_k?: number;
  /** 1 or absent: off. */
  readonly top_p?: number;
  /** 0 or absent: off. */
  readonly min_p?: number;
  /** 1 or absent: off. */
  readonly typical_p?: number;
  /** 1 or absent: off. Hugging Face's formula, over prompt and output. */
  readonly repetition_penalty?: number;
  /** OpenAI's formula, over the output only. */
  readonly frequency_penalty?: number;
  readonly presence_penalty?: number;
  /** Added to the logits of these ids. */
  readonly logit_bias?: ReadonlyMap<number, number>;
  /** Same seed, same tokens, on every runtime; on another backend others. Absent: a random one, reported back. */
  readonly seed?: number;
}

/** An adapter by its name, for a request. */
export interface AdapterChoice {
  readonly name: string;
  /** What its delta is multiplied by; 0: it takes no part. Default: the scale it was loaded with. */
  readonly scale?: number;
}

export interface GenerateRequest extends SamplingOptions {
  readonly prompt_ids: readonly number[];
  /** Default: the rest of the context, which it cannot exceed unless the engine shifts it. */
  readonly max_tokens?: number;
  /** Texts that end the output and are not part of it; found across token borders. */
  readonly stop?: readonly string[];
  /** Ids that end the output. Default: the tokenizer's eogIds. */
  readonly stop_ids?: readonly number[];
  /** Do not stop at stop_ids. */
  readonly ignore_eos?: boolean;
  /** Also report log-probabilities, with this many alternatives (0 to 20). */
  readonly top_logprobs?: number;
  /**
   * What the output is expected to be, from its first token on. Only its speed depends on it, where
   * the engine speculates.
   */
  readonly prediction_ids?: readonly number[];
  /**
   * Tokens at the start of the prompt that a context shift keeps; half of the context at most.
   * Default: BOS, where the prompt begins with it.
   */
  readonly n_keep?: number;
  /**
   * Tokens that the output begins with, as an earlier run of this request by this seed gave them: they are
   * read as a prompt is, and come as parts again. What follows is what followed there. With
   * log-probabilities, and on models whose keys depend on how a text was cut, they are generated again.
   */
  readonly output_ids?: readonly number[];
  /**
   * Milliseconds from the submission until the output ends with "length" and `timed_out`, between two batches.
   * Where clocks stand still batches count as long as their rows usually take (EngineOptions.stepMs).
   */
  readonly max_time_ms?: number;
  /** What the output has to be. It ends with "stop" when it is complete, and with "length" before. */
  readonly grammar?: GrammarSpec;
  /** Whose deltas are added to the model's weights. Default: the engine's; []: none. */
  readonly adapters?: readonly AdapterChoice[];
}

export type FinishReason = "stop" | "length";

export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** One generated token. */
export interface TokenPart {
  readonly token: number;
  /** Text that became certain with this token: "" while a code point or a stop text may go on. */
  readonly text: string;
  readonly logprob?: number;
  /** Most likely first; the chosen token is always among them. */
  readonly top_logprobs?: readonly TokenLogprob[];
  /** On the last part only. */
  readonly finish_reason?: FinishReason;
}

/** Milliseconds by the injected clock; zeros where clocks stand still. */
export interface Timings {
  readonly queue_ms: number;
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  /** Prompt tokens taken from the cache. */
  readonly cached_n: number;
  /** Tokens that were proposed and run ahead; and those of them that came. */
  readonly draft_n: number;
  readonly draft_n_accepted: number;
}

/** What came of `prediction_ids`. */
export interface PredictionUse {
  /** Tokens that came where they were predicted. */
  readonly accepted: number;
  /** The others. */
  readonly rejected: number;
}

export interface GenerateResult {
  readonly ids: number[];
  readonly text: string;
  readonly finish_reason: FinishReason;
  /** The text of the request's `stop` that ended it. */
  readonly stop?: string;
  /** `max_time_ms` ended it, before its end. */
  readonly timed_out?: true;
  readonly timings: Timings;
  readonly seed: number;
  readonly logprobs?: { logprob: number; top_logprobs: readonly TokenLogprob[] }[];
  /** When there was a prediction. */
  readonly prediction?: PredictionUse;
}
