/**
 * `resize_token_embeddings` of transformers 4.57: rows are cut off, or added. The runner is made again with
 * the new plan and filled from the old one's memory, which is then let go.
 */
import { PronkError } from "../../errors.ts";
import { bitsAt, toSeed } from "../../generate/random.ts";
import { EMBEDDING, LM_HEAD } from "../../model/tensors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { HeadKind } from "./heads.ts";
import type { ModelCore } from "./model-core.ts";
import { fillNormal } from "./new-tensors.ts";
import type { BuildRunner } from "./runner-build.ts";
import { changedWeights, meanRow, type TableChange, tableOf } from "./table-rows.ts";

export interface ResizeOptions {
  /** Round the number of rows up to a multiple of this. */
  readonly pad_to_multiple_of?: number | null;
  /**
   * New rows are the mean of the old ones, the default; false: drawn as at initialization.
   * transformers draws around the mean with 1e-9 of the rows' covariance, which is the mean but for noise.
   */
  readonly mean_resizing?: boolean;
  /** Of the rows that are drawn. Default 0. */
  readonly seed?: number;
}

/** @throws PronkError "bad_request" unless they are positive integers. */
export function resizedRows(
  asked: number | null | undefined,
  multiple: number | null | undefined,
  current: number,
): number {
  const check = (name: string, value: number): number => {
    if (Number.isInteger(value) && value > 0) return value;
    throw new PronkError("bad_request", `${name}: ${value} is not a positive integer`, {
      param: name,
    });
  };
  const rows = check("new_num_tokens", asked ?? current);
  const step = check("pad_to_multiple_of", multiple ?? 1);
  return Math.ceil(rows / step) * step;
}

/** What is resized. */
export interface ResizedModel {
  readonly core: ModelCore;
  readonly config: LlamaConfig;
  readonly head: HeadKind;
  readonly build: () => BuildRunner;
}

/**
 * Gives the embedding, and a language model's own head, `rows` rows; config.vocab_size changes with them.
 *
 * @throws PronkError "out_of_memory" where the new plan does not fit beside the old; the model is then as it was.
 */
export async function resizeEmbeddings(
  { core, config, head, build }: ResizedModel,
  rows: number,
  { mean_resizing: isMean = true, seed = 0 }: ResizeOptions,
): Promise<void> {
  const kept = Math.min(rows, config.vocab_size);
  const names = [EMBEDDING];
  if (head === "causal-lm" && !config.tie_word_embeddings) names.push(LM_HEAD);
  await core.replace(async ({ runner, tensors }) => {
    const { weights } = runner;
    const changes = names.map((name, index): TableChange => {
      const mean = rows > kept && isMean ? meanRow(weights, tableOf(tensors, name)) : undefined;
      const draws = bitsAt(toSeed(seed), index);
      const values = (row: number, out: Float32Array): void => {
        if (name === EMBEDDING && row === config.pad_token_id) return;
        if (mean) out.set(mean);
        else fillNormal(out, bitsAt(draws, row), config.initializer_range);
      };
      return { name, rows, kept, values };
    });
    const sizes = { ...config.toModelConfig(), vocab_size: rows };
    const built = await build()(sizes, changedWeights(weights, tensors, changes));
    config.vocab_size = rows;
    return built;
  });
}
