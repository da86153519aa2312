/**
 * A Hugging Face tokenizer as GGUF metadata: byte-level BPE as `gpt2`, BPE with byte fallback (Llama 2's)
 * as `llama`, which merges by scores in place of merges.
 *
 * Source: LlamaModel.set_vocab and get_vocab_base_pre of llama.cpp's convert_hf_to_gguf.py.
 */
import { PronkError } from "../errors.ts";
import type { GgufValue } from "../formats/gguf/write-gguf.ts";
import { packedString, packStrings } from "../formats/packed-strings.ts";
import { readSentencePieceModel } from "../tokenizers/sentencepiece-model.ts";
import { SPACE_PREFIX_ONCE } from "../tokenizers/tokenizer-metadata.ts";
import { MAX_VOCAB, TokenType } from "../tokenizers/vocabulary.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { checkpointTemplate, parseJson } from "./companion-files.ts";
import { tiktokenMetadata } from "./tiktoken-metadata.ts";

/** What llama.cpp calls the tokenizer of a model that has none. */
export const NO_VOCAB = "no_vocab";

type Metadata = Map<string, GgufValue>;

/**
 * The tokenizer's metadata and the chat template, from tokenizer.json, else from a tokenizer.model of
 * SentencePiece or tiktoken; of a checkpoint without either that there is no vocabulary.
 *
 * @throws PronkError "bad_format" when tokenizer.json is not what it claims; "unsupported" on another
 *   model or pattern of words than GGUF has a name for.
 */
export async function tokenizerMetadata(
  checkpoint: Checkpoint,
  vocab: number,
  signal?: AbortSignal,
): Promise<Metadata> {
  const metadata = await vocabularyMetadata(checkpoint, vocab, signal);
  if (metadata.get("tokenizer.ggml.model")?.value === NO_VOCAB) return metadata;
  const template = await checkpointTemplate(checkpoint, signal);
  if (template !== null) metadata.set("tokenizer.chat_template", text(template));
  return metadata;
}

async function vocabularyMetadata(
  checkpoint: Checkpoint,
  vocab: number,
  signal: AbortSignal | undefined,
): Promise<Metadata> {
  const { files, name: where } = checkpoint;
  const read = async (file: string): Promise<Record<string, unknown> | undefined> => {
    const bytes = await files?.get(file)?.read(signal);
    return bytes && parseJson(bytes, `${where}: ${file}`);
  };
  const json = await read("tokenizer.json");
  const config = (await read("tokenizer_config.json")) ?? {};
  const model = json ? undefined : await files?.get("tokenizer.model")?.read(signal);
  if (model) {
    const name = `${where}: tokenizer.model`;
    return model[0] === FIRST_OF_SENTENCEPIECE
      ? sentencePieceModelMetadata(model, config, name, vocab)
      : tiktokenMetadata(model, vocab, name);
  }
  if (!json) return new Map([["tokenizer.ggml.model", text(NO_VOCAB)]]);
  const tokenizer = readTokenizer(json, `${where}: tokenizer.json`, vocab);
  const metadata: Metadata = tokenizer.byteLevel
    ? byteLevelMetadata(json, tokenizer, `${where}: tokenizer.json`)
    : sentencePieceMetadata(json, tokenizer);
  for (const [kind, field] of SPECIAL_TOKENS) {
    const id = specialId(config[field], tokenizer) ?? configId(checkpoint, `${field}_id`, vocab);
    if (id !== undefined)
      metadata.set(`tokenizer.ggml.${kind}_token_id`, { type: "u32", value: id });
  }
  const adds = templateAdds(json.post_processor);
  const bos = typeof config.add_bos_token === "boolean" ? config.add_bos_token : adds.before;
  const eos = typeof config.add_eos_token === "boolean" ? config.add_eos_token : adds.after;
  metadata.set("tokenizer.ggml.add_bos_token", { type: "bool", value: bos });
  metadata.set("tokenizer.ggml.add_eos_token", { type: "bool", value: eos });
  return metadata;
}

/** GGUF's names of special tokens and tokenizer_config.json's. */
const SPECIAL_TOKENS = [
  ["bos", "bos_token"],
  ["eos", "eos_token"],
  ["unknown", "unk_token"],
  ["padding", "pad_token"],
] as const;

interface Tokenizer {
  readonly byteLevel: boolean;
  /** By id. */
  readonly tokens: readonly string[];
  readonly types: Int32Array;
  readonly ids: ReadonlyMap<string, number>;
  /** Two pieces each, in rank order. */
  readonly merges: readonly (readonly [string, string])[];
}

