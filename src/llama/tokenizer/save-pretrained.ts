/**
 * The files of a saved tokenizer, by the names and with the fields that transformers gives them, so
 * that either reads what the other wrote.
 *
 * Source: save_pretrained(), save_chat_templates() and _save_pretrained() in transformers 4.57.
 */
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import { type FileSink, writeFile } from "./tokenizer-files.ts";
import { NO_MAX_LENGTH } from "./tokenizer-options.ts";

export interface SavePretrainedOptions {
  /**
   * Of fast tokenizers: true for tokenizer.model without tokenizer.json, false for tokenizer.json
   * alone; null, the default, for what there is of both.
   */
  readonly legacy_format?: boolean | null;
  /** Stands before each name, with a hyphen. */
  readonly filename_prefix?: string;
  /** A single chat template is written as chat_template.jinja, not in the configuration. Default true. */
  readonly save_jinja_files?: boolean;
}

export interface SavedTokenizer {
  readonly className: string;
  /** Of tokenizer_config.json, beside what follows. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly roles: Readonly<Record<string, string | readonly string[]>>;
  /** By id. */
  readonly added: Readonly<Record<number, AddedToken>>;
  readonly vocabSize: number;
  readonly chatTemplate: string | Readonly<Record<string, string>> | null;
  /** The vocabulary: tokenizer.model, tokenizer.json. */
  readonly files: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** Ids behind the model's stand in this file of old, too. */
const ADDED_TOKENS_NAME = "added_tokens.json";

/** @returns the names of the files, in the order they were written. */
export async function saveTokenizer(
  sink: FileSink,
  saved: SavedTokenizer,
  options: SavePretrainedOptions,
): Promise<string[]> {
  const { filename_prefix, save_jinja_files = true } = options;
  const prefix = filename_prefix ? `${filename_prefix}-` : "";
  const names: string[] = [];
  const write = async (name: string, content: Uint8Array | string): Promise<void> => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await writeFile(sink, prefix + name, bytes);
    names.push(prefix + name);
  };
  const { chatTemplate: template, added, roles } = saved;
  const inConfig =
    template !== null && (typeof template !== "string" || !save_jinja_files)
      ? { chat_template: typeof template === "string" ? template : namedList(template) }
      : {};
  await write(
    "tokenizer_config.json",
    toPythonJson({
      ...saved.config,
      ...roles,
      ...inConfig,
      extra_special_tokens: {},
      added_tokens_decoder: added,
      tokenizer_class: saved.className,
    }),
  );
  await write("special_tokens_map.json", toPythonJson(withFlags(roles, added)));
  if (typeof template === "string" && save_jinja_files) {
    await write("chat_template.jinja", template);
  }
  for (const [name, bytes] of saved.files) await write(name, bytes);
  const behind = Object.entries(added).filter(([id]) => Number(id) >= saved.vocabSize);
  const isLegacy = saved.files.some(([name]) => name === "tokenizer.model");
  if (isLegacy && behind.length > 0) {
    const ids = Object.fromEntries(behind.map(([id, { content }]) => [content, Number(id)]));
    await write(ADDED_TOKENS_NAME, toPythonJson(ids));
  }
  return names;
}

function namedList(templates: Readonly<Record<string, string>>): unknown {
  return Object.entries(templates).map(([name, template]) => ({ name, template }));
}

/** Special tokens with their flags, but for `special`, which goes without saying. */
function withFlags(
  roles: SavedTokenizer["roles"],
  added: SavedTokenizer["added"],
): Record<string, unknown> {
  const tokens = new Map(Object.values(added).map((token) => [token.content, token]));
  const objectOf = (content: string): unknown => {
    const { special: _, ...flags } = tokens.get(content) ?? { content, special: true };
    return flags;
  };
  return Object.fromEntries(
    Object.entries(roles).map(([role, value]) => [
      role,
      typeof value === "string" ? objectOf(value) : value.map(objectOf),
    ]),
  );
}

/** As json.dumps(indent=2, sort_keys=True, ensure_ascii=False) writes it. */
function toPythonJson(value: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(sorted(value), null, 2);
  return `${text.replace(`: ${NO_MAX_LENGTH}`, `: ${BigInt(NO_MAX_LENGTH)}`)}\n`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
