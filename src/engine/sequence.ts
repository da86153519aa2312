/** One request on its way: its tokens, how the next one is chosen, its text and its times. */
import type { RowChoice, Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import type { Candidates } from "../generate/candidates.ts";
import type { Constraint } from "../generate/constraint.ts";
import { tokenLogprobs } from "../generate/logprobs.ts";
import { createOutputText, type OutputText } from "../generate/output-text.ts";
import { notNumbers } from "../generate/processors.ts";
import { PromptLookup } from "../generate/prompt-lookup.ts";
import type {
  FinishReason,
  GenerateResult,
  Timings,
  TokenLogprob,
  TokenPart,
} from "../generate/request.ts";
import type { ResolvedRequest } from "../generate/resolve-request.ts";
import { createSampler, type Sampler } from "../generate/sampler.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { AdapterMix } from "./adapter-mix.ts";
import type { Patience } from "./admission.ts";
import type { CallOptions } from "./engine.ts";
import type { Outlet } from "./outlet.ts";
import { commonPrefix, type Slot } from "./slots.ts";
import { SpeculationRecord } from "./speculation-record.ts";
import { patienceOf, type Waiter } from "./waiting-line.ts";
import type { WorkBudget } from "./work-budget.ts";

/**
 * queued: waits for a slot. running: has one. paused: its consumer does not read; it has no slot and
 * goes back to the queue when it is read again. ended: nothing will happen any more.
 */
export type SequenceState = "queued" | "running" | "paused" | "ended";

export interface SequenceContext {
  readonly tokenizer: Tokenizer;
  /** Positions of a slot. */
  readonly ctx: number;
  /** Whether sequences look up what may come next. */
  readonly lookup: boolean;
  /** @throws PronkError for a grammar that is wrong or not supported. */
  constrain(grammar: GrammarSpec, endIds: Iterable<number>): Constraint;
  /** Scratch of the sampler, made when first needed. */
  candidates(): Candidates;
  now(): number;
  /** Milliseconds that count for max_time_ms: the clock's, and the usual ones of batches where it stands still. */
  spent(): number;
  /** Whether the output's first tokens may be read instead of being generated again (Runner.isCutDependent). */
  readonly replays: boolean;
}

/** Tokens at most that are chosen from all logits before the largest are asked for again. */
const LONGEST_DOUBT = 64;

export class Sequence {
  /** The context: prompt, then output, less what was cut out of it; the first `length` are known. */
  readonly ids: Int32Array;
  length: number;
  /** Times that the context was full and was cut. */
  shifts = 0;
  /** What may come next, by what came before; undefined where nobody asks. */
  lookup: PromptLookup | undefined;
  readonly record: SpeculationRecord = new SpeculationRecord();
  /** Times that its cache was lost under it. */
  losses = 0;
  /** Tokens that were proposed and run ahead, and those of them that came. */
  proposed = 0;
  accepted = 0;
  state: SequenceState = "queued";
  slot: Slot | undefined;
  /** Turns of the scheduler when somebody last drove it on behalf of this sequence. */
  lastDriven = 0;
  /** Which of its drivers is the present one; older ones stop. */
  driver = 0;
  /** When its consumer last read, or it was paused. */
  lastReadMs = 0;
  /** Takes back what ties it to others: the listener on an AbortSignal, the use of adapters. */
  release: (() => void) | undefined;

  readonly outlet: Outlet;
  /** Order of arrival, which is the order of the queue. */
  readonly arrival: number;
  readonly adapters: AdapterMix;
  /** What may be computed for the request that it is of. */
  readonly work: WorkBudget | undefined;
  readonly patience: Patience;
  /** In the line for a slot; undefined: not there. */
  waiter: Waiter | undefined;
  /** When it got its slot. */
  slotMs = 0;
  readonly #request: ResolvedRequest;
  readonly #context: SequenceContext;
  readonly #sampler: Sampler;
  readonly #constraint: Constraint | undefined;
  readonly #text: OutputText;
  readonly #output: number[] = [];
  readonly #texts: string[] = [];
  readonly #logprobs: { logprob: number; top_logprobs: readonly TokenLogprob[] }[] = [];
  readonly #submittedMs: number;
  readonly #submittedSpent: number;
  #startedMs: number | undefined;
  #firstTokenMs: number | undefined;
  #cached = 0;
  /** Tokens that are to be chosen from all logits, because the largest did not tell one; and how many the next time. */
  #doubted = 0;
  #nextDoubt = 1;

  constructor(
    request: ResolvedRequest,
    context: SequenceContext,
    outlet: Outlet,
    arrival: number,
    adapters: AdapterMix,
    call: CallOptions = {},
  ) {
    const { promptIds, maxTokens } = request;
    this.ids = new Int32Array(Math.min(context.ctx, promptIds.length + maxTokens));
    this.ids.set(promptIds);
    this.length = promptIds.length;
    this.outlet = outlet;
    this.arrival = arrival;
    this.adapters = adapters;
    this.work = call.work;
    this.patience = patienceOf(call);
    this.#request = request;
    this.#context = context;
    this.#constraint = request.grammar && context.constrain(request.grammar, request.stopIds);
    this.#sampler = createSampler(
      request.sampling,
      promptIds,
      context.candidates,
      this.#constraint,
    );
    this.#text = createOutputText(context.tokenizer, request.stop);
    this.#submittedMs = context.now();
    this.#submittedSpent = context.spent();
  }

  /** Whether its time is over. */
  get isLate(): boolean {
    if (this.work?.isSpent) return true;
    const { maxTimeMs } = this.#request;
    if (maxTimeMs === undefined) return false;
    return this.#context.spent() - this.#submittedSpent >= maxTimeMs;
  }

  /**
   * The tokens that the output is to begin with, as parts; the last may be the end.
   *
   * @throws PronkError "bad_request" when this request's output cannot begin so.
   */
  replay(): TokenPart[] {
    const { outputIds, topLogprobs } = this.#request;
    if (outputIds === undefined || topLogprobs !== undefined || !this.#context.replays) return [];
    const bad = (why: string, cause?: unknown): PronkError =>
      new PronkError("bad_request", `output_ids: ${why}`, { param: "output_ids", cause });
    const parts: TokenPart[] = [];
    for (const token of outputIds) {
      if (parts.at(-1)?.finish_reason !== undefined) throw bad("they go on after their end");
      const forced = this.#constraint?.nextForced();
      if (forced !== undefined && forced !== token) throw bad("not by the request's grammar");
      try {
        parts.push(this.#take(token, undefined));
      } catch (error) {
        throw bad("not by the request's grammar", error);
      }
    }
    return parts;
  }

  /** Tokens that it may still give. */
  get left(): number {
    return this.#request.maxTokens - this.#output.length;
  }

  /** It has had a slot. */
  get hasBegun(): boolean {
    return this.#startedMs !== undefined;
  }

  /** True for the first slot that it gets, not after a pause. */
  start(): boolean {
    if (this.#startedMs !== undefined) return false;
    this.#startedMs = this.#context.now();
    const { predictionIds } = this.#request;
    if (this.#context.lookup || predictionIds !== undefined) {
      this.lookup = new PromptLookup(this.#request.promptIds, predictionIds);
      for (const token of this.#output) this.lookup.push(token);
    }
    return true;
  }

  /** Tokens were in a cache that it goes on from; how many of them are new ones of its prompt. */
  foundCached(tokens: number): number {
    if (this.#firstTokenMs !== undefined) return 0; // after a pause
    const counted = Math.min(tokens, this.#request.promptIds.length - this.#cached);
    this.#cached += counted;
    return counted;
  }

  /** Whether the next token is the only one that may come: its logits need not be known. */
  get isForced(): boolean {
    // Log-probabilities are those of logits, whatever may come.
    return this.#request.topLogprobs === undefined && this.#constraint?.nextForced() !== undefined;
  }

  /** Whether the arg max of the logits is all that it will ask of them. */
  get isGreedy(): boolean {
    return this.#sampler.greedy && this.#request.topLogprobs === undefined;
  }

  /**
   * What is asked of a backend that chooses by itself for the token behind the next `offset`; undefined: its logits.
   * Only what it costs depends on what came of it before.
   *
   * @param most largest logits that it gives.
   */
  ask(offset: number, most: number): RowChoice | undefined {
    const index = this.#output.length + offset;
    const choice = this.#sampler.ask(index, offset < this.#doubted ? 0 : most);
    if (this.#request.topLogprobs === undefined) return choice;
    return choice?.kind === "draw" ? { ...choice, logits: true } : undefined;
  }

  /**
   * Appends the next token: the one that is forced, else one chosen by the runner's logits number `index`. The part
   * has a finish_reason when it is the last.
   *
   * @param choice what was asked of them.
   * @param nth of the tokens that it gave.
   * @returns undefined where it does not tell the token: the row has to be run again.
   * @throws PronkError "engine_failed" when the logits are not numbers.
   */
  step(
    runner: Runner,
    index: number,
    choice: RowChoice | undefined,
    nth: number,
  ): TokenPart | undefined {
    const { topLogprobs } = this.#request;
    const token = this.#constraint?.nextForced() ?? this.#choose(runner, index, choice, nth);
    if (token === undefined) return undefined;
    const logprobs =
      topLogprobs === undefined
        ? undefined
        : tokenLogprobs(runner.logits(index), token, topLogprobs);
    this.#firstTokenMs ??= this.#context.now();
    return this.#take(token, logprobs);
  }

  #take(token: number, logprobs: ReturnType<typeof tokenLogprobs> | undefined): TokenPart {
    const { stopIds } = this.#request;
    this.#sampler.accept(token);
    this.#constraint?.accept(token);
    this.lookup?.push(token);
    this.#output.push(token);

    let text = stopIds.has(token) ? "" : this.#text.push(token);
    let finish: FinishReason | undefined;
    const isComplete =
      stopIds.has(token) || this.#text.stop !== undefined || this.#constraint?.finished;
    if (isComplete) finish = "stop";
    else if (this.left === 0) finish = "length";
    if (finish !== undefined) text += this.#text.flush();
    // The last token of all is run by nobody: the context is not cut for it.
    if (finish === undefined || this.length < this.ids.length) this.#append(token);
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
  result(finishReason: FinishReason, timedOut = false): GenerateResult {
    const { sampling, topLogprobs } = this.#request;
    return {
      ids: this.#output,
      text: this.#texts.join(""),
      finish_reason: finishReason,
      ...(this.#text.stop === undefined ? undefined : { stop: this.#text.stop }),
      ...(timedOut ? { timed_out: true as const } : undefined),
      timings: this.#timings(),
      seed: sampling.seed,
      ...(topLogprobs === undefined ? undefined : { logprobs: this.#logprobs }),
      ...this.#predictionUse(),
    };
  }

  #choose(
    runner: Runner,
    index: number,
    choice: RowChoice | undefined,
    nth: number,
  ): number | undefined {
    const token = this.#chosen(runner, index, choice, nth);
    if (token === undefined) return undefined;
    // What an arg max over NaN gives is the backend's affair.
    if (!(token >= 0 && token < runner.vocab)) throw notNumbers();
    return token;
  }

  #chosen(
    runner: Runner,
    index: number,
    choice: RowChoice | undefined,
    nth: number,
  ): number | undefined {
    const { chooser } = runner;
    if (choice === undefined || chooser === undefined) {
      this.#doubted = Math.max(0, this.#doubted - 1);
      if (this.#sampler.greedy) return runner.argmax(index);
      return this.#sampler.sample(runner.logits(index), this.#output.length);
    }
    if (choice.kind !== "largest") return chooser.chosen(index)[nth];
    const token = this.#sampler.choose(chooser.largest(index), this.#output.length);
    const isTold = token !== undefined;
    if (!isTold) this.#doubted = this.#nextDoubt;
    const next = isTold ? Math.floor(this.#nextDoubt / 2) : 2 * this.#nextDoubt;
    this.#nextDoubt = Math.min(Math.max(1, next), LONGEST_DOUBT);
    return token;
  }

  #append(token: number): void {
    if (this.length === this.ids.length) this.#shift();
    this.ids[this.length++] = token;
  }

  /**
   * Makes room: the kept start stays, the older half of the rest goes. What is left is at new
   * positions, so that all of it but the start has to be read again, as any prompt is.
   */
  #shift(): void {
    const { keep } = this.#request;
    const from = keep + Math.ceil((this.length - keep) / 2);
    this.ids.copyWithin(keep, from, this.length);
    this.length -= from - keep;
    this.shifts++;
    if (this.slot === undefined) return;
    const left = this.ids.subarray(0, this.length);
    this.slot.length = commonPrefix(this.slot, left, this.adapters.key);
  }

  #predictionUse(): Pick<GenerateResult, "prediction"> | undefined {
    const { predictionIds } = this.#request;
    if (predictionIds === undefined) return undefined;
    const accepted = this.lookup?.predictionHits ?? 0;
    return { prediction: { accepted, rejected: predictionIds.length - accepted } };
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
      predicted_n: this.#output.length,
      predicted_ms: end - first,
      cached_n: this.#cached,
      draft_n: this.proposed,
      draft_n_accepted: this.accepted,
    };
  }
}
