/** One request on its way: its tokens, how the next one is chosen, its text and its times. */
import type { Runner } from "../backends/backend.ts";
import type { Candidates } from "../generate/candidates.ts";
import { tokenLogprobs } from "../generate/logprobs.ts";
import { createOutputText, type OutputText } from "../generate/output-text.ts";
import { notNumbers } from "../generate/processors.ts";
import type {
  FinishReason,
  GenerateResult,
  Timings,
  TokenLogprob,
  TokenPart,
} from "../generate/request.ts";
import type { ResolvedRequest } from "../generate/resolve-request.ts";
import { createSampler, type Sampler } from "../generate/sampler.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Outlet } from "./outlet.ts";
import type { Slot } from "./slots.ts";

/**
 * queued: waits for a slot. running: has one. paused: its consumer does not read; it has no slot and
 * goes back to the queue when it is read again. ended: nothing will happen any more.
 */
export type SequenceState = "queued" | "running" | "paused" | "ended";

export interface SequenceContext {
  readonly tokenizer: Tokenizer;
  /** Scratch of the sampler, made when first needed. */
  candidates(): Candidates;
  now(): number;
}

export class Sequence {
  /** Prompt, then output; the first `length` are known. */
  readonly ids: Int32Array;
  length: number;
  state: SequenceState = "queued";
  slot: Slot | undefined;
  /** Turns of the scheduler when somebody last drove it on behalf of this sequence. */
  lastDriven = 0;
  /** Which of its drivers is the present one; older ones stop. */
  driver = 0;
  /** When its consumer last read, or it was paused. */
  lastReadMs = 0;
  /** Takes back what ties it to its caller, such as the listener on an AbortSignal. */
  release: (() => void) | undefined;

  readonly outlet: Outlet;
  /** Order of arrival, which is the order of the queue. */
  readonly arrival: number;
  readonly #request: ResolvedRequest;
  readonly #context: SequenceContext;
  readonly #sampler: Sampler;
  readonly #text: OutputText;
  readonly #texts: string[] = [];
  readonly #logprobs: { logprob: number; top_logprobs: readonly TokenLogprob[] }[] = [];
  readonly #submittedMs: number;
  #startedMs: number | undefined;
  #firstTokenMs: number | undefined;
  #cached = 0;

  constructor(request: ResolvedRequest, context: SequenceContext, outlet: Outlet, arrival: number) {
    const { promptIds, maxTokens } = request;
    this.ids = new Int32Array(promptIds.length + maxTokens);
    this.ids.set(promptIds);
    this.length = promptIds.length;
    this.outlet = outlet;
    this.arrival = arrival;
    this.#request = request;
    this.#context = context;
    this.#sampler = createSampler(request.sampling, promptIds, context.candidates);
    this.#text = createOutputText(context.tokenizer, request.stop);
    this.#submittedMs = context.now();
  }

  /** True for the first slot that it gets, not after a pause; `cached` tokens are in it already. */
  start(cached: number): boolean {
    if (this.#startedMs !== undefined) return false;
    this.#startedMs = this.#context.now();
    this.#cached = cached;
    return true;
  }

  /**
   * Chooses the next token from the runner's logits number `index` and appends it. The part has a
   * finish_reason when it is the last.
   *
   * @throws PronkError "engine_failed" when the logits are not numbers.
   */
  step(runner: Runner, index: number): TokenPart {
    const { promptIds, maxTokens, stopIds, topLogprobs } = this.#request;
    const generated = this.length - promptIds.length;
    const token = this.#sampler.greedy
      ? runner.argmax(index)
      : this.#sampler.sample(runner.logits(index), generated);
    // What an arg max over NaN gives is the backend's affair.
    if (!(token >= 0 && token < runner.vocab)) throw notNumbers();
    const logprobs =
      topLogprobs === undefined
        ? undefined
        : tokenLogprobs(runner.logits(index), token, topLogprobs);
    this.#firstTokenMs ??= this.#context.now();
    this.#sampler.accept(token);
    this.ids[this.length++] = token;

    let text = stopIds.has(token) ? "" : this.#text.push(token);
    let finish: FinishReason | undefined;
    if (stopIds.has(token) || this.#text.stopped) finish = "stop";
    else if (generated + 1 === maxTokens) finish = "length";
    if (finish !== undefined) text += this.#text.flush();
    this.#texts.push(text);
    if (logprobs !== undefined) this.#logprobs.push(logprobs);
    return {
      token,
      text,
      ...logprobs,
      ...(finish === undefined ? undefined : { finish_reason: finish }),
    };
  }

  /** What it has produced so far. */
  result(finishReason: FinishReason): GenerateResult {
    const { promptIds, sampling, topLogprobs } = this.#request;
    return {
      ids: [...this.ids.subarray(promptIds.length, this.length)],
      text: this.#texts.join(""),
      finish_reason: finishReason,
      timings: this.#timings(),
      seed: sampling.seed,
      ...(topLogprobs === undefined ? undefined : { logprobs: this.#logprobs }),
    };
  }

  #timings(): Timings {
    const end = this.#context.now();
    const started = this.#startedMs ?? end;
    const first = this.#firstTokenMs ?? end;
    const promptTokens = this.#request.promptIds.length;
    return {
      queue_ms: started - this.#submittedMs,
      prompt_n: promptTokens,
      prompt_ms: first - started,
      predicted_n: this.length - promptTokens,
      predicted_ms: end - first,
      cached_n: this.#cached,
    };
  }
}
