/**
 * Classifier-free guidance for text (arXiv:2306.17806): scores move away from what the model says to
 * another prompt, with a cache of its own. Rows may be rearranged between calls, as beams are.
 */
import type {
  LogitsProcessor,
  ScoreRows,
  TokenRows,
} from "../../generate/logits-processors/logits-processor.ts";
import { logSoftmax } from "../../generate/logits-processors/softmax.ts";
import type { GenerationCache, GenerativeModel, RowInput } from "./generative-model.ts";

export interface GuidanceOptions {
  /** One row for each row of `input_ids`; default: the last id of its prompt. */
  readonly unconditional_ids?: TokenRows;
  /** 0 where `unconditional_ids` are padding. */
  readonly unconditional_attention_mask?: TokenRows;
  readonly use_cache?: boolean;
  /** Ids that will be generated at most; default: as many as the model has positions. */
  readonly max_new_tokens?: number;
}

/** scores = scale (log p - log p') + log p', where p' goes on from the other prompt. */
export class UnbatchedClassifierFreeGuidanceLogitsProcessor implements LogitsProcessor {
  readonly guidance_scale: number;
  readonly #model: GenerativeModel;
  readonly #options: GuidanceOptions;
  #prompts: readonly (readonly number[])[] | undefined;
  #promptLength = 0;
  #cache: GenerationCache | undefined;
  /** What the cache has read of each row. */
  #known: number[][] = [];

  constructor(guidance_scale: number, model: GenerativeModel, options: GuidanceOptions = {}) {
    this.guidance_scale = guidance_scale;
    this.#model = model;
    this.#options = options;
  }

  async apply(input_ids: TokenRows, scores: ScoreRows): Promise<ScoreRows> {
    const conditional = scores.map(logSoftmax);
    if (this.guidance_scale === 1) return conditional;
    const scale = Math.fround(this.guidance_scale);
    const unconditional = (await this.#unconditional(input_ids)).map(logSoftmax);
    return conditional.map((row, i) => {
      const other = unconditional[i];
      return row.map((value, id) => {
        const away = Math.fround(scale * Math.fround(value - other[id]));
        return away + other[id];
      });
    });
  }

  /** Frees the cache. */
  dispose(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
    this.#prompts = undefined;
  }

  async #unconditional(input_ids: TokenRows): Promise<ScoreRows> {
    this.#prompts ??= this.#start(input_ids);
    const prompts = this.#prompts;
    const longest = Math.max(...prompts.map(({ length }) => length));
    const { max_position_embeddings = 0 } = this.#model.config;
    const room = longest + (this.#options.max_new_tokens ?? max_position_embeddings - longest);
    this.#cache ??= await this.#model.createCache(input_ids.length, room);

    const inputs = input_ids.map((ids, row): RowInput => {
      const text = [...prompts[row], ...ids.slice(this.#promptLength)];
      const known = this.#known[row] ?? [];
      let same = 0;
      if (this.#options.use_cache !== false) {
        while (same < known.length && known[same] === text[same]) same++;
      }
      same = Math.min(same, text.length - 1);
      this.#cache?.truncate(row, same);
      this.#known[row] = text;
      return { row, tokens: text.slice(same), logits: 1 };
    });
    return (await this.#cache.forward(inputs)).map(([logits]) => logits);
  }

  #start(input_ids: TokenRows): readonly (readonly number[])[] {
    this.#promptLength = input_ids[0].length;
    const { unconditional_ids, unconditional_attention_mask: mask } = this.#options;
    if (unconditional_ids === undefined) return input_ids.map((ids) => ids.slice(-1));
    const rows = unconditional_ids.map((ids, row) => ids.filter((_, at) => mask?.[row][at] !== 0));
    // Beams and several returns: neighbours share a prompt.
    return input_ids.map((_, row) => rows[Math.floor((row * rows.length) / input_ids.length)]);
  }
}
