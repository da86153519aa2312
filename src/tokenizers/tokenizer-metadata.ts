/**
 * The `tokenizer.ggml.*` metadata of a GGUF file, checked.
 *
 * Source: docs/gguf.md of ggml-org/ggml, and llama_vocab::load() of llama.cpp for the defaults.
 */
import { PronkError } from "../errors.ts";
import type { MetadataValue, PackedStrings } from "../formats/model-file.ts";
import { printable } from "../formats/printable.ts";
import { MAX_VOCAB, TokenType } from "./vocabulary.ts";

const PREFIX = "tokenizer.ggml.";

/** What GGUF writers put for "no such token". */
const NO_TOKEN = [-1, 0xffffffff];

/** Longer tokens are unknown in practice (Llama 3's longest has 128 bytes); it bounds scratch. */
const MAX_TOKEN_BYTES = 4096;

export interface TokenizerMetadata {
  readonly model: "gpt2" | "llama";
  readonly pre: string | undefined;
  readonly tokens: PackedStrings;
  /** A TokenType per token. */
  readonly types: Uint8Array;
  /** Of SentencePiece: higher merges first. */
  readonly scores: Float32Array | undefined;
  /** Of byte-level BPE, in rank order: two pieces with a space between. */
  readonly merges: PackedStrings | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly unkId: number | undefined;
  readonly padId: number | undefined;
  readonly eotId: number | undefined;
  readonly eomId: number | undefined;
  readonly addBos: boolean | undefined;
  readonly addEos: boolean | undefined;
  readonly addSpacePrefix: boolean | undefined;
  readonly spacePrefixOnce: boolean | undefined;
}

/**
 * Our own key, as GGUF has none: of `legacy: false` tokenizers, which put a space in front of a text
 * only where it begins.
 */
export const SPACE_PREFIX_ONCE = "pronk.tokenizer.space_prefix_once";

/** "bad_format", naming the key at fault. */
export function badMetadata(key: string, why: string): PronkError {
  return new PronkError("bad_format", `${PREFIX}${key}: ${why}`);
}

/**
 * Reads what describes the tokenizer.
 *
 * @throws PronkError "bad_format" naming the key; "unsupported" for other tokenizer models.
 */
export function readTokenizerMetadata(
  metadata: ReadonlyMap<string, MetadataValue>,
): TokenizerMetadata {
  const get = (key: string): MetadataValue | undefined => metadata.get(PREFIX + key);
  const flag = (key: string): boolean | undefined => {
    const value = get(key);
    if (value !== undefined && typeof value !== "boolean") throw badMetadata(key, "not a boolean");
    return value;
  };

  const model = get("model");
  if (model === undefined) throw badMetadata("model", "missing: the file holds no tokenizer");
  if (model !== "gpt2" && model !== "llama") {
    const found = typeof model === "string" ? printable(model) : typeof model;
    throw new PronkError("unsupported", `${PREFIX}model: ${found}; supported: gpt2, llama`);
  }
  const tokens = packedStrings("tokens", get("tokens"));
  if (tokens === undefined) throw badMetadata("tokens", "missing");
  const vocab = tokens.length;
  if (vocab === 0 || vocab > MAX_VOCAB) throw badMetadata("tokens", `${vocab} of them`);
  for (let id = 0; id < vocab; id++) {
    const length = tokens.offsets[id + 1]! - tokens.offsets[id]!;
    if (length > MAX_TOKEN_BYTES) throw badMetadata("tokens", `token ${id} has ${length} bytes`);
  }
  const pre = get("pre");
  if (pre !== undefined && typeof pre !== "string") throw badMetadata("pre", "not a string");

  const id = (key: string): number | undefined => {
    const value = get(key);
    if (value === undefined || NO_TOKEN.includes(Number(value))) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value >= vocab) {
      throw badMetadata(key, `${String(value)} is none of ${vocab} tokens`);
    }
    return value;
  };
  const ids = {
    bosId: id("bos_token_id"),
    eosId: id("eos_token_id"),
    unkId: id("unknown_token_id"),
    padId: id("padding_token_id"),
    eotId: id("eot_token_id"),
    eomId: id("eom_token_id"),
  };
  const scores = numbers("scores", get("scores"), vocab);
  return {
    model,
    pre,
    tokens,
    types: tokenTypes(numbers("token_type", get("token_type"), vocab), vocab, ids),
    scores: scores === undefined ? undefined : Float32Array.from(scores),
    merges: packedStrings("merges", get("merges")),
    ...ids,
    addBos: flag("add_bos_token"),
    addEos: flag("add_eos_token"),
    addSpacePrefix: flag("add_space_prefix"),
    spacePrefixOnce: metadata.get(SPACE_PREFIX_ONCE) === true,
  };
}

/** Without types, the named special tokens are still not text. */
function tokenTypes(
  given: ArrayLike<number> | undefined,
  vocab: number,
  ids: Record<string, number | undefined>,
): Uint8Array {
  const types = new Uint8Array(vocab).fill(TokenType.normal);
  if (given === undefined) {
    for (const id of Object.values(ids)) if (id !== undefined) types[id] = TokenType.control;
    if (ids.unkId !== undefined) types[ids.unkId] = TokenType.unknown;
    return types;
  }
  for (let id = 0; id < vocab; id++) {
    const type = given[id]!;
    // 0 is "undefined" in GGUF; llama.cpp treats such tokens as normal ones.
    if (type === 0) continue;
    if (!(type >= TokenType.normal && type <= TokenType.byte)) {
      throw badMetadata("token_type", `token ${id} has type ${type}`);
    }
    types[id] = type;
  }
  return types;
}

function packedStrings(key: string, value: MetadataValue | undefined): PackedStrings | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || !("offsets" in value)) {
    throw badMetadata(key, "not an array of strings");
  }
  return value;
}

function numbers(
  key: string,
  value: MetadataValue | undefined,
  vocab: number,
): ArrayLike<number> | undefined {
  if (value === undefined) return undefined;
  if (
    typeof value !== "object" ||
    "offsets" in value ||
    value instanceof BigUint64Array ||
    value instanceof BigInt64Array
  ) {
    throw badMetadata(key, "not an array of numbers");
  }
  if (value.length !== vocab) throw badMetadata(key, `${value.length} for ${vocab} tokens`);
  return value;
}
