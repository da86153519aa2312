/**
 * What the text-generation pipeline takes, and which of it is for the tokenizer, for `generate` and for the result.
 *
 * Source: TextGenerationPipeline._sanitize_parameters() and Pipeline.__init__() in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { GenerateOptions } from "../generation/generate-options.ts";
import { GenerationConfig } from "../generation/generation-config.ts";
import type { GenerationFields } from "../generation/generation-fields.ts";
import { withModelDefaults } from "../generation/model-defaults.ts";
import type { LlamaForCausalLM } from "../modeling/llama-for-causal-lm.ts";
import type { ChatTemplateOptions } from "../tokenizer/chat.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import type { TokenizerKwargs } from "./model-rows.ts";
import { withoutUndefined } from "./pipeline-object.ts";
import type { RunOptions } from "./run-stages.ts";

/** Every option of `generate` but its inputs is one, too. */
export interface TextGenerationOptions
  extends Omit<
      GenerateOptions,
      "input_ids" | "inputs_embeds" | "attention_mask" | "tokenizer" | "max_length"
    >,
    Pick<TokenizerKwargs, "add_special_tokens" | "padding" | "truncation">,
    RunOptions {
  /** Of `generate`; given in a call it is the tokenizer's, too, which cuts the prompt. */
  readonly max_length?: number;
  /** Give the prompt, too. Default true; of chats: give the whole chat. */
  readonly return_full_text?: boolean | null;
  /** Give `generated_token_ids`. */
  readonly return_tensors?: boolean | null;
  /** Give `generated_text`, as without. */
  readonly return_text?: boolean | null;
  /** Default true. */
  readonly clean_up_tokenization_spaces?: boolean | null;
  /** Default true. */
  readonly skip_special_tokens?: boolean | null;
  /** In front of each prompt, not in the result. Default: the configuration's. */
  readonly prefix?: string | null;
  /** "hole" cuts the start of a prompt that leaves no room for the tokens asked for. */
  readonly handle_long_generation?: "hole" | null;
  /** The text ends with one of this text's tokens. */
  readonly stop_sequence?: string | null;
  /** Of chats. Default: where the last message is the assistant's. */
  readonly continue_final_message?: boolean | null;
  /** Options for the tokenizer, of chats for applyChatTemplate. */
  readonly tokenizer_encode_kwargs?: ChatTemplateOptions;
  /** Of `stop_strings`. Default: the pipeline's. */
  readonly tokenizer?: GenerateOptions["tokenizer"];
}

export type ReturnType = "tensors" | "new-text" | "full-text";

/** What is the pipeline's own: `generate` gets the others. */
export type OwnOptions = Pick<
  TextGenerationOptions,
  | "add_special_tokens"
  | "padding"
  | "truncation"
  | "return_full_text"
  | "return_tensors"
  | "return_text"
  | "clean_up_tokenization_spaces"
  | "skip_special_tokens"
  | "prefix"
  | "handle_long_generation"
  | "stop_sequence"
  | "continue_final_message"
  | "tokenizer_encode_kwargs"
  | "batch_size"
  | "num_workers"
>;

const OWN: readonly (keyof OwnOptions)[] = [
  "add_special_tokens",
  "padding",
  "truncation",
  "return_full_text",
  "return_tensors",
  "return_text",
  "clean_up_tokenization_spaces",
  "skip_special_tokens",
  "prefix",
  "handle_long_generation",
  "stop_sequence",
  "continue_final_message",
  "tokenizer_encode_kwargs",
  "batch_size",
  "num_workers",
];

/** transformers' TextGenerationPipeline._default_generation_config. */
const DEFAULTS = { max_new_tokens: 256, do_sample: true, temperature: 0.7 } as const;
const GLOBAL_MAX_LENGTH = 20;

export interface GenerationDefaults {
  readonly config: GenerationConfig;
  /** What was given to the pipeline and is no field of a configuration. */
  readonly options: TextGenerationOptions;
  /** How long texts become is nobody's wish: they end where the model's context does. */
  readonly isLengthOpen: boolean;
}

/**
 * Options that a pipeline is made with over the model's generation_config; where both say nothing: 256 new tokens,
 * sampled at 0.7. As there, those three win over the model's.
 *
 * @throws PronkError "bad_request" naming the field.
 */
export function generationDefaults(
  model: LlamaForCausalLM,
  tokenizer: PreTrainedTokenizerBase,
  given: TextGenerationOptions,
): GenerationDefaults {
  const config = withModelDefaults(new GenerationConfig(DEFAULTS), model.generation_config);
  const rest = config.update({ ...withoutUndefined(given) });
  if (
    config.max_new_tokens === DEFAULTS.max_new_tokens &&
    config.max_length !== GLOBAL_MAX_LENGTH
  ) {
    config.max_new_tokens = null;
  }
  const { prefix, task_specific_params: params } = model.config.extra;
  const { prefix: ofTask, ...fields } = taskParams(params);
  config.update(fields);
  if (config.pad_token_id === null) config.pad_token_id = tokenizer.pad_token_id;
  const own = ofTask ?? prefix;
  return {
    config,
    options: { ...(typeof own === "string" && { prefix: own }), ...rest },
    isLengthOpen: !hasLength(given) && !hasLength(fields),
  };
}

