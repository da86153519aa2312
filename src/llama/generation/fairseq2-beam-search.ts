/**
 * fairseq2's BeamSearchSequenceGenerator (0.8.1, generation/beam_search): as fairseq, the best
 * 2 x beam_size candidates of a step are looked at, and scores count the prompt, too.
 */
import { PronkError, throwIfAborted } from "../../errors.ts";
import { power } from "../../generate/exp-log.ts";
import {
  invalid,
  isCount,
  LogitsProcessorList,
} from "../../generate/logits-processors/logits-processor.ts";
import { logSoftmax } from "../../generate/logits-processors/softmax.ts";
import type { GenerationCache, GenerativeModel } from "./generative-model.ts";

/** fairseq2's VocabularyInfo, as far as generation reads it. */
export interface VocabularyInfo {
  readonly eos_idx: number;
  readonly pad_idx?: number;
  readonly unk_idx?: number;
}

export interface BeamSearchOptions {
  /** Default 5. */
  readonly beam_size?: number;
  /** Default 1. */
  readonly min_gen_len?: number;
  /** Default 128, the end token included. */
  readonly max_gen_len?: number;
  /** Prompt included. Default: the model's positions. */
  readonly max_seq_len?: number;
  /** Prompts are part of the sequences that come back. Default false. */
  readonly echo_prompt?: boolean;
  /** Divide scores by (length - 1)^len_penalty. Default true. */
  readonly normalize_scores?: boolean;
  /** Default 1. */
  readonly temperature?: number;
  /** Taken from the unknown token's score. Default 0. */
  readonly unk_penalty?: number;
  /** Default 1. */
  readonly len_penalty?: number;
  /** Tokens of a prompt that are read at once. Default 512. */
  readonly prefill_chunk_size?: number;
  readonly step_processors?: LogitsProcessorList;
}

export interface Hypothesis {
  readonly seq: number[];
  readonly score: number;
  /** Of each id of `seq`: its log-probability; of the first one all up to it. */
  readonly step_scores: number[];
}

interface Sequence {
  readonly ids: readonly number[];
  /** Sums of log-probabilities, an id each; the first is 0. */
  readonly sums: readonly number[];
}

interface Lengths {
  readonly min: number;
  readonly max: number;
}

const DEFAULTS = {
  beam_size: 5,
  min_gen_len: 1,
  max_gen_len: 128,
  echo_prompt: false,
  normalize_scores: true,
  temperature: 1,
  unk_penalty: 0,
  len_penalty: 1,
  prefill_chunk_size: 512,
} as const;

export class BeamSearchSequenceGenerator {
  readonly #model: GenerativeModel;
  readonly #vocab: VocabularyInfo;
  readonly #options: BeamSearchOptions &
    Required<Omit<BeamSearchOptions, "max_seq_len" | "step_processors">>;

  /** @throws PronkError "bad_request" naming the option. */
  constructor(model: GenerativeModel, vocab_info: VocabularyInfo, options: BeamSearchOptions = {}) {
    this.#model = model;
    this.#vocab = vocab_info;
    this.#options = { ...DEFAULTS, ...options };
    const { min_gen_len, max_gen_len } = this.#options;
    for (const name of ["beam_size", "min_gen_len", "max_gen_len", "prefill_chunk_size"] as const) {
      const value = this.#options[name];
      if (!isCount(value, 1)) {
        throw invalid(
          name,
          `\`${name}\` must be greater than or equal to 1, but is ${value} instead.`,
        );
      }
    }
    if (min_gen_len > max_gen_len) {
      throw invalid(
        "min_gen_len",
        `\`min_gen_len\` must be less than or equal to \`max_gen_len\` (${max_gen_len}), but is ${min_gen_len} instead.`,
      );
    }
  }

