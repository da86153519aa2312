/** The files of a tokenizer: from a folder, or as bytes by name. */
import { PronkError } from "../../errors.ts";
import { parseBoundedJson } from "../../formats/bounded-json.ts";
import { type OutputFolder, writeWhole } from "../../formats/output-file.ts";
import { readAll, type SourceFolder } from "../../sources/source.ts";
import { MAX_ADDED } from "../../tokenizers/tokenizer-json.ts";
import { optionsOfConfig, type TokenizerOptions } from "./tokenizer-options.ts";

/** Bytes by file name: `tokenizer.json`, `tokenizer_config.json` and the others. */
export type FilesByName = Readonly<Record<string, Uint8Array>>;

/** Larger ones are not tokenizers: Llama 4's tokenizer.json has 28 MB. */
const MAX_TOKENIZER_BYTES = 128 << 20;
const MAX_CONFIG_BYTES = 16 << 20;

export interface TokenizerFiles {
  readonly name: string;
  readonly tokenizerJson: Uint8Array | undefined;
  readonly tokenizerModel: Uint8Array | undefined;
  readonly options: TokenizerOptions;
  /** `tokenizer_class` of the configuration. */
  readonly className: string | undefined;
}

/**
 * Reads what there is of tokenizer.json, tokenizer.model, tokenizer_config.json,
 * special_tokens_map.json, added_tokens.json and chat_template.jinja.
 *
 * @throws PronkError "not_found" when there is no tokenizer; "bad_format".
 */
export async function readTokenizerFiles(
  source: SourceFolder | FilesByName,
  signal?: AbortSignal,
): Promise<TokenizerFiles> {
  const read = readerOf(source, signal);
  const tokenizerJson = await read("tokenizer.json", MAX_TOKENIZER_BYTES);
  const tokenizerModel = await read("tokenizer.model", MAX_TOKENIZER_BYTES);
  const name = isFolder(source) ? source.name : "tokenizer";
  if (tokenizerJson === undefined && tokenizerModel === undefined) {
    throw new PronkError("not_found", `${name}: neither tokenizer.json nor tokenizer.model`);
  }
  const json = async (file: string): Promise<Record<string, unknown>> => {
    const bytes = await read(file, MAX_CONFIG_BYTES);
    return bytes === undefined ? {} : parseObject(bytes, file);
  };
  const config = await json("tokenizer_config.json");
  const options = optionsOfConfig(config, await json("special_tokens_map.json"));
  const template = await read("chat_template.jinja", MAX_CONFIG_BYTES);
  const added = await json("added_tokens.json");
  return {
    name,
    tokenizerJson,
    tokenizerModel,
    className: typeof config.tokenizer_class === "string" ? config.tokenizer_class : undefined,
    options: {
      ...options,
      ...(template === undefined ? {} : { chat_template: new TextDecoder().decode(template) }),
      ...(options.added_tokens_decoder !== undefined || Object.keys(added).length === 0
        ? {}
        : { added_tokens_decoder: byId(added) }),
    },
  };
}

/** added_tokens.json of older files: ids by text. */
function byId(added: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.entries(added);
  if (given.length > MAX_ADDED) {
    throw new PronkError("bad_format", `added_tokens.json: ${given.length} tokens`);
  }
  const entries = given.map(([content, id]) => {
    if (Number.isInteger(id)) return [String(id), content] as const;
    throw new PronkError("bad_format", `added_tokens.json: ${JSON.stringify(content)}`);
  });
  return Object.fromEntries(entries);
}

function isFolder(source: SourceFolder | FilesByName): source is SourceFolder {
  return typeof source.open === "function";
}

function readerOf(
  source: SourceFolder | FilesByName,
  signal: AbortSignal | undefined,
): (name: string, limit: number) => Promise<Uint8Array | undefined> {
  return async (name, limit) => {
    let bytes: Uint8Array | undefined;
    if (isFolder(source)) {
      try {
        const file = await source.open(name, signal);
        if (file.size > limit) throw tooLarge(name, file.size);
        return await readAll(file, signal);
      } catch (error) {
        if (error instanceof PronkError && error.code === "not_found") return undefined;
        throw error;
      }
    }
    if (Object.hasOwn(source, name)) bytes = source[name];
    if (bytes !== undefined && bytes.length > limit) throw tooLarge(name, bytes.length);
    return bytes;
  };
}

function tooLarge(name: string, size: number): PronkError {
  return new PronkError("bad_format", `${name}: ${size} bytes are no tokenizer's`);
}

function parseObject(bytes: Uint8Array, name: string): Record<string, unknown> {
  const value = parseBoundedJson(
    bytes,
    (why, cause) => new PronkError("bad_format", `${name}: ${why}`, { cause }),
  );
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PronkError("bad_format", `${name}: not an object`);
  }
  return value as Record<string, unknown>;
}

/** Where files are written: a function, or a folder. */
export type FileSink =
  | ((name: string, bytes: Uint8Array) => Promise<void> | void)
  | { write(name: string, bytes: Uint8Array): Promise<void> }
  | OutputFolder;

export async function writeFile(sink: FileSink, name: string, bytes: Uint8Array): Promise<void> {
  if (typeof sink === "function") await sink(name, bytes);
  else if ("create" in sink) await writeWhole(sink, name, bytes);
  else await sink.write(name, bytes);
}