function hasLength(options: TextGenerationOptions): boolean {
  const { max_new_tokens, max_length, generation_config } = options;
  return (max_new_tokens ?? max_length ?? generation_config ?? undefined) !== undefined;
}

/**
 * The default lengths, as far as a context of `ctx` positions has room behind the prompt; transformers goes on
 * beyond it.
 */
export function lengthWithin(
  { config, isLengthOpen }: GenerationDefaults,
  call: TextGenerationOptions,
  promptLength: number,
  ctx: number,
): Partial<Pick<GenerationFields, "max_new_tokens" | "max_length">> {
  if (!isLengthOpen || hasLength(call) || promptLength >= ctx) return {};
  const { max_new_tokens, max_length } = config;
  if (max_new_tokens === null) return { max_length: Math.min(max_length, ctx) };
  return { max_new_tokens: Math.min(max_new_tokens, ctx - promptLength) };
}

function taskParams(value: unknown): Readonly<Record<string, unknown>> {
  const params = (value as Readonly<Record<string, unknown>> | null | undefined)?.[
    "text-generation"
  ];
  return typeof params === "object" && params !== null ? (params as Record<string, unknown>) : {};
}

/** The options of a call over those of the pipeline. */
export interface SettledOptions {
  readonly own: OwnOptions;
  readonly returns: ReturnType;
  /** Of the call and of what the pipeline was made with. */
  readonly generate: Omit<GenerateOptions, "input_ids" | "attention_mask">;
  /** Tokens of the prefix. */
  readonly prefixLength: number;
}

/** @throws PronkError "bad_request" where options exclude each other. */
export function settleOptions(
  options: TextGenerationOptions,
  tokenizer: PreTrainedTokenizerBase,
): SettledOptions {
  const own: Record<string, unknown> = {};
  const generate: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    ((OWN as readonly string[]).includes(name) ? own : generate)[name] = value;
  }
  const { handle_long_generation: hole, stop_sequence, prefix, add_special_tokens } = options;
  if (hole !== undefined && hole !== null && hole !== "hole") {
    throw bad(
      "handle_long_generation",
      `${hole} is not a valid value for \`handle_long_generation\` parameter expected [None, 'hole']`,
    );
  }
  if (typeof stop_sequence === "string") {
    generate.eos_token_id = tokenizer.encode(stop_sequence, { add_special_tokens: false });
  }
  const special = { add_special_tokens: add_special_tokens ?? false };
  return {
    own: own as OwnOptions,
    returns: returnType(options),
    generate: generate as SettledOptions["generate"],
    prefixLength: prefix ? tokenizer.encode(prefix, special).length : 0,
  };
}

function returnType(options: TextGenerationOptions): ReturnType {
  const isSet = (value: unknown): boolean => value !== undefined && value !== null;
  const { return_full_text, return_tensors, return_text } = options;
  const excludes = (one: string, other: string): PronkError =>
    bad(other, `\`${one}\` is mutually exclusive with \`${other}\``);
  if (isSet(return_full_text)) {
    if (isSet(return_text)) throw excludes("return_text", "return_full_text");
    if (isSet(return_tensors)) throw excludes("return_full_text", "return_tensors");
    return return_full_text ? "full-text" : "new-text";
  }
  if (!isSet(return_tensors)) return "full-text";
  if (isSet(return_text)) throw excludes("return_text", "return_tensors");
  return return_tensors ? "tensors" : "full-text";
}

/** max_length and min_length count the prefix as the prompt's, where nothing counts new tokens. */
export function withPrefixLength(
  generate: Readonly<Partial<GenerationFields>> & { readonly generation_config?: GenerationConfig },
  config: GenerationConfig,
  prefixLength: number,
): Partial<GenerationFields> {
  if (prefixLength === 0) return {};
  const own = generate.generation_config;
  const isSet = (name: "max_new_tokens" | "min_new_tokens"): boolean =>
    name in generate || (own?.[name] ?? null) !== null;
  return {
    ...(!isSet("max_new_tokens") && {
      max_length: (generate.max_length || config.max_length) + prefixLength,
    }),
    ...(!isSet("min_new_tokens") &&
      generate.min_length !== undefined && { min_length: generate.min_length + prefixLength }),
  };
}

export function bad(param: string, why: string): PronkError {
  return new PronkError("bad_request", `text-generation: ${param}: ${why}`, { param });
}
