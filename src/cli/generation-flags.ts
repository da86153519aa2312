/**
 * Generation settings of a chat as `key=value`, under Hugging Face's names.
 *
 * Source: transformers/commands/chat.py (4.57), parse_generate_flags and its defaults.
 */
import type { GenerateRequest } from "../generate/request.ts";
import { UsageError } from "./arguments.ts";

/** Hugging Face's fields, and `seed`, which there is set outside. */
export interface ChatSettings {
  readonly max_new_tokens: number;
  readonly do_sample: boolean;
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly min_p: number;
  readonly typical_p: number;
  readonly repetition_penalty: number;
  readonly eos_token_id: readonly number[] | null;
  readonly seed: number | null;
}

/** Of `transformers chat`: GenerationConfig's, but for the first two. */
export const CHAT_DEFAULTS: ChatSettings = {
  max_new_tokens: 256,
  do_sample: true,
  temperature: 1,
  top_k: 50,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  repetition_penalty: 1,
  eos_token_id: null,
  seed: null,
};

/** Of a generation_config.json: fields that say nothing about how the next token is chosen. */
const NEUTRAL = [
  "_from_model_config",
  "transformers_version",
  "bos_token_id",
  "pad_token_id",
  "max_length",
  "use_cache",
  "cache_implementation",
];

type Field = keyof ChatSettings;

interface Rule {
  readonly wanted: string;
  readonly accepts: (value: unknown) => boolean;
}

const within =
  (min: number, max: number, isInteger = false) =>
  (value: unknown): boolean =>
    typeof value === "number" &&
    value >= min &&
    value <= max &&
    (!isInteger || Number.isInteger(value));

const isId = within(0, 2 ** 31 - 1, true);

const RULES: Readonly<Record<Field, Rule>> = {
  max_new_tokens: { wanted: "an integer from 1", accepts: within(1, 2 ** 31 - 1, true) },
  do_sample: { wanted: "True or False", accepts: (value) => typeof value === "boolean" },
  temperature: { wanted: "a number from 0 to 2", accepts: within(0, 2) },
  top_k: { wanted: "an integer from 0", accepts: within(0, 2 ** 31 - 1, true) },
  top_p: { wanted: "a number from 0 to 1", accepts: within(0, 1) },
  min_p: { wanted: "a number from 0 to 1", accepts: within(0, 1) },
  typical_p: { wanted: "a number from 0 to 1", accepts: within(0, 1) },
  repetition_penalty: { wanted: "a number above 0", accepts: within(Number.MIN_VALUE, 1e6) },
  eos_token_id: {
    wanted: "an id or a list of ids",
    accepts: (value) =>
      value === null || isId(value) || (Array.isArray(value) && value.every(isId)),
  },
  seed: { wanted: "an integer from 0", accepts: (value) => value === null || isId(value) },
};

/** Whether a word of the command line is a setting, not a model. */
export function isGenerationFlag(word: string): boolean {
  return /^[a-z_]+=/i.test(word);
}

/** @throws UsageError on a setting that is unknown here, or a value that is none. */
export function parseGenerationFlags(
  words: readonly string[],
  settings: ChatSettings,
): ChatSettings {
  const fields: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 1) throw new UsageError(`${word}: not of the form name=value`);
    fields[word.slice(0, at)] = parseValue(word.slice(at + 1));
  }
  return applyFields(fields, settings);
}

/**
 * The settings of a generation_config.json.
 *
 * @throws UsageError on one that changes the output and cannot be had here.
 */
export function settingsOfFile(
  data: Readonly<Record<string, unknown>>,
  settings: ChatSettings,
): ChatSettings {
  const fields = Object.entries(data).filter(
    ([name, value]) => !NEUTRAL.includes(name) && value !== null && value !== false,
  );
  return applyFields(Object.fromEntries(fields), {
    ...settings,
    do_sample: data.do_sample === true,
  });
}

/** What the engine is asked for. */
export function requestOf(settings: ChatSettings): Omit<GenerateRequest, "prompt_ids" | "n_keep"> {
  const { max_new_tokens, do_sample, temperature, top_k, top_p, min_p, typical_p } = settings;
  const { repetition_penalty, eos_token_id, seed } = settings;
  return {
    max_tokens: max_new_tokens,
    repetition_penalty,
    ...(do_sample ? { temperature, top_k, top_p, min_p, typical_p } : { temperature: 0 }),
    ...(eos_token_id !== null && { stop_ids: eos_token_id }),
    ...(seed !== null && { seed }),
  };
}

function applyFields(
  fields: Readonly<Record<string, unknown>>,
  settings: ChatSettings,
): ChatSettings {
  const next: Record<string, unknown> = { ...settings };
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(RULES, name)) {
      const known = Object.keys(RULES).join(", ");
      throw new UsageError(`${name}: no setting of a chat; there are ${known}`);
    }
    const { wanted, accepts } = RULES[name as Field];
    if (!accepts(value)) throw new UsageError(`${name}=${JSON.stringify(value)}: not ${wanted}`);
    next[name] = name === "eos_token_id" && typeof value === "number" ? [value] : value;
  }
  return next as unknown as ChatSettings;
}

/** `True`, `None`, `0.7`, `[1,2]`. */
function parseValue(text: string): unknown {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  if (text === "None") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
