/** What the methods of `generate` share: everything settled, before the first token. */
import type {
  LogitsProcessorList,
  ScoreRows,
} from "../../generate/logits-processors/logits-processor.ts";
import type { GenerationConfig } from "./generation-config.ts";
import type { GenerativeModel } from "./generative-model.ts";
import type { Prompt } from "./row-feeder.ts";
import type { StoppingCriteriaList } from "./stopping-criteria.ts";
import type { BaseStreamer } from "./streamers.ts";

export interface GenerationRun {
  readonly model: GenerativeModel;
  /** max_length and min_length are final: ids of a row. */
  readonly config: GenerationConfig;
  /** (batch * expand, length) ids, padding included; rows of one prompt are neighbours. */
  readonly input_ids: readonly (readonly number[])[];
  /** The real tokens of each prompt. */
  readonly prompts: readonly Prompt[];
  /** Rows of a prompt. */
  readonly expand: number;
  readonly eos: readonly number[] | undefined;
  /** What rows that are complete are filled with. */
  readonly pad: number | undefined;
  readonly processors: LogitsProcessorList;
  readonly stopping: StoppingCriteriaList;
  readonly streamer: BaseStreamer | undefined;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
}

/** What `generate` gives with return_dict_in_generate. */
export interface GenerateOutput {
  /** (rows, length): the prompt, padding included, and what was generated; only that from embeddings. */
  readonly sequences: number[][];
  /** With output_scores: (rows, vocab) a step, as the processors left them. */
  readonly scores?: ScoreRows[];
  /** With output_logits: (rows, vocab) a step, as the model gave them. */
  readonly logits?: ScoreRows[];
  /** Beam search with output_scores: the score of each sequence. */
  readonly sequences_scores?: number[];
  /** Beam search: which row each token of a sequence came from, -1 behind its end. */
  readonly beam_indices?: number[][];
}

/** Collects what is asked for. */
export class OutputCollector {
  readonly scores: ScoreRows[] | undefined;
  readonly logits: ScoreRows[] | undefined;

  constructor({ return_dict_in_generate, output_scores, output_logits }: GenerationConfig) {
    this.scores = return_dict_in_generate && output_scores ? [] : undefined;
    this.logits = return_dict_in_generate && output_logits ? [] : undefined;
  }

  /** Also rows that are complete have scores then, as in the reference. */
  get wantsAllRows(): boolean {
    return this.scores !== undefined || this.logits !== undefined;
  }

  add(logits: ScoreRows, scores: ScoreRows): void {
    this.logits?.push(logits.map((row) => row.slice()));
    this.scores?.push(scores.map((row) => row.slice()));
  }

  output(sequences: number[][]): GenerateOutput {
    const { scores, logits } = this;
    return { sequences, ...(scores && { scores }), ...(logits && { logits }) };
  }
}
