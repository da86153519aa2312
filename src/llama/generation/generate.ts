/**
 * `generate` of transformers 4.57 (generation/utils.py) over any GenerativeModel: greedy search,
 * sampling, beam search, beam sampling and assisted decoding, by the fields of a GenerationConfig.
 */
import { PronkError, throwIfAborted } from "../../errors.ts";
import {
  inPython,
  invalid,
  type TokenRows,
} from "../../generate/logits-processors/logits-processor.ts";
import { assistedDecoding } from "./assisted.ts";
import { beamSearch } from "./beam-search.ts";
import { AssistedCandidateGenerator, PromptLookupCandidateGenerator } from "./candidates.ts";
import { type GenerateOptions, OPTION_NAMES } from "./generate-options.ts";
import { GenerationConfig, type GenerationMode } from "./generation-config.ts";
import { GENERATION_DEFAULTS } from "./generation-fields.ts";
import type { GenerateOutput, GenerationRun } from "./generation-run.ts";
import type { GenerativeModel } from "./generative-model.ts";
import { UnbatchedClassifierFreeGuidanceLogitsProcessor } from "./guidance.ts";
import { withModelDefaults } from "./model-defaults.ts";
import { type PreparedInputs, prepareInputs } from "./prepare-inputs.ts";
import { mergeCustom, processorsOf } from "./processors-of.ts";
import { sample } from "./sample.ts";
import {
  EosTokenCriteria,
  MaxLengthCriteria,
  MaxTimeCriteria,
  type StoppingCriteria,
  StoppingCriteriaList,
  StopStringCriteria,
} from "./stopping-criteria.ts";
import { refuseUnsupported } from "./validate-config.ts";

/**
 * Generates: (rows, length) ids, the prompt included (unless it was embeddings), rows filled up with
 * pad_token_id; with return_dict_in_generate an object that also has what is asked for.
 *
 * @throws PronkError "bad_request" with `param`, "unsupported", "context_overflow", "aborted".
 */
export function generate(
  model: GenerativeModel,
  options: GenerateOptions & { readonly return_dict_in_generate: true },
): Promise<GenerateOutput>;
export function generate(
  model: GenerativeModel,
  options: GenerateOptions & { readonly return_dict_in_generate?: false },
): Promise<number[][]>;
export function generate(
  model: GenerativeModel,
  options: GenerateOptions,
): Promise<number[][] | GenerateOutput>;
export async function generate(
  model: GenerativeModel,
  options: GenerateOptions,
): Promise<number[][] | GenerateOutput> {
  try {
    return await start(model, options);
  } catch (error) {
    options.streamer?.fail?.(error);
    throw error;
  }
}

async function start(
  model: GenerativeModel,
  options: GenerateOptions,
): Promise<number[][] | GenerateOutput> {
  throwIfAborted(options.signal);
  const config = resolveConfig(model, options);
  refuseUnsupported(config);
  const mode = config.getGenerationMode(options.assistant_model !== undefined);
  checkMode(mode, model, config, options);
  const inputs = prepareInputs(model, config, options);
  settleLengths(config, model, options, inputs);

  const expand = Math.max(config.num_beams, config.num_return_sequences);
  const input_ids = repeated(inputs.input_ids, expand);
  const eos = config.eos_token_id === null ? undefined : [config.eos_token_id].flat();
  const guidance = guidanceOf(model, config, options, inputs);
  const run: GenerationRun = {
    model,
    config,
    input_ids,
    prompts: inputs.prompts,
    expand,
    eos,
    pad: config.pad_token_id ?? eos?.[0],
    processors: processorsOf(config, {
      promptLength: input_ids[0].length,
      eos,
      ...(inputs.embedded === undefined && { encoder_input_ids: input_ids }),
      ...(options.prefix_allowed_tokens_fn && {
        prefix_allowed_tokens_fn: options.prefix_allowed_tokens_fn,
      }),
      ...(options.logits_processor && { custom: options.logits_processor }),
      ...(guidance && { guidance }),
    }),
    stopping: stoppingOf(config, eos, options),
    streamer: options.streamer,
    seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    signal: options.signal,
  };
  options.streamer?.put(input_ids);
  try {
    const output = await method(mode, run, options);
    return config.return_dict_in_generate ? output : output.sequences;
  } finally {
    guidance?.dispose();
  }
}

function method(
  mode: GenerationMode,
  run: GenerationRun,
  { assistant_model }: GenerateOptions,
): Promise<GenerateOutput> {
  if (mode === "beam_search" || mode === "beam_sample") return beamSearch(run);
  if (mode !== "assisted_generation") return sample(run);
  const candidates = assistant_model
    ? new AssistedCandidateGenerator(run, assistant_model)
    : new PromptLookupCandidateGenerator(run);
  return assistedDecoding(run, candidates);
}

