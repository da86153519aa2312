/**
 * A GenerativeModel over a backend's runner: a row is a slot. Rows that go on from the same tokens get
 * copies; rearranging rows moves as few as it can.
 */
import type { Batch, Runner, Span, SpanAdapter } from "../../backends/backend.ts";
import { PronkError, throwIfAborted } from "../../errors.ts";
import { GenerationConfig } from "./generation-config.ts";
import type { GenerationCache, GenerativeModel, RowInput } from "./generative-model.ts";
import { createRunnerShare, type RunnerShare } from "./runner-share.ts";

export interface RunnerModelOptions {
  readonly hidden_size: number;
  readonly max_position_embeddings?: number;
  readonly generation_config?: GenerationConfig;
  /** All rows run with these. */
  readonly adapters?: readonly SpanAdapter[] | undefined;
  /** Where others use the runner, too. Default: this model alone does. */
  readonly share?: RunnerShare;
  /** A macrotask before each batch: timers, sockets and aborts run. Default: none. */
  readonly yieldTask?: (() => Promise<void>) | undefined;
}

/** The runner stays the caller's; each cache has slots of it until it is disposed. */
export class RunnerModel implements GenerativeModel {
  readonly config: GenerativeModel["config"];
  readonly generation_config: GenerationConfig;
  readonly isCutDependent: boolean;
  readonly #runner: Runner;
  readonly #share: RunnerShare;
  readonly #yieldTask: (() => Promise<void>) | undefined;
  readonly #adapters: readonly SpanAdapter[] | undefined;

  constructor(runner: Runner, options: RunnerModelOptions) {
    const { hidden_size, max_position_embeddings, generation_config, share } = options;
    this.config = {
      vocab_size: runner.vocab,
      hidden_size,
      ...(max_position_embeddings !== undefined && { max_position_embeddings }),
    };
    this.generation_config = generation_config ?? new GenerationConfig();
    this.isCutDependent = runner.isCutDependent ?? false;
    this.#runner = runner;
    this.#share = share ?? createRunnerShare(runner);
    this.#yieldTask = options.yieldTask;
    this.#adapters = options.adapters;
  }

  createCache(rows: number, length: number): GenerationCache {
    const { ctx } = this.#runner;
    if (length > ctx) {
      throw new PronkError(
        "context_overflow",
        `generate: rows of ${length} tokens do not fit the context of ${ctx}`,
      );
    }
    const taken = this.#share.takeSlots(rows);
    return new SlotCache(this.#runner, taken, this.#share, this.#yieldTask, this.#adapters);
  }
}

class SlotCache implements GenerationCache {
  readonly #runner: Runner;
  /** Of each row. */
  #slots: number[];
  /** Tokens of each row. */
  #lengths: number[];
  readonly #share: RunnerShare;
  readonly #yieldTask: (() => Promise<void>) | undefined;
  readonly #adapters: readonly SpanAdapter[] | undefined;
  #isDisposed = false;

  constructor(
    runner: Runner,
    slots: readonly number[],
    share: RunnerShare,
    yieldTask: (() => Promise<void>) | undefined,
    adapters: readonly SpanAdapter[] | undefined,
  ) {
    this.#adapters = adapters;
    this.#runner = runner;
    this.#slots = [...slots];
    this.#lengths = slots.map(() => 0);
    this.#share = share;
    this.#yieldTask = yieldTask;
  }

  async forward(
    inputs: readonly RowInput[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly Float32Array[])[]> {
    const found = inputs.map((): Float32Array[] => []);
    const done = inputs.map(() => 0);
    for (;;) {
      const batch = this.#nextBatch(inputs, done);
      if (batch === undefined) return found;
      await this.#yieldTask?.();
      throwIfAborted(signal);
      await this.#share.exclusive(async () => {
        await this.#runner.forward(batch);
        batch.wanted.forEach((input, i) => {
          found[input].push(this.#runner.logits(i).slice());
        });
      });
      batch.spans.forEach(({ slot, count }) => {
        this.#lengths[this.#slots.indexOf(slot)] += count;
      });
    }
  }

  /**
   * As many tokens as fit: of each input the next ones, while there is room for its logits, too. Ids and
   * embeddings go into batches of their own.
   */
  #nextBatch(
    inputs: readonly RowInput[],
    done: number[],
  ): (Batch & { readonly wanted: readonly number[] }) | undefined {
    const { maxRows, maxLogits } = this.#runner;
    const tokens: (number | Float32Array)[] = [];
    const spans: Span[] = [];
    const logitsRows: number[] = [];
    const wanted: number[] = [];
    const next = inputs.findIndex(({ tokens: all }, input) => done[input] < all.length);
    const kind = next < 0 ? undefined : typeof inputs[next].tokens[done[next]];
    inputs.forEach(({ row, tokens: all, logits }, input) => {
      const first = done[input];
      let end = first;
      while (end < all.length && tokens.length < maxRows && typeof all[end] === kind) {
        const isWanted = end >= all.length - logits;
        if (isWanted && wanted.length === maxLogits) break;
        if (isWanted) {
          logitsRows.push(tokens.length);
          wanted.push(input);
        }
        tokens.push(all[end++]);
      }
      if (end === first) return;
      const start = this.#lengths[row];
      // However it is cut here, it is one text: scalings that depend on its length see all of it.
      const length = start + all.length - first;
      const adapters = this.#adapters;
      const count = end - first;
      spans.push({ slot: this.#slots[row], start, count, length, ...(adapters && { adapters }) });
      done[input] = end;
    });
    if (tokens.length === 0) return undefined;
    const embeds = embeddingsOf(tokens);
    const ids = tokens.map((token) => (typeof token === "number" ? token : 0));
    return { ids, spans, logitsRows, wanted, ...(embeds && { embeds }) };
  }

  reorder(sources: readonly number[]): void {
    const slots = this.#slots;
    const lengths = this.#lengths;
    const unused = slots.filter((_, row) => !sources.includes(row));
    const taken = new Set<number>();
    this.#slots = sources.map((source) => {
      const slot = slots[source];
      // The first of its rows keeps the slot, the others get copies in those that nobody needs.
      if (!taken.has(slot)) {
        taken.add(slot);
        return slot;
      }
      const copy = unused.pop() as number;
      if (lengths[source] > 0) this.#runner.copySlot(slot, copy, lengths[source]);
      return copy;
    });
    this.#lengths = sources.map((source) => lengths[source]);
  }

  truncate(row: number, length: number): void {
    this.#lengths[row] = Math.min(this.#lengths[row], length);
  }

  dispose(): void {
    if (!this.#isDisposed) this.#share.giveSlots(this.#slots);
    this.#isDisposed = true;
  }
}

/** (rows, hidden_size), where the tokens are embeddings. */
function embeddingsOf(tokens: readonly (number | Float32Array)[]): Float32Array | undefined {
  if (typeof tokens[0] === "number") return undefined;
  const rows = tokens as readonly Float32Array[];
  const width = rows[0].length;
  const embeds = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    embeds.set(row, i * width);
  });
  return embeds;
}
