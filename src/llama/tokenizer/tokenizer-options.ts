/** Options of every tokenizer class: those of transformers' constructors and tokenizer_config.json. */
import { PronkError } from "../../errors.ts";
import type { Side } from "../../tokenizers/pipeline/encoding.ts";
import { type AddedToken, MAX_ADDED, toAddedToken } from "../../tokenizers/tokenizer-json.ts";
import type { TokenLike } from "./batch-encoding.ts";

/** Attributes that name special tokens. */
export const SPECIAL_ATTRIBUTES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
export type SpecialAttribute = (typeof SPECIAL_ATTRIBUTES)[number];

export interface TokenizerOptions {
  readonly bos_token?: TokenLike | null;
  readonly eos_token?: TokenLike | null;
  readonly unk_token?: TokenLike | null;
  readonly sep_token?: TokenLike | null;
  readonly pad_token?: TokenLike | null;
  readonly cls_token?: TokenLike | null;
  readonly mask_token?: TokenLike | null;
  readonly additional_special_tokens?: readonly TokenLike[];
  readonly add_bos_token?: boolean;
  readonly add_eos_token?: boolean;
  /** Null, the default, is true: the handling of spaces before transformers 4.31. */
  readonly legacy?: boolean | null;
  readonly add_prefix_space?: boolean | null;
  readonly clean_up_tokenization_spaces?: boolean;
  readonly use_default_system_prompt?: boolean;
  readonly spaces_between_special_tokens?: boolean;
  readonly sp_model_kwargs?: Readonly<Record<string, unknown>> | null;
  readonly model_max_length?: number;
  readonly padding_side?: Side;
  readonly truncation_side?: Side;
  readonly model_input_names?: readonly string[];
  readonly split_special_tokens?: boolean;
  /** Jinja; several by name, of which `default` is used unless another is asked for. */
  readonly chat_template?: string | Readonly<Record<string, string>> | null;
  /** Told once of a text that begins with BOS and gets another; see also `warnings`. */
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Added tokens by id, as in tokenizer_config.json. */
  readonly added_tokens_decoder?: Readonly<Record<string, TokenLike>>;
}

/** What transformers has for "no limit". */
export const NO_MAX_LENGTH = 1e30;

/** A token of an option, with the flags that it has by default. */
export function tokenOf(token: TokenLike, special: boolean): AddedToken {
  if (typeof token !== "string") {
    const checked = toAddedToken({ special, normalized: !special, ...token });
    if (checked === undefined) throw badToken(token);
    return checked;
  }
  const checked = toAddedToken({ content: token, special, normalized: !special });
  if (checked === undefined) throw badToken(token);
  return checked;
}

function badToken(token: unknown): PronkError {
  const shown = JSON.stringify(token)?.slice(0, 100);
  return new PronkError("bad_request", `tokenizer: ${shown} is not a token`);
}

/**
 * The options in a tokenizer_config.json and the files beside it. Unknown fields are left out.
 *
 * @throws PronkError "bad_format" naming the field.
 */
export function optionsOfConfig(
  config: Readonly<Record<string, unknown>>,
  specialTokensMap: Readonly<Record<string, unknown>> = {},
): TokenizerOptions {
  const out: Record<string, unknown> = {};
  const take = (key: string, valid: (value: unknown) => boolean): void => {
    const value = config[key] ?? specialTokensMap[key];
    if (value === undefined || value === null) return;
    if (!valid(value)) throw new PronkError("bad_format", `tokenizer_config.json: ${key}`);
    out[key] = value;
  };
  const isToken = (value: unknown): boolean =>
    typeof value === "string" || toAddedToken(value) !== undefined;
  const isSide = (value: unknown): boolean => value === "left" || value === "right";
  const isBoolean = (value: unknown): boolean => typeof value === "boolean";
  for (const key of SPECIAL_ATTRIBUTES) take(key, isToken);
  for (const key of BOOLEANS) take(key, isBoolean);
  take("padding_side", isSide);
  take("truncation_side", isSide);
  take("model_max_length", (value) => typeof value === "number" && value > 0);
  const isList = (value: unknown): boolean =>
    Array.isArray(value) && value.length <= MAX_ADDED && value.every(isToken);
  take("additional_special_tokens", isList);
  take("model_input_names", (value) => isList(value) && (value as unknown[]).every(isString));
  take("sp_model_kwargs", (value) => typeof value === "object");
  take(
    "added_tokens_decoder",
    (value) => typeof value === "object" && isList(Object.values(value as object)),
  );
  const { chat_template } = config;
  if (typeof chat_template === "string") out.chat_template = chat_template;
  else if (Array.isArray(chat_template)) out.chat_template = namedTemplates(chat_template);
  return out;
}

const BOOLEANS = [
  "add_bos_token",
  "add_eos_token",
  "legacy",
  "add_prefix_space",
  "clean_up_tokenization_spaces",
  "use_default_system_prompt",
  "spaces_between_special_tokens",
  "split_special_tokens",
];

/** Options that stay as they were given, of which files keep a copy. */
const KEPT = [
  "add_prefix_space",
  "model_input_names",
  "padding_side",
  "sp_model_kwargs",
  "spaces_between_special_tokens",
  "split_special_tokens",
  "truncation_side",
] as const;

export function savedOptions(options: TokenizerOptions): Record<string, unknown> {
  const given = KEPT.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

function isString(value: unknown): boolean {
  return typeof value === "string";
}

/** `[{name, template}, ...]`. */
function namedTemplates(list: readonly unknown[]): Record<string, string> {
  return Object.fromEntries(
    list.map((entry) => {
      const { name, template } = (entry ?? {}) as Record<string, unknown>;
      if (typeof name !== "string" || typeof template !== "string") {
        throw new PronkError("bad_format", "tokenizer_config.json: chat_template");
      }
      return [name, template];
    }),
  );
}
