/**
 * Reads tokenizer.json of Hugging Face's tokenizers: the vocabulary and the merges of its BPE model
 * as bytes, everything else as the small JSON objects that it is.
 *
 * Source: Tokenizer's serialization in huggingface/tokenizers, version "1.0".
 */
import { PronkError } from "../errors.ts";
import type { PackedStrings } from "../formats/model-file.ts";
import { PackedStringsBuilder } from "../formats/packed-strings.ts";
import { MAX_PAIRS } from "./hashing.ts";
import { JsonScanner, type StringBytes, textOf } from "./json-scanner.ts";
import { MAX_VOCAB } from "./vocabulary.ts";

/** A token that is searched in texts, beside the model's; names as in the file. */
export interface AddedToken {
  readonly content: string;
  /** Only where no letter, digit or underscore is next to it. */
  readonly single_word: boolean;
  /** White space before it belongs to it. */
  readonly lstrip: boolean;
  /** White space behind it belongs to it. */
  readonly rstrip: boolean;
  /** Searched in the normalized text. */
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface BpeModel {
  readonly unk_token: string | undefined;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  /** Token i of the file has the id ids[i]. */
  readonly tokens: PackedStrings;
  readonly ids: Uint32Array;
  /** Merge k joins the strings 2k and 2k + 1, in rank order. */
  readonly merges: PackedStrings;
}

export interface TokenizerJson {
  readonly model: BpeModel;
  readonly added_tokens: readonly (AddedToken & { readonly id: number })[];
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly post_processor: unknown;
  readonly decoder: unknown;
}

/** Added tokens of a file; the largest known has 2,000. */
export const MAX_ADDED: number = 1 << 16;

/** Longer tokens are unknown in practice; it bounds what a search for them costs. */
const MAX_ADDED_CHARS = 4096;

/** @throws PronkError "bad_format" saying where; "unsupported" for other models than BPE. */
export function readTokenizerJson(bytes: Uint8Array, name = "tokenizer.json"): TokenizerJson {
  const scanner = new JsonScanner(bytes, name);
  const parts: Record<string, unknown> = {};
  let model: BpeModel | undefined;
  scanner.object((key) => {
    const field = textOf(key);
    if (field === "model") model = readModel(scanner, name);
    else if (SMALL_PARTS.includes(field)) parts[field] = scanner.value();
    else scanner.skip();
  });
  scanner.end();
  if (model === undefined) throw new PronkError("bad_format", `${name}: no model`);
  return {
    model,
    added_tokens: checkAddedTokens(parts.added_tokens ?? [], name),
    normalizer: parts.normalizer ?? null,
    pre_tokenizer: parts.pre_tokenizer ?? null,
    post_processor: parts.post_processor ?? null,
    decoder: parts.decoder ?? null,
  };
}

const SMALL_PARTS: readonly string[] = [
  "added_tokens",
  "normalizer",
  "pre_tokenizer",
  "post_processor",
  "decoder",
];

function readModel(scanner: JsonScanner, name: string): BpeModel {
  const fields: Record<string, unknown> = {};
  let vocab: { tokens: PackedStrings; ids: Uint32Array } | undefined;
  let merges: PackedStrings | undefined;
  scanner.object((key) => {
    const field = textOf(key);
    if (field === "vocab") {
      // Unigram's is an array; `type` may come behind it.
      if (scanner.peek() === 0x7b) vocab = readVocab(scanner);
      else scanner.skip();
    } else if (field === "merges") merges = readMerges(scanner);
    else fields[field] = scanner.value();
  });
  // Files from before the field existed hold BPE when they have merges.
  const type = fields.type ?? (merges === undefined ? "none" : "BPE");
  const unsupported = (what: string): PronkError =>
    new PronkError("unsupported", `${name}: ${what}`);
  if (type !== "BPE") throw unsupported(`model ${String(type)}; supported: BPE`);
  for (const field of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (fields[field]) throw unsupported(`model.${field}`);
  }
  if (fields.dropout) throw unsupported("model.dropout: ids would be random");
  if (vocab === undefined || merges === undefined) {
    throw new PronkError("bad_format", `${name}: model without vocab or merges`);
  }
  const flag = (field: string): boolean => {
    const value = fields[field] ?? false;
    if (typeof value === "boolean") return value;
    throw new PronkError("bad_format", `${name}: model.${field} is not a boolean`);
  };
  const unk = fields.unk_token ?? undefined;
  if (unk !== undefined && typeof unk !== "string") {
    throw new PronkError("bad_format", `${name}: model.unk_token is not a string`);
  }
  return {
    unk_token: unk,
    fuse_unk: flag("fuse_unk"),
    byte_fallback: flag("byte_fallback"),
    ignore_merges: flag("ignore_merges"),
    ...vocab,
    merges,
  };
}

function readVocab(scanner: JsonScanner): { tokens: PackedStrings; ids: Uint32Array } {
  const tokens = new PackedStringsBuilder(1024);
  let ids = new Uint32Array(1024);
  let count = 0;
  scanner.object(({ bytes, start, end }) => {
    if (count === MAX_VOCAB) throw scanner.bad(`more than ${MAX_VOCAB} tokens`);
    tokens.push(bytes, start, end);
    if (count === ids.length) {
      const grown = new Uint32Array(count * 2);
      grown.set(ids);
      ids = grown;
    }
    const id = scanner.integer();
    if (id >= MAX_VOCAB) throw scanner.bad(`token id ${id}`);
    ids[count++] = id;
  });
  return { tokens: tokens.build(), ids: ids.slice(0, count) };
}

/** Items are `["a", "b"]`, or `"a b"` in older files. */
function readMerges(scanner: JsonScanner): PackedStrings {
  const merges = new PackedStringsBuilder(2048);
  const push = ({ bytes, start, end }: StringBytes): void => merges.push(bytes, start, end);
  let count = 0;
  scanner.array(() => {
    if (++count > MAX_PAIRS) throw scanner.bad(`more than ${MAX_PAIRS} merges`);
    if (scanner.peek() === 0x22) {
      const { bytes, start, end } = scanner.string();
      // From the second byte on: the pieces of a merge are not empty.
      const space = bytes.indexOf(0x20, start + 1);
      if (space < 0 || space + 1 >= end) throw scanner.bad("a merge that is not two pieces");
      merges.push(bytes, start, space);
      merges.push(bytes, space + 1, end);
      return;
    }
    let parts = 0;
    scanner.array(() => {
      if (++parts > 2) throw scanner.bad("a merge that is not two pieces");
      push(scanner.string());
    });
    if (parts !== 2) throw scanner.bad("a merge that is not two pieces");
  });
  return merges.build();
}

function checkAddedTokens(value: unknown, name: string): TokenizerJson["added_tokens"] {
  const bad = (why: string): PronkError =>
    new PronkError("bad_format", `${name}: added_tokens: ${why}`);
  if (!Array.isArray(value) || value.length > MAX_ADDED) throw bad("not a list of tokens");
  return value.map((entry: unknown, i) => {
    const token = toAddedToken(entry);
    const id = (entry as { id?: unknown } | null)?.id;
    if (token === undefined) throw bad(`entry ${i} is not a token`);
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MAX_VOCAB) {
      throw bad(`entry ${i} has the id ${String(id)}`);
    }
    return { ...token, id };
  });
}

/** An added token from JSON: an object with `content` and flags; undefined when it is none. */
export function toAddedToken(value: unknown): AddedToken | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entry = value as Record<string, unknown>;
  const { content } = entry;
  if (typeof content !== "string" || content.length > MAX_ADDED_CHARS) return undefined;
  const special = entry.special === true;
  return {
    content,
    single_word: entry.single_word === true,
    lstrip: entry.lstrip === true,
    rstrip: entry.rstrip === true,
    normalized: typeof entry.normalized === "boolean" ? entry.normalized : !special,
    special,
  };
}
