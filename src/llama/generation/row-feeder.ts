/**
 * Feeds rows to a model as they grow: each prompt once however many rows go on from it, then what is
 * new, or everything again where no cache is wanted.
 */
import type { ScoreRows, TokenRows } from "../../generate/logits-processors/logits-processor.ts";
import type { GenerationCache, GenerativeModel, RowInput } from "./generative-model.ts";

/** A prompt's real tokens: ids, or embeddings. */
export type Prompt = readonly (number | Float32Array)[];

export interface FeederOptions {
  /** Rows that go on from each prompt. */
  readonly expand: number;
  /** Ids of a row at the start, padding included. */
  readonly promptLength: number;
  readonly use_cache: boolean;
  /** Tokens of a prompt that are read at once; undefined: all. */
  readonly prefill_chunk_size: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export class RowFeeder {
  readonly #cache: GenerationCache;
  readonly #vocab: number;
  readonly #prompts: readonly Prompt[];
  readonly #options: FeederOptions;
  #isFirst = true;

  constructor(
    model: GenerativeModel,
    cache: GenerationCache,
    prompts: readonly Prompt[],
    options: FeederOptions,
  ) {
    this.#cache = cache;
    this.#vocab = model.config.vocab_size;
    this.#prompts = prompts;
    this.#options = options;
  }

  /**
   * Logits behind the last id of each row, (vocab,) a row; zeros for rows that are not `active`.
   *
   * @param rows all ids, prompts included; each is one longer than at the last call.
   */
  async next(rows: TokenRows, active?: readonly boolean[]): Promise<ScoreRows> {
    if (this.#isFirst) {
      this.#isFirst = false;
      return this.#prefill();
    }
    const inputs: RowInput[] = [];
    rows.forEach((ids, row) => {
      if (active && !active[row]) return;
      inputs.push({ row, tokens: this.#newTokens(ids, row), logits: 1 });
    });
    const found = await this.#cache.forward(inputs, this.#options.signal);
    const silent = new Float32Array(this.#vocab);
    const logits: Float32Array[] = rows.map(() => silent);
    inputs.forEach(({ row }, i) => {
      logits[row] = found[i][0];
    });
    return logits;
  }

  /** Row i goes on from where row sources[i] is. */
  async reorder(sources: readonly number[]): Promise<void> {
    // Without a cache each row is read from its ids.
    if (this.#options.use_cache) await this.#cache.reorder(sources);
  }

  #newTokens(ids: readonly number[], row: number): Prompt {
    if (this.#options.use_cache) return ids.slice(-1);
    this.#cache.truncate(row, 0);
    const prompt = this.#prompts[Math.floor(row / this.#options.expand)];
    return [...prompt, ...ids.slice(this.#options.promptLength)];
  }

  async #prefill(): Promise<ScoreRows> {
    const { expand, prefill_chunk_size, signal } = this.#options;
    const chunk = prefill_chunk_size ?? Number.POSITIVE_INFINITY;
    const longest = Math.max(...this.#prompts.map(({ length }) => length));
    const last: Float32Array[] = [];
    for (let at = 0; at < longest; at += chunk) {
      const inputs: RowInput[] = [];
      this.#prompts.forEach((prompt, i) => {
        if (at >= prompt.length) return;
        const isLast = at + chunk >= prompt.length;
        const tokens = prompt.slice(at, at + chunk);
        inputs.push({ row: i * expand, tokens, logits: isLast ? 1 : 0 });
      });
      const found = await this.#cache.forward(inputs, signal);
      inputs.forEach(({ row, logits }, i) => {
        if (logits === 1) last[row / expand] = found[i][0];
      });
    }
    const sources = last.flatMap((_, i) => new Array<number>(expand).fill(i * expand));
    if (expand > 1) await this.reorder(sources);
    return sources.map((row) => last[row / expand]);
  }
}