function readTokenizer(
  json: Readonly<Record<string, unknown>>,
  where: string,
  vocab: number,
): Tokenizer {
  const bad = (why: string): PronkError => new PronkError("bad_format", `${where}: ${why}`);
  const model = record(json.model);
  if (model?.type !== undefined && model.type !== "BPE") {
    throw new PronkError("unsupported", `${where}: model ${String(model.type)}; written: BPE`);
  }
  const entries = record(model?.vocab);
  if (!model || !entries) throw bad("model.vocab is not an object");
  const byteFallback = model.byte_fallback === true;
  const tokens = Array.from({ length: Math.min(vocab, MAX_VOCAB) }, (_, id) => `[PAD${id}]`);
  const types = new Int32Array(tokens.length).fill(TokenType.unused);
  const put = (token: string, id: unknown, type: number): void => {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= tokens.length) {
      throw bad(`token ${JSON.stringify(token).slice(0, 40)}: id ${String(id)} of ${vocab}`);
    }
    tokens[id as number] = token;
    types[id as number] = type;
  };
  for (const [token, id] of Object.entries(entries)) {
    const isByte = byteFallback && /^<0x[0-9A-F]{2}>$/.test(token);
    const isUnknown = byteFallback && token === model.unk_token;
    const type = isByte ? TokenType.byte : isUnknown ? TokenType.unknown : TokenType.normal;
    put(token, id, type);
  }
  for (const added of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
    const { content, id, special } = record(added) ?? {};
    if (typeof content !== "string") throw bad("an added token has no content");
    const isUnknown = byteFallback && content === model.unk_token;
    if (!isUnknown) put(content, id, special ? TokenType.control : TokenType.userDefined);
  }
  const merges = (Array.isArray(model.merges) ? model.merges : []).map((merge: unknown) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((p) => typeof p === "string")) {
      throw bad("a merge is not a pair of tokens");
    }
    return pair as unknown as readonly [string, string];
  });
  const ids = new Map(tokens.map((token, id) => [token, id]));
  return { byteLevel: !byteFallback, tokens, types, ids, merges };
}

function common(model: string, { tokens, types }: Tokenizer): Metadata {
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", text(model)],
    ["tokenizer.ggml.tokens", { type: "strings", value: packStrings(tokens) }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
  ]);
}

/** What every message of a protocol buffer's list of pieces begins with; tiktoken's files are text. */
const FIRST_OF_SENTENCEPIECE = 0x0a;

/** Meta's tokenizer.model of Llama 1 and 2: pieces with the scores that they were trained with. */
function sentencePieceModelMetadata(
  bytes: Uint8Array,
  config: Readonly<Record<string, unknown>>,
  where: string,
  vocab: number,
): Metadata {
  const found = readSentencePieceModel(bytes, where);
  const count = found.tokens.length;
  if (count > vocab || vocab > MAX_VOCAB)
    throw new PronkError("bad_format", `${where}: ${count} pieces of ${vocab}`);
  const added = record(config.added_tokens_decoder) ?? {};
  const types = new Int32Array(vocab).fill(TokenType.unused);
  types.set(found.types);
  const tokens = Array.from({ length: vocab }, (_, id) => {
    if (id < count) return packedString(found.tokens, id);
    const { content, special } = record(added[id]) ?? {};
    if (typeof content !== "string") return `[PAD${id}]`;
    types[id] = special ? TokenType.control : TokenType.userDefined;
    return content;
  });
  const scores = new Float32Array(vocab);
  if (found.scores) scores.set(found.scores);
  const flag = (value: unknown, byDefault: boolean): GgufValue => ({
    type: "bool",
    value: typeof value === "boolean" ? value : byDefault,
  });
  const metadata = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.pre", text("default")],
    ["tokenizer.ggml.tokens", { type: "strings", value: packStrings(tokens) }],
    ["tokenizer.ggml.scores", { type: "f32s", value: scores }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ["tokenizer.ggml.add_space_prefix", flag(found.addSpacePrefix, true)],
    ["tokenizer.ggml.add_bos_token", flag(config.add_bos_token, found.bosId !== undefined)],
    ["tokenizer.ggml.add_eos_token", flag(config.add_eos_token, false)],
  ]);
  if (config.legacy === false) setSpacePrefixOnce(metadata);
  const ids = { bos: found.bosId, eos: found.eosId, unknown: found.unkId, padding: found.padId };
  for (const [kind, id] of Object.entries(ids)) {
    if (id !== undefined) {
      metadata.set(`tokenizer.ggml.${kind}_token_id`, { type: "u32", value: id });
    }
  }
  return metadata;
}

