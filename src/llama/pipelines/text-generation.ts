/**
 * Texts and chats that are gone on with.
 *
 * Source: pipelines/text_generation.py in transformers 4.57. Batches are padded on the left whatever the tokenizer's
 * side is: a row gives what it gives alone.
 */
import type { ChatMessage } from "../../templates/chat-template.ts";
import type { GenerationConfig } from "../generation/generation-config.ts";
import type { GenerateOutput } from "../generation/generation-run.ts";
import type { LlamaForCausalLM } from "../modeling/llama-for-causal-lm.ts";
import type { EncodedRow } from "../tokenizer/batch-encoding.ts";
import {
  bad,
  type GenerationDefaults,
  generationDefaults,
  lengthWithin,
  type SettledOptions,
  settleOptions,
  type TextGenerationOptions,
  withPrefixLength,
} from "./generation-options.ts";
import { batchOf } from "./model-rows.ts";
import {
  type Iterating,
  type PipelineObject,
  type PipelineParts,
  pipelineObject,
  withoutUndefined,
} from "./pipeline-object.ts";
import { collect, runStages } from "./run-stages.ts";

/** Beside the text or the ids, with return_dict_in_generate: what `generate` gave for the row, as it was asked for. */
export interface GenerationDetails {
  /** (vocab,) a step. */
  readonly scores?: Float32Array[];
  readonly logits?: Float32Array[];
  readonly sequences_scores?: number;
  readonly beam_indices?: number[];
}

export interface GeneratedText<Text> extends GenerationDetails {
  readonly generated_text: Text;
}

export interface GeneratedTokens extends GenerationDetails {
  /** The prompt, padding included, and what follows. */
  readonly generated_token_ids: number[];
}

export type Chat = readonly ChatMessage[];

type AsTokens = TextGenerationOptions & { readonly return_tensors: true };
type NewText = TextGenerationOptions & { readonly return_full_text: false };

export interface TextGenerationPipeline
  extends PipelineObject<LlamaForCausalLM>,
    Iterating<
      string | Chat,
      TextGenerationOptions,
      (GeneratedText<string | Chat> | GeneratedTokens)[]
    > {
  /** Of calls that say nothing else. */
  readonly generation_config: GenerationConfig;
  (prompt: string | Chat, options: AsTokens): Promise<GeneratedTokens[]>;
  (prompts: readonly (string | Chat)[], options: AsTokens): Promise<GeneratedTokens[][]>;
  (prompt: string, options?: TextGenerationOptions): Promise<GeneratedText<string>[]>;
  (prompts: readonly string[], options?: TextGenerationOptions): Promise<GeneratedText<string>[][]>;
  (chat: Chat, options: NewText): Promise<GeneratedText<string>[]>;
  (chat: Chat, options?: TextGenerationOptions): Promise<GeneratedText<ChatMessage[]>[]>;
  (chats: readonly Chat[], options: NewText): Promise<GeneratedText<string>[][]>;
  (
    chats: readonly Chat[],
    options?: TextGenerationOptions,
  ): Promise<GeneratedText<ChatMessage[]>[][]>;
}

/** What the model gave for a prompt. */
interface Generated extends Pick<GenerateOutput, "scores" | "logits"> {
  /** Padding included. */
  readonly prompt: readonly number[];
  readonly sequences: readonly (readonly number[])[];
  readonly sequences_scores?: readonly number[];
  readonly beam_indices?: readonly number[][];
}

type Parts = PipelineParts<LlamaForCausalLM>;

