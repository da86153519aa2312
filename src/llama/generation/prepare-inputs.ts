/** Prompts as `generate` gets them: rows of ids or embeddings, of which the mask says what is padding. */
import { PronkError } from "../../errors.ts";
import { inPython } from "../../generate/logits-processors/logits-processor.ts";
import { integerLists } from "../integer-lists.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { GenerationConfig } from "./generation-config.ts";
import type { GenerativeModel } from "./generative-model.ts";
import type { Prompt } from "./row-feeder.ts";

export interface PreparedInputs {
  /** (batch, length); no ids where the prompt is embeddings only. */
  readonly input_ids: readonly (readonly number[])[];
  /** Without padding. */
  readonly prompts: readonly Prompt[];
  /** Positions of the embeddings; undefined where the prompt is ids. */
  readonly embedded: number | undefined;
}

/** @throws PronkError "bad_request" naming the option. */
export function prepareInputs(
  model: GenerativeModel,
  config: GenerationConfig,
  options: GenerateOptions,
): PreparedInputs {
  const { inputs_embeds } = options;
  const { vocab_size, hidden_size } = model.config;
  const input_ids = idRows(config, options);
  const rows: readonly Prompt[] = inputs_embeds ?? input_ids;
  if (rows.length === 0) throw bad("input_ids", "no rows");
  if (input_ids.length !== rows.length) {
    throw bad("input_ids", `${input_ids.length} rows beside ${rows.length} of inputs_embeds`);
  }
  const checked = inputs_embeds ? "inputs_embeds" : "input_ids";
  for (const [name, some] of [[checked, rows] as const, ["input_ids", input_ids] as const]) {
    some.forEach((row, i) => {
      if (row.length !== some[0].length) {
        throw bad(name, `row ${i} has ${row.length} tokens, the first ${some[0].length}`);
      }
    });
  }
  input_ids.forEach((row, i) => {
    for (const id of row) {
      if (Number.isInteger(id) && id >= 0 && id < vocab_size) continue;
      throw bad("input_ids", `row ${i}: ${id} is not an id of the ${vocab_size} tokens`);
    }
  });
  for (const row of inputs_embeds ?? []) {
    for (const { length } of row) {
      if (length === hidden_size) continue;
      throw bad("inputs_embeds", `an embedding of ${length} numbers, not ${hidden_size}`);
    }
  }
  const given = options.attention_mask;
  const mask = given
    ? integerLists(given, "attention_mask")
    : inferredMask(config, inputs_embeds ? undefined : input_ids);
  return {
    input_ids,
    prompts: mask ? rows.map((row, i) => unmasked(row, mask[i], i)) : rows.map(nonEmpty),
    embedded: inputs_embeds?.[0].length,
  };
}

function idRows(
  config: GenerationConfig,
  { input_ids: given, inputs_embeds }: GenerateOptions,
): readonly (readonly number[])[] {
  const input_ids = integerLists(given, "input_ids");
  if (input_ids !== undefined) {
    if (!Array.isArray(input_ids)) throw bad("input_ids", "not a list");
    return typeof input_ids[0] === "number" ? [input_ids as number[]] : (input_ids as number[][]);
  }
  if (inputs_embeds !== undefined) return inputs_embeds.map(() => []);
  if (config.bos_token_id === null) {
    const message = "`bos_token_id` has to be defined when no `input_ids` are provided.";
    throw new PronkError("bad_request", message, { param: "input_ids" });
  }
  return [[config.bos_token_id]];
}

/**
 * As the reference infers it where nobody says: pad ids are padding, unless the pad token ends texts,
 * too, and may therefore be inside one.
 */
function inferredMask(
  config: GenerationConfig,
  input_ids: readonly (readonly number[])[] | undefined,
): readonly (readonly number[])[] | undefined {
  const { pad_token_id: pad, eos_token_id: eos } = config;
  if (pad === null || input_ids === undefined) return undefined;
  if (eos !== null && [eos].flat().includes(pad)) return undefined;
  return input_ids.map((row) => row.map((id) => (id === pad ? 0 : 1)));
}

function unmasked(row: Prompt, mask: readonly number[] | undefined, index: number): Prompt {
  if (mask?.length !== row.length) {
    throw bad("attention_mask", `row ${index}: ${mask?.length ?? 0} of ${row.length} tokens`);
  }
  if (!mask.every((bit) => bit === 0 || bit === 1)) {
    throw bad("attention_mask", `row ${index}: ${inPython(mask)} is not of 0 and 1`);
  }
  if (mask[mask.length - 1] === 0) {
    // Nothing real to go on from: the reference would go on from padding.
    throw bad("attention_mask", `row ${index} ends with padding: pad on the left`);
  }
  return row.filter((_, at) => mask[at] === 1);
}

function nonEmpty(row: Prompt, index: number): Prompt {
  if (row.length === 0) throw bad("input_ids", `row ${index} is empty`);
  return row;
}

function bad(param: string, found: string): PronkError {
  return new PronkError("bad_request", `generate: ${param}: ${found}`, { param });
}