/** The caller's fields over `generation_config` over the model's defaults. */
function resolveConfig(model: GenerativeModel, options: GenerateOptions): GenerationConfig {
  const own = options.generation_config;
  const isFilled = own !== undefined && options.use_model_defaults !== false;
  const config = isFilled
    ? withModelDefaults(own, model.generation_config)
    : new GenerationConfig({ ...(own ?? model.generation_config).toDict() });
  const fields = Object.fromEntries(
    Object.entries(options).filter(([name]) => !OPTION_NAMES.includes(name)),
  );
  const unused = Object.keys(config.update(fields));
  if (unused.length > 0) {
    throw invalid(
      unused[0],
      `The following \`model_kwargs\` are not used by the model: ${inPython(unused)} (note: typos in the generate arguments will also show up in this list)`,
    );
  }
  return config;
}

function checkMode(
  mode: GenerationMode,
  model: GenerativeModel,
  config: GenerationConfig,
  { streamer, assistant_model, inputs_embeds }: GenerateOptions,
): void {
  if (config.num_beams > 1 && streamer) {
    throw invalid(
      "streamer",
      "`streamer` cannot be used with beam search (yet!). Make sure that `num_beams` is set to 1.",
    );
  }
  if (mode === "assisted_generation" && config.num_return_sequences > 1) {
    throw invalid(
      "num_return_sequences",
      `num_return_sequences has to be 1 when doing assisted generate, but is ${config.num_return_sequences}.`,
    );
  }
  if (!assistant_model) return;
  const own = model.config.vocab_size;
  const { vocab_size } = assistant_model.config;
  if (vocab_size !== own) {
    throw new PronkError(
      "unsupported",
      `generate: assistant_model: a vocabulary of ${vocab_size} beside ${own}; universal assisted decoding`,
      { param: "assistant_model" },
    );
  }
  if (inputs_embeds) {
    throw new PronkError("unsupported", "generate: inputs_embeds with an assistant_model", {
      param: "inputs_embeds",
    });
  }
}

/** max_length and min_length become ids of a row, as the reference counts them. */
function settleLengths(
  config: GenerationConfig,
  model: GenerativeModel,
  options: GenerateOptions,
  { input_ids, embedded }: PreparedInputs,
): void {
  const length = input_ids[0].length;
  const isEmbedded = embedded !== undefined && embedded !== length;
  if (config.max_new_tokens !== null) config.max_length = config.max_new_tokens + length;
  else if (isEmbedded) config.max_length -= embedded;
  else if (options.max_length === undefined) {
    if (config.max_length === GENERATION_DEFAULTS.max_length) {
      const { max_position_embeddings = Number.POSITIVE_INFINITY } = model.config;
      config.max_length = Math.min(config.max_length + length, max_position_embeddings);
    }
  }
  if (config.min_new_tokens !== null) config.min_length = config.min_new_tokens + length;
  else if (isEmbedded) config.min_length = Math.max(config.min_length - embedded, 0);
  if (length >= config.max_length) {
    throw invalid(
      "max_length",
      `Input length of input_ids is ${length}, but \`max_length\` is set to ${config.max_length}. This can lead to unexpected behavior. You should consider increasing \`max_length\` or, better yet, setting \`max_new_tokens\`.`,
    );
  }
}

function guidanceOf(
  model: GenerativeModel,
  config: GenerationConfig,
  { negative_prompt_ids, negative_prompt_attention_mask }: GenerateOptions,
  { input_ids, embedded }: PreparedInputs,
): UnbatchedClassifierFreeGuidanceLogitsProcessor | undefined {
  const { guidance_scale } = config;
  if (guidance_scale === null || guidance_scale === 1) return undefined;
  if (embedded !== undefined && input_ids[0].length === 0 && !negative_prompt_ids) {
    throw invalid("negative_prompt_ids", "guidance from embeddings needs `negative_prompt_ids`");
  }
  return new UnbatchedClassifierFreeGuidanceLogitsProcessor(guidance_scale, model, {
    ...(negative_prompt_ids && { unconditional_ids: negative_prompt_ids }),
    ...(negative_prompt_attention_mask && {
      unconditional_attention_mask: negative_prompt_attention_mask,
    }),
    use_cache: config.use_cache,
    max_new_tokens: config.max_length - input_ids[0].length,
  });
}

function stoppingOf(
  config: GenerationConfig,
  eos: readonly number[] | undefined,
  { stopping_criteria = [], tokenizer }: GenerateOptions,
): StoppingCriteriaList {
  const list: StoppingCriteria[] = [new MaxLengthCriteria(config.max_length)];
  if (config.max_time !== null) list.push(new MaxTimeCriteria(config.max_time));
  if (config.stop_strings !== null) {
    if (!tokenizer) {
      throw invalid(
        "tokenizer",
        "There are one or more stop strings, either in the arguments to `generate` or in the model's generation config, but we could not locate a tokenizer. When generating with stop strings, you must pass the model's tokenizer to the `tokenizer` argument of `generate`.",
      );
    }
    list.push(new StopStringCriteria(tokenizer, config.stop_strings));
  }
  if (eos !== undefined) list.push(new EosTokenCriteria(eos));
  return new StoppingCriteriaList(mergeCustom(list, [...stopping_criteria]));
}

function repeated(rows: TokenRows, times: number): TokenRows {
  return rows.flatMap((row) => new Array<readonly number[]>(times).fill(row));
}