/** A piece's score is the order of the merge that makes it: the first has the highest. */
function sentencePieceMetadata(
  json: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer,
): Metadata {
  const { tokens, ids, merges } = tokenizer;
  const scores = new Float32Array(tokens.length);
  const scored = new Uint8Array(tokens.length);
  let rank = 0;
  for (const [left, right] of merges) {
    const id = ids.get(left + right);
    if (id === undefined || scored[id]) continue;
    scores[id] = -rank++;
    scored[id] = 1;
  }
  const metadata = common("llama", tokenizer);
  metadata.set("tokenizer.ggml.pre", text("default"));
  metadata.set("tokenizer.ggml.scores", { type: "f32s", value: scores });
  metadata.set("tokenizer.ggml.add_space_prefix", {
    type: "bool",
    value: prependsSpace(json.normalizer, json.pre_tokenizer),
  });
  if (metaspaceOf(json.pre_tokenizer)?.prepend_scheme === "first") setSpacePrefixOnce(metadata);
  return metadata;
}

/** By a normalizer that prepends U+2581, or a Metaspace that does. */
function prependsSpace(normalizer: unknown, preTokenizer: unknown): boolean {
  const steps = [record(normalizer), ...list(record(normalizer)?.normalizers).map(record)];
  if (steps.some((step) => step?.type === "Prepend")) return true;
  const metaspace = metaspaceOf(preTokenizer);
  return metaspace !== undefined && metaspace.prepend_scheme !== "never";
}

function metaspaceOf(preTokenizer: unknown): Record<string, unknown> | undefined {
  const steps = [record(preTokenizer), ...list(record(preTokenizer)?.pretokenizers).map(record)];
  return steps.find((step) => step?.type === "Metaspace");
}

function setSpacePrefixOnce(metadata: Metadata): void {
  metadata.set(SPACE_PREFIX_ONCE, { type: "bool", value: true });
}

function byteLevelMetadata(
  json: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer,
  where: string,
): Metadata {
  const metadata = common("gpt2", tokenizer);
  const ignoresMerges = record(json.model)?.ignore_merges === true;
  metadata.set("tokenizer.ggml.pre", text(wordPattern(json.pre_tokenizer, ignoresMerges, where)));
  metadata.set("tokenizer.ggml.merges", {
    type: "strings",
    value: packStrings(tokenizer.merges.map((pair) => pair.join(" "))),
  });
  return metadata;
}

/** Llama 3's, as all its tokenizers write it. */
const LLAMA3_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The name that llama.cpp has for how texts are split into words. */
function wordPattern(value: unknown, ignoresMerges: boolean, where: string): string {
  const whole = record(value);
  const steps = whole?.type === "Sequence" ? list(whole.pretokenizers).map(record) : [whole];
  const kinds = steps.map((step) => step?.type).join();
  const regex = record(steps[0]?.pattern)?.Regex;
  if (kinds === "Split,ByteLevel" && regex === LLAMA3_WORDS) {
    return ignoresMerges ? "llama-bpe" : "smaug-bpe";
  }
  const usesRegex = steps.at(-1)?.use_regex !== false;
  if (!ignoresMerges && usesRegex) {
    if (kinds === "Digits,ByteLevel" && steps[0]?.individual_digits === true) return "smollm";
    if (kinds === "ByteLevel") return "gpt-2";
  }
  throw new PronkError(
    "unsupported",
    `${where}: pre_tokenizer ${kinds || "none"}: GGUF has no name for this pattern of words`,
  );
}

function specialId(token: unknown, { ids }: Tokenizer): number | undefined {
  const content = typeof token === "string" ? token : record(token)?.content;
  return typeof content === "string" ? ids.get(content) : undefined;
}

/** Of several ends the first. */
function configId({ config }: Checkpoint, field: string, vocab: number): number | undefined {
  const [id] = [config[field]].flat();
  return typeof id === "number" && id >= 0 && id < vocab ? id : undefined;
}

/** Whether the post-processor's template puts a special token before or behind the text. */
function templateAdds(value: unknown): { before: boolean; after: boolean } {
  const whole = record(value);
  const steps = whole?.type === "Sequence" ? list(whole.processors).map(record) : [whole];
  const single = list(steps.find((step) => step?.type === "TemplateProcessing")?.single);
  const isSpecial = (item: unknown): boolean => record(item)?.SpecialToken !== undefined;
  return {
    before: single.length > 1 && isSpecial(single[0]),
    after: single.length > 1 && isSpecial(single.at(-1)),
  };
}

function text(value: string): GgufValue {
  return { type: "string", value };
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
