/** The two sources of proposals: the row itself, and a smaller model. */
import { softmax } from "../../generate/logits-processors/softmax.ts";
import type { CandidateGenerator } from "./assisted.ts";
import { createChooser } from "./choose-token.ts";
import type { GenerationRun } from "./generation-run.ts";
import type { GenerationCache, GenerativeModel } from "./generative-model.ts";

/** PromptLookupCandidateGenerator's default for max_matching_ngram_size. */
const NGRAM_SIZE = 2;

/** What followed the row's last tokens where they occurred first. */
export class PromptLookupCandidateGenerator implements CandidateGenerator {
  readonly #tokens: number;
  readonly #ngram: number;
  readonly #eos: readonly number[];

  constructor({ config, eos }: GenerationRun) {
    this.#tokens = config.prompt_lookup_num_tokens ?? 0;
    this.#ngram = config.max_matching_ngram_size ?? NGRAM_SIZE;
    this.#eos = eos ?? [];
  }

  async propose(ids: readonly number[], most: number): Promise<readonly number[]> {
    const count = Math.min(this.#tokens, most);
    for (let size = Math.min(this.#ngram, ids.length - 1); size > 0; size--) {
      const tail = ids.length - size;
      for (let at = 0; at < tail; at++) {
        let equal = 0;
        while (equal < size && ids[at + equal] === ids[tail + equal]) equal++;
        if (equal < size) continue;
        const found = ids.slice(at + size, Math.min(at + size + count, ids.length));
        const end = found.findIndex((id) => this.#eos.includes(id));
        return end < 0 ? found : found.slice(0, end);
      }
    }
    return [];
  }

  observe(): void {}

  dispose(): void {}
}

/** What another model of the same vocabulary would say, by the same processors and random numbers. */
export class AssistedCandidateGenerator implements CandidateGenerator {
  readonly #run: GenerationRun;
  readonly #model: GenerativeModel;
  /** Ids that the assistant has read, and the cache that has them. */
  #known: number[] = [];
  #cache: GenerationCache | undefined;
  #tokens: number;

  constructor(run: GenerationRun, assistant: GenerativeModel) {
    this.#run = run;
    this.#model = assistant;
    this.#tokens = assistant.generation_config.num_assistant_tokens;
  }

  async propose(ids: readonly number[], most: number, index: number): Promise<readonly number[]> {
    const { config, processors, signal, seed, eos, prompts, input_ids } = this.#run;
    const prompt = prompts[0];
    const text = [...(prompt as readonly number[]), ...ids.slice(input_ids[0].length)];
    const room = prompt.length + config.max_length - input_ids[0].length;
    this.#cache ??= await this.#model.createCache(1, room);
    const threshold = this.#model.generation_config.assistant_confidence_threshold ?? 0;
    const choose = createChooser(config.do_sample, seed);

    let same = 0;
    while (same < this.#known.length && this.#known[same] === text[same]) same++;
    same = Math.min(same, text.length - 1);
    this.#cache.truncate(0, same);
    this.#known = text.slice(0, same);
    let pending = text.slice(same);
    const row = [...ids];
    const proposed: number[] = [];
    const count = Math.min(Math.floor(this.#tokens), most);
    while (proposed.length < count) {
      const [[logits]] = await this.#cache.forward(
        [{ row: 0, tokens: pending, logits: 1 }],
        signal,
      );
      this.#known.push(...pending);
      const [scores] = await processors.apply([row], [logits]);
      const id = choose(scores, index + proposed.length);
      row.push(id);
      proposed.push(id);
      pending = [id];
      // The token that it is unsure of is still proposed, the next ones are not.
      if (eos?.includes(id) || (threshold > 0 && softmax(scores)[id] < threshold)) break;
    }
    return proposed;
  }

  observe(proposed: number, accepted: number): void {
    const { generation_config } = this.#model;
    if (generation_config.num_assistant_tokens_schedule === "constant") return;
    this.#tokens = accepted === proposed ? this.#tokens + 2 : Math.max(1, this.#tokens - 1);
  }

  dispose(): void {
    // "heuristic" carries over to the next call, "heuristic_transient" does not.
    const { generation_config } = this.#model;
    if (generation_config.num_assistant_tokens_schedule === "heuristic") {
      generation_config.num_assistant_tokens = Math.floor(this.#tokens);
    }
    this.#cache?.dispose();
  }
}
