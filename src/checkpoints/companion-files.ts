/** The small files beside a checkpoint's weights: JSON that describes it, and its tokenizer. */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { type ByteSource, readAll, type SourceFolder } from "../sources/source.ts";
import type { Checkpoint, CheckpointFile } from "./checkpoint.ts";

/** Files of a tokenizer, by the names that transformers gives them; tokenizer.model also Meta's. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
] as const;

/** The largest known, a tokenizer.json of 256k tokens, has 34 MB. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** The files of a tokenizer that are in the folder; they are read when they are asked for. */
export async function companionFiles(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<Map<string, CheckpointFile>> {
  const files = new Map<string, CheckpointFile>();
  for (const name of TOKENIZER_FILES) {
    const source = await openIfPresent(folder, name, signal);
    if (source) files.set(name, sourceFile(source));
  }
  return files;
}

/** undefined where the folder has no such object. */
export async function openIfPresent(
  folder: SourceFolder,
  name: string,
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  try {
    return await folder.open(name, signal);
  } catch (error) {
    if (error instanceof PronkError && error.code === "not_found") return undefined;
    throw error;
  }
}

function sourceFile(source: ByteSource): CheckpointFile {
  return { size: source.size, read: (signal) => readFile(source, signal) };
}

async function readFile(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array> {
  if (source.size > MAX_FILE_BYTES) {
    throw new PronkError(
      "bad_format",
      `${source.name}: ${source.size} bytes, at most ${MAX_FILE_BYTES}`,
    );
  }
  return readAll(source, signal);
}

/** @throws PronkError "bad_format" when it is not one JSON object. */
export async function readJson(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  return parseJson(await readFile(source, signal), source.name);
}

/** @throws PronkError "bad_format" when the bytes are not one JSON object. */
export function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  const value = parseBoundedJson(
    bytes,
    (why, cause) => new PronkError("bad_format", `${where}: ${why}`, { cause }),
  );
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PronkError("bad_format", `${where}: is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** The chat template: chat_template.jinja, else tokenizer_config.json's, of several the one called "default". */
export async function checkpointTemplate(
  { name, files }: Pick<Checkpoint, "name" | "files">,
  signal?: AbortSignal,
): Promise<string | null> {
  const own = await files?.get("chat_template.jinja")?.read(signal);
  if (own) return new TextDecoder().decode(own);
  const bytes = await files?.get("tokenizer_config.json")?.read(signal);
  if (!bytes) return null;
  const { chat_template: found } = parseJson(bytes, `${name}: tokenizer_config.json`);
  if (typeof found === "string") return found;
  if (!Array.isArray(found)) return null;
  const entry = found.find((item) => item?.name === "default") ?? found[0];
  return typeof entry?.template === "string" ? entry.template : null;
}
