/**
 * Refuses what cannot be: in the reference's words where it refuses too, as "unsupported" where the
 * reference can and we cannot.
 */
import { PronkError } from "../../errors.ts";
import {
  inPython,
  invalid,
  isCount,
  pythonFloat,
} from "../../generate/logits-processors/logits-processor.ts";
import type { GenerationFields } from "./generation-fields.ts";

const CACHES = [
  "static",
  "offloaded_static",
  "sliding_window",
  "hybrid",
  "hybrid_chunked",
  "offloaded_hybrid",
  "offloaded_hybrid_chunked",
  "dynamic",
  "dynamic_full",
  "offloaded",
  "quantized",
];

/** What belongs to `generate` itself. */
const ARGUMENTS = [
  "logits_processor",
  "stopping_criteria",
  "prefix_allowed_tokens_fn",
  "synced_gpus",
  "assistant_model",
  "streamer",
  "negative_prompt_ids",
  "negative_prompt_attention_mask",
  "use_model_defaults",
];

/** Fields without effect unless do_sample, with the value that says nothing. */
const SAMPLING_ONLY = {
  temperature: 1,
  top_p: 1,
  min_p: null,
  typical_p: 1,
  top_k: 50,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
} as const;

/**
 * @returns what is allowed and has no effect, by field.
 * @throws PronkError "bad_request"; with `strict` also for those.
 */
export function validateGenerationConfig(
  config: GenerationFields,
  strict: boolean,
): Map<string, string> {
  refuse(config);
  const issues = new Map<string, string>();
  if (config.pad_token_id !== null && config.pad_token_id < 0) {
    issues.set(
      "pad_token_id",
      `\`pad_token_id\` should be positive but got ${config.pad_token_id}. This will cause errors when batch generating, if there is padding.`,
    );
  }
  if (!config.do_sample) {
    for (const [name, idle] of Object.entries(SAMPLING_ONLY)) {
      const value = config[name as keyof typeof SAMPLING_ONLY];
      if (value === null || value === idle) continue;
      issues.set(
        name,
        `\`do_sample\` is set to \`False\`. However, \`${name}\` is set to \`${inPython(value)}\` -- this flag is only used in sample-based generation modes. You should set \`do_sample=True\` or unset \`${name}\`.`,
      );
    }
  }
  if (config.num_beams === 1) {
    const beamOnly = { early_stopping: false, length_penalty: 1 } as const;
    for (const [name, idle] of Object.entries(beamOnly)) {
      const value = config[name as keyof typeof beamOnly];
      if (value === idle) continue;
      issues.set(
        name,
        `\`num_beams\` is set to 1. However, \`${name}\` is set to \`${inPython(value)}\` -- this flag is only used in beam-based generation modes. You should set \`num_beams>1\` or unset \`${name}\`.`,
      );
    }
  }
  if (!config.use_cache) {
    for (const name of ["cache_implementation", "cache_config", "return_legacy_cache"] as const) {
      if (config[name] === null) continue;
      issues.set(
        name,
        `You have set \`use_cache\` to \`False\`, but ${name} is set to ${inPython(config[name])}. ${name} will have no effect.`,
      );
    }
  }
  if (!config.return_dict_in_generate) {
    for (const name of [
      "output_attentions",
      "output_hidden_states",
      "output_scores",
      "output_logits",
    ] as const) {
      if (config[name] !== true) continue;
      issues.set(
        name,
        `\`return_dict_in_generate\` is NOT set to \`True\`, but \`${name}\` is. When \`return_dict_in_generate\` is not \`True\`, \`${name}\` is ignored.`,
      );
    }
  }
  if (strict && issues.size > 0) {
    const lines = [...issues].map(([name, text]) => `- \`${name}\`: ${text}`).join("\n");
    throw invalid([...issues.keys()][0], `GenerationConfig is invalid: \n${lines}`);
  }
  return issues;
}