  /**
   * Up to beam_size hypotheses of each prompt, best first. Prompts have no padding; the longest decides
   * how long the sequences of all may be.
   *
   * @throws PronkError "bad_request", "context_overflow", "engine_failed", "aborted".
   */
  async generate(
    prompt_seqs: readonly (readonly number[])[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Hypothesis[][]> {
    const { min_gen_len, max_gen_len } = this.#options;
    const { max_position_embeddings = Number.POSITIVE_INFINITY } = this.#model.config;
    const most = this.#options.max_seq_len ?? max_position_embeddings;
    const longest = Math.max(...prompt_seqs.map(({ length }) => length));
    if (prompt_seqs.some(({ length }) => length === 0))
      throw invalid("prompt_seqs", "an empty prompt");
    if (longest >= most) {
      throw invalid(
        "prompt_seqs",
        `Maximum prompt length in \`prompt_seqs\` must be less than \`max_seq_len\` (${most}), but is ${longest} instead.`,
      );
    }
    const min = Math.min(most, longest + min_gen_len);
    const max = Math.min(most, longest + max_gen_len);
    const hypotheses: Hypothesis[][] = [];
    for (const prompt of prompt_seqs) {
      const cache = await this.#model.createCache(this.#options.beam_size, max);
      try {
        hypotheses.push(await this.#search(cache, prompt, { min, max }, signal));
      } finally {
        cache.dispose();
      }
    }
    return hypotheses;
  }

  async #search(
    cache: GenerationCache,
    prompt: readonly number[],
    lengths: Lengths,
    signal: AbortSignal | undefined,
  ): Promise<Hypothesis[]> {
    const { beam_size } = this.#options;
    const { eos_idx } = this.#vocab;
    const finished: Hypothesis[] = [];
    let beam = [await this.#readPrompt(cache, prompt, signal)];
    for (let length = prompt.length; length < lengths.max; length++) {
      throwIfAborted(signal);
      const inputs = beam.map(({ ids }, row) => ({ row, tokens: ids.slice(-1), logits: 1 }));
      const logits = (await cache.forward(inputs, signal)).map(([row]) => row);
      const scores = await this.#scores(beam, logits, lengths);
      const candidates = best(beam, scores, 2 * beam_size);
      for (const { from, id, sum } of candidates.slice(0, beam_size)) {
        if (id !== eos_idx) continue;
        finished.push(this.#hypothesis(extended(beam[from], id, sum), prompt.length));
        if (finished.length === beam_size) return sorted(finished);
      }
      const next = candidates.filter(({ id }) => id !== eos_idx).slice(0, beam_size);
      if (next.length === 0) break;
      const rows = next.map(({ from }) => from);
      await cache.reorder([...rows, ...new Array<number>(beam_size - rows.length).fill(0)]);
      beam = next.map(({ from, id, sum }) => extended(beam[from], id, sum));
    }
    return sorted(finished);
  }

  /** Reads all but the last id, into row 0, and adds up what the model says to them. */
  async #readPrompt(
    cache: GenerationCache,
    prompt: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Sequence> {
    const sums = [0];
    let sum = 0;
    for (let at = 0; at < prompt.length - 1; at += this.#options.prefill_chunk_size) {
      const end = Math.min(at + this.#options.prefill_chunk_size, prompt.length - 1);
      const tokens = prompt.slice(at, end);
      const [rows] = await cache.forward([{ row: 0, tokens, logits: tokens.length }], signal);
      rows.forEach((logits, i) => {
        sum += this.#logProbabilities(logits)[prompt[at + i + 1]];
        sums.push(Math.fround(sum));
      });
    }
    return { ids: prompt, sums };
  }

  async #scores(
    beam: readonly Sequence[],
    logits: readonly Float32Array[],
    lengths: Lengths,
  ): Promise<readonly Float32Array[]> {
    const { eos_idx, pad_idx, unk_idx } = this.#vocab;
    const { length } = beam[0].ids;
    const rows = logits.map((row) => this.#logProbabilities(row));
    // The last id that there is room for is the end, however unlikely.
    if (length === lengths.max - 1)
      return rows.map((row) => row.map((x, id) => (id === eos_idx ? x : -Infinity)));
    const ids = beam.map((sequence) => sequence.ids);
    const processors = this.#options.step_processors ?? new LogitsProcessorList();
    return (await processors.apply(ids, rows)).map((processed) => {
      const row = processed.slice();
      if (unk_idx !== undefined) row[unk_idx] = row[unk_idx] - this.#options.unk_penalty;
      if (pad_idx !== undefined) row[pad_idx] = Number.NEGATIVE_INFINITY;
      if (length < lengths.min - 1) row[eos_idx] = Number.NEGATIVE_INFINITY;
      return row;
    });
  }

  #logProbabilities(logits: Float32Array): Float32Array {
    const divisor = Math.fround(this.#options.temperature);
    const scores = logSoftmax(divisor === 1 ? logits : logits.map((x) => x / divisor));
    if (scores.some(Number.isNaN)) {
      throw new PronkError("engine_failed", "BeamSearchSequenceGenerator: a score is not a number");
    }
    return scores;
  }

  #hypothesis({ ids, sums }: Sequence, promptLength: number): Hypothesis {
    const { echo_prompt, normalize_scores, len_penalty } = this.#options;
    const start = echo_prompt ? 0 : promptLength;
    const sum = sums[sums.length - 1];
    // The first id has no score: it does not count.
    const divisor = normalize_scores ? power(ids.length - 1, len_penalty) : 1;
    const step_scores = sums
      .slice(start)
      .map((x, i) => (i === 0 ? x : Math.fround(x - sums[start + i - 1])));
    return { seq: ids.slice(start), score: Math.fround(sum / divisor), step_scores };
  }
}

interface Candidate {
  readonly from: number;
  readonly id: number;
  readonly sum: number;
}

/** The `count` best continuations, best first; of equal ones the first. */
function best(
  beam: readonly Sequence[],
  scores: readonly Float32Array[],
  count: number,
): Candidate[] {
  const most = Math.min(count, scores[0].length);
  const found: Candidate[] = [];
  scores.forEach((row, from) => {
    const before = beam[from].sums[beam[from].sums.length - 1];
    row.forEach((score, id) => {
      const sum = Math.fround(score + before);
      if (sum === Number.NEGATIVE_INFINITY) return;
      if (found.length === most && !(sum > found[most - 1].sum)) return;
      let at = found.length < most ? found.length : most - 1;
      while (at > 0 && sum > found[at - 1].sum) {
        found[at] = found[at - 1];
        at--;
      }
      found[at] = { from, id, sum };
    });
  });
  return found;
}

function extended({ ids, sums }: Sequence, id: number, sum: number): Sequence {
  return { ids: [...ids, id], sums: [...sums, sum] };
}

function sorted(hypotheses: readonly Hypothesis[]): Hypothesis[] {
  return hypotheses.toSorted((a, b) => b.score - a.score);
}