/** @throws PronkError "bad_request" naming the option. */
export function textGenerationPipeline(
  parts: Parts,
  given: TextGenerationOptions = {},
): TextGenerationPipeline {
  const { model, tokenizer } = parts;
  const defaults = generationDefaults(model, tokenizer, given);
  settleOptions(defaults.options, tokenizer);

  const iterate = (
    prompts: Iterable<string | Chat> | AsyncIterable<string | Chat>,
    options: TextGenerationOptions = {},
  ): AsyncGenerator<(GeneratedText<string | Chat> | GeneratedTokens)[], void, undefined> => {
    const all = { ...defaults.options, ...withoutUndefined(options) };
    const settled = settleOptions(all, tokenizer);
    return runStages(
      parts,
      prompts,
      {
        prepare: (prompt) => [encode(parts, prompt, settled, defaults.config)],
        forward: (rows) => generateRows(parts, rows, settled, defaults),
        finish: (prompt, _, [generated]) => recordsOf(parts, prompt, generated!, settled),
      },
      all,
    );
  };

  const call = async (
    prompts: string | Chat | readonly (string | Chat)[],
    options?: TextGenerationOptions,
  ): Promise<unknown> => {
    const isOne = typeof prompts === "string" || isChat(prompts);
    const outputs = await collect(iterate(isOne ? [prompts] : prompts, options));
    return isOne ? outputs[0] : outputs;
  };
  const own = Object.assign(call, { iterate, generation_config: defaults.config });
  return pipelineObject(parts, own) as TextGenerationPipeline;
}

/** A list of messages is one chat. */
function isChat(prompts: Chat | readonly (string | Chat)[]): prompts is Chat {
  const first: unknown = Array.isArray(prompts) ? prompts[0] : undefined;
  return typeof first === "object" && first !== null && !Array.isArray(first);
}

function encode(
  { tokenizer }: Parts,
  prompt: string | Chat,
  { own, generate }: SettledOptions,
  config: GenerationConfig,
): EncodedRow {
  const { add_special_tokens, padding, truncation } = own;
  const kwargs = withoutUndefined({
    padding,
    truncation,
    max_length: generate.max_length,
    return_attention_mask: true,
    ...own.tokenizer_encode_kwargs,
  });
  if (typeof prompt === "string") {
    const special = add_special_tokens === undefined ? {} : { add_special_tokens };
    const text = `${own.prefix ?? ""}${prompt}`;
    return withRoom(tokenizer.call(text, { ...special, ...kwargs }));
  }
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw bad("text_inputs", "neither a text nor a chat of one message or more");
  }
  for (const message of prompt as Chat) {
    if (typeof message === "object" && "role" in message && "content" in message) continue;
    throw bad(
      "text_inputs",
      "When passing chat dicts as input, each dict must have a 'role' and 'content' key.",
    );
  }
  const continues = continuesChat(prompt, own.continue_final_message);
  return withRoom(
    tokenizer.applyChatTemplate(prompt, {
      add_generation_prompt: !continues,
      continue_final_message: continues,
      ...kwargs,
      return_dict: true,
    }),
  );

  /** `handle_long_generation: "hole"`: the end of the prompt, and room for what is asked for. */
  function withRoom(row: EncodedRow): EncodedRow {
    if (own.handle_long_generation !== "hole") return row;
    const { length } = row.input_ids;
    const asked = generate.max_new_tokens ?? (generate.max_length ?? config.max_length) - length;
    if (asked < 0) {
      const why = "We cannot infer how many new tokens are expected";
      throw bad("handle_long_generation", why);
    }
    if (length + asked <= tokenizer.model_max_length) return row;
    const kept = tokenizer.model_max_length - asked;
    if (kept <= 0) {
      throw bad(
        "handle_long_generation",
        "We cannot use `hole` to handle this generation the number of desired tokens exceeds the models max length",
      );
    }
    return {
      input_ids: row.input_ids.slice(-kept),
      ...(row.attention_mask && { attention_mask: row.attention_mask.slice(-kept) }),
    };
  }
}

/** An assistant's last message is the start of its answer, unless the caller says otherwise. */
function continuesChat(chat: Chat, asked: boolean | null | undefined): boolean {
  return asked ?? chat.at(-1)?.role === "assistant";
}