function refuse(config: GenerationFields): void {
  const { early_stopping, max_new_tokens, cache_implementation } = config;
  if (typeof early_stopping !== "boolean" && early_stopping !== "never") {
    throw invalid(
      "early_stopping",
      `\`early_stopping\` must be a boolean or 'never', but is ${inPython(early_stopping)}.`,
    );
  }
  if (max_new_tokens !== null && !(max_new_tokens > 0)) {
    throw invalid(
      "max_new_tokens",
      `\`max_new_tokens\` must be greater than 0, but is ${max_new_tokens}.`,
    );
  }
  if (cache_implementation !== null && !CACHES.includes(cache_implementation)) {
    throw invalid(
      "cache_implementation",
      `Invalid \`cache_implementation\` (${cache_implementation}). Choose one of: ${inPython(CACHES)}`,
    );
  }
  const { num_return_sequences: returned, num_beams: beams } = config;
  if (returned !== 1) {
    if (beams === 1 && !config.do_sample) {
      throw invalid(
        "num_return_sequences",
        `Greedy methods without beam search do not support \`num_return_sequences\` different than 1 (got ${inPython(returned)}).`,
      );
    }
    if (beams !== 1 && returned > beams) {
      throw invalid(
        "num_return_sequences",
        `\`num_return_sequences\` (${inPython(returned)}) has to be smaller or equal to \`num_beams\` (${inPython(beams)}).`,
      );
    }
  }
  for (const name of ARGUMENTS) {
    if (!(name in config)) continue;
    throw invalid(
      name,
      `Argument \`${name}\` is not a valid argument of \`GenerationConfig\`. It should be passed to \`generate()\` (or a pipeline) directly.`,
    );
  }
  refuseTypes(config);
}

/** Beams and rows are memory: so many are a mistake. */
const MOST_ROWS = 4096;

/** What Python would stumble over later, or not at all. */
function refuseTypes(config: GenerationFields): void {
  const counts: [keyof GenerationFields, number, number][] = [
    ["max_length", 0, Number.MAX_SAFE_INTEGER],
    ["max_new_tokens", 1, Number.MAX_SAFE_INTEGER],
    ["min_length", 0, Number.MAX_SAFE_INTEGER],
    ["min_new_tokens", 0, Number.MAX_SAFE_INTEGER],
    ["num_beams", 1, MOST_ROWS],
    ["num_return_sequences", 1, MOST_ROWS],
    ["prefill_chunk_size", 1, Number.MAX_SAFE_INTEGER],
    ["num_assistant_tokens", 1, MOST_ROWS],
    ["prompt_lookup_num_tokens", 1, MOST_ROWS],
    ["max_matching_ngram_size", 1, MOST_ROWS],
  ];
  for (const [name, least, most] of counts) {
    const value = config[name];
    if (value === null || (isCount(value, least) && value <= most)) continue;
    throw invalid(name, `\`${name}\` must be an integer from ${least} on, but is ${show(value)}.`);
  }
  for (const name of ["length_penalty", "max_time"] as const) {
    const value = config[name];
    if (value === null || (typeof value === "number" && Number.isFinite(value))) continue;
    throw invalid(name, `\`${name}\` must be a number, but is ${show(value)}.`);
  }
}

function show(value: unknown): string {
  return typeof value === "number" ? pythonFloat(value) : inPython(value);
}

/**
 * @throws PronkError "unsupported" naming what the reference can do and this package does not.
 */
export function refuseUnsupported(config: GenerationFields): void {
  const refused: [boolean, keyof GenerationFields, string][] = [
    [config.dola_layers !== null, "dola_layers", "DoLa decoding"],
    [
      config.num_beams === 1 &&
        !config.do_sample &&
        (config.top_k ?? 0) > 1 &&
        (config.penalty_alpha ?? 0) > 0,
      "penalty_alpha",
      "contrastive search",
    ],
    [config.num_beam_groups > 1, "num_beam_groups", "group beam search"],
    [config.diversity_penalty !== 0, "diversity_penalty", "group beam search"],
    [config.constraints !== null, "constraints", "constrained beam search"],
    [config.force_words_ids !== null, "force_words_ids", "constrained beam search"],
    [config.assistant_early_exit !== null, "assistant_early_exit", "early exit as an assistant"],
    [config.token_healing, "token_healing", "token healing"],
    [config.watermarking_config !== null, "watermarking_config", "watermarking"],
    [config.low_memory === true, "low_memory", "sequential beam search"],
    [config.return_legacy_cache === true, "return_legacy_cache", "the legacy cache format"],
    [config.cache_config !== null, "cache_config", "a configured cache"],
    [
      /offloaded|quantized/.test(config.cache_implementation ?? ""),
      "cache_implementation",
      `a cache that is ${config.cache_implementation}`,
    ],
    [config.output_attentions, "output_attentions", "attentions of generated tokens"],
    [config.output_hidden_states, "output_hidden_states", "hidden states of generated tokens"],
  ];
  for (const [isSet, param, what] of refused) {
    if (isSet) throw new PronkError("unsupported", `generate: ${param}: ${what}`, { param });
  }
}