async function generateRows(
  parts: Parts,
  rows: readonly EncodedRow[],
  settled: SettledOptions,
  defaults: GenerationDefaults,
): Promise<Generated[]> {
  // A prompt without tokens starts from BOS, in a batch of its own.
  const isEmpty = ({ input_ids }: EncodedRow): boolean => input_ids.length === 0;
  if (rows.length > 1 && rows.some(isEmpty)) {
    const each: Generated[] = [];
    for (const row of rows) each.push(...(await generateRows(parts, [row], settled, defaults)));
    return each;
  }
  const { model, tokenizer } = parts;
  const { config } = defaults;
  const { generate, prefixLength } = settled;
  const batch = isEmpty(rows[0]!) ? undefined : batchOf(rows, tokenizer, { side: "left" });
  const length = batch?.input_ids[0]?.length ?? 1;
  const { sequences, ...details } = await model.generate({
    tokenizer: { decode: (ids) => decode(parts, ids, {}) },
    generation_config: config,
    ...lengthWithin(defaults, generate, length, await model.contextLength()),
    ...generate,
    ...withPrefixLength(generate, config, prefixLength),
    ...batch,
    return_dict_in_generate: true,
  });
  const each = sequences.length / rows.length;
  const { scores, logits, sequences_scores, beam_indices } = details;
  const wantsDetails = generate.return_dict_in_generate ?? config.return_dict_in_generate;
  const steps = (all: GenerateOutput["scores"], row: number): Float32Array[][] | undefined =>
    all && all[0]?.length === sequences.length
      ? all.map((step) => step.slice(row * each, (row + 1) * each) as Float32Array[])
      : undefined;
  return rows.map((_, row) => {
    const own = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
      list?.slice(row * each, (row + 1) * each);
    return {
      prompt: batch?.input_ids[row] ?? [],
      sequences: own(sequences)!,
      ...(wantsDetails &&
        withoutUndefined({
          scores: steps(scores, row),
          logits: steps(logits, row),
          sequences_scores: own(sequences_scores),
          beam_indices: own(beam_indices),
        })),
    };
  });
}

/** Ids that no token has, of a vocabulary that the model fills up, have no text. */
function decode(
  { tokenizer }: Parts,
  ids: readonly number[],
  options: Parameters<Parts["tokenizer"]["decode"]>[1],
): string {
  return tokenizer.decode(
    ids.filter((id) => tokenizer.idToToken(id) !== undefined),
    options,
  );
}

function recordsOf(
  parts: Parts,
  prompt: string | Chat,
  { prompt: ids, sequences, scores, logits, sequences_scores, beam_indices }: Generated,
  { own, returns }: SettledOptions,
): (GeneratedText<string | Chat> | GeneratedTokens)[] {
  const settings = {
    skip_special_tokens: own.skip_special_tokens ?? true,
    clean_up_tokenization_spaces: own.clean_up_tokenization_spaces ?? true,
  };
  const promptLength = decode(parts, ids, settings).length;
  return sequences.map((sequence, i) => {
    const details: GenerationDetails = withoutUndefined({
      scores: scores?.map((step) => step[i]!),
      logits: logits?.map((step) => step[i]!),
      sequences_scores: sequences_scores?.[i],
      beam_indices: beam_indices?.[i],
    });
    if (returns === "tensors") return { generated_token_ids: [...sequence], ...details };
    const text = decode(parts, sequence, settings).slice(promptLength);
    const generated_text = returns === "new-text" ? text : wholeText(prompt, text, own);
    return { generated_text, ...details };
  });
}

function wholeText(
  prompt: string | Chat,
  text: string,
  { continue_final_message }: SettledOptions["own"],
): string | Chat {
  if (typeof prompt === "string") return prompt + text;
  if (!continuesChat(prompt, continue_final_message)) {
    return [...prompt, { role: "assistant", content: text }];
  }
  const { role, content } = prompt.at(-1)!;
  return [...prompt.slice(0, -1), { role, content: `${content ?? ""}${text}` }];
}
