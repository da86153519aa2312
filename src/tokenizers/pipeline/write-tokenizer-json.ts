/**
 * Writes a pipeline as tokenizer.json, as the `tokenizers` library does: from its parts of the file
 * that it was read from, and the compiled vocabulary; of other vocabularies as transformers converts
 * them.
 *
 * Source: Tokenizer's serialization in huggingface/tokenizers; SentencePieceExtractor, LlamaConverter
 * and TikTokenConverter in transformers 4.57.
 */
import { TokenTexts } from "../token-texts.ts";
import type { AddedToken } from "../tokenizer-json.ts";
import type { Vocabulary } from "../vocabulary.ts";
import type { DecoderStep } from "./decoder.ts";
import { NO_POST_PROCESSOR, type PostProcessor, type TemplatePiece } from "./post-processor.ts";
import { LLAMA3_PATTERN, type Recipe } from "./recipe.ts";

/** Parts of a tokenizer.json as they were read. */
export interface JsonSource {
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly post_processor: unknown;
  readonly decoder: unknown;
  readonly unk_token: string | undefined;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
}

export interface WrittenPipeline {
  readonly vocabulary: Vocabulary;
  /** Whether an id is the model's, else it is only an added token's. */
  readonly isModelToken: (id: number) => boolean;
  readonly recipe: Recipe;
  /** By id, ascending. */
  readonly added: readonly (readonly [number, AddedToken])[];
  readonly postProcessor: PostProcessor;
  readonly decoder: readonly DecoderStep[] | undefined;
  /** Undefined for vocabularies of other files. */
  readonly source: JsonSource | undefined;
  /** Whether `postProcessor` is still the source's. */
  readonly sameProcessor: boolean;
  readonly textOf: (id: number) => string;
}

/** The file, pretty-printed; about 17 MB for Llama 3's 128,256 tokens. */
export function writeTokenizerJson(pipeline: WrittenPipeline): Uint8Array {
  const { vocabulary, source, recipe } = pipeline;
  const out = new TextChunks();
  const field = (name: string, value: unknown, indent = 2): void => {
    const lines = JSON.stringify(value, null, 2).replaceAll("\n", `\n${" ".repeat(indent)}`);
    out.push(`${" ".repeat(indent)}"${name}": ${lines},\n`);
  };
  out.push("{\n");
  field("version", "1.0");
  field("truncation", null);
  field("padding", null);
  field(
    "added_tokens",
    pipeline.added.map(([id, token]) => ({ id, ...inFileOrder(token) })),
  );
  const words = source ?? wordsOf(recipe);
  field("normalizer", words.normalizer);
  field("pre_tokenizer", words.pre_tokenizer);
  const processor = processorJson(pipeline.postProcessor, recipe, pipeline.textOf);
  field(
    "post_processor",
    pipeline.sameProcessor && source !== undefined ? source.post_processor : processor,
  );
  field("decoder", source === undefined ? decoderJson(pipeline.decoder) : source.decoder);
  const fallback = vocabulary.kind === "sentencepiece";
  const texts = new TokenTexts(vocabulary);
  const unk = vocabulary.unkId === undefined ? undefined : texts.tokenText(vocabulary.unkId);
  out.push('  "model": {\n');
  field("type", "BPE", 4);
  field("dropout", null, 4);
  field("unk_token", (source === undefined ? unk : source.unk_token) ?? null, 4);
  field("continuing_subword_prefix", null, 4);
  field("end_of_word_suffix", null, 4);
  field("fuse_unk", source?.fuse_unk ?? fallback, 4);
  field("byte_fallback", source?.byte_fallback ?? fallback, 4);
  field("ignore_merges", vocabulary.ignoreMerges, 4);
  writeVocab(out, pipeline, texts);
  writeMerges(out, vocabulary, texts);
  out.push("  }\n}");
  return out.build();
}

function writeVocab(out: TextChunks, pipeline: WrittenPipeline, texts: TokenTexts): void {
  out.push('    "vocab": {');
  let first = true;
  for (let id = 0; id < pipeline.vocabulary.size; id++) {
    if (!pipeline.isModelToken(id)) continue;
    out.push(`${first ? "\n" : ",\n"}      ${JSON.stringify(texts.tokenText(id))}: ${id}`);
    first = false;
  }
  out.push(first ? "},\n" : "\n    },\n");
}

function writeMerges(out: TextChunks, vocabulary: Vocabulary, texts: TokenTexts): void {
  const { left, right, size } = vocabulary;
  out.push('    "merges": [');
  let first = true;
  for (const k of mergeOrder(vocabulary)) {
    // Symbols that are no tokens have no place in this file.
    if (left[k]! >= size || right[k]! >= size) continue;
    const [a, b] = [left[k]!, right[k]!].map((id) => JSON.stringify(texts.tokenText(id)));
    out.push(`${first ? "\n" : ",\n"}      [\n        ${a},\n        ${b}\n      ]`);
    first = false;
  }
  out.push(first ? "]\n" : "\n    ]\n");
}

/**
 * Merges by rank. Of equal ranks the leftmost pair merges first, which a file's order cannot say:
 * they follow as transformers sorts them.
 */
function mergeOrder({
  kind,
  left,
  right,
  merged,
  ranks,
  bytes,
  offsets,
  size,
}: Vocabulary): Uint32Array {
  const order = Uint32Array.from(left, (_, k) => k);
  if (ranks.length === 0) return order;
  const byParts = (a: number, b: number): number => left[a]! - left[b]! || right[a]! - right[b]!;
  if (kind === "byte-level") {
    return order.sort((a, b) => ranks[a]! - ranks[b]! || byParts(a, b));
  }
  const lengths = Uint32Array.from({ length: size }, (_, id) => {
    let characters = 0;
    for (let i = offsets[id]!; i < offsets[id + 1]!; i++) {
      if ((bytes[i]! & 0xc0) !== 0x80) characters++;
    }
    return characters;
  });
  const length = (id: number): number => lengths[id] ?? 1;
  return order.sort(
    (a, b) =>
      ranks[a]! - ranks[b]! ||
      length(left[b]!) - length(left[a]!) ||
      length(right[b]!) - length(right[a]!) ||
      merged[a]! - merged[b]! ||
      byParts(a, b),
  );
}

function inFileOrder(token: AddedToken): AddedToken {
  const { content, single_word, lstrip, rstrip, normalized, special } = token;
  return { content, single_word, lstrip, rstrip, normalized, special };
}

const MARK = "\u2581";

/** How a compiled vocabulary splits text, as transformers' converters write it. */
function wordsOf({ kind, pattern, spacePrefix }: Recipe): {
  normalizer: unknown;
  pre_tokenizer: unknown;
} {
  if (kind === "sentencepiece") {
    if (spacePrefix === "text" || spacePrefix === "unspaced-parts") {
      const prepend_scheme = spacePrefix === "text" ? "first" : "always";
      const step = { type: "Metaspace", replacement: MARK, prepend_scheme, split: false };
      return { normalizer: null, pre_tokenizer: step };
    }
    const prepend = spacePrefix === "parts" ? [{ type: "Prepend", prepend: MARK }] : [];
    const replace = { type: "Replace", pattern: { String: " " }, content: MARK };
    const normalizers = [...prepend, replace];
    return { normalizer: { type: "Sequence", normalizers }, pre_tokenizer: null };
  }
  const bytes = (use_regex: boolean): object => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex,
  });
  if (pattern === "gpt-2") return { normalizer: null, pre_tokenizer: bytes(true) };
  const first =
    pattern === "smollm"
      ? { type: "Digits", individual_digits: true }
      : {
          type: "Split",
          pattern: { Regex: LLAMA3_PATTERN },
          behavior: "Isolated",
          invert: false,
        };
  const pretokenizers = [first, bytes(pattern === "smollm")];
  return { normalizer: null, pre_tokenizer: { type: "Sequence", pretokenizers } };
}

function processorJson(
  processor: PostProcessor,
  { kind }: Recipe,
  textOf: (id: number) => string,
): unknown {
  const { single, pair, trimOffsets, addPrefixSpace } = processor;
  const special: Record<string, unknown> = {};
  const pieceOf = (piece: TemplatePiece): unknown => {
    if (!("ids" in piece)) {
      return { Sequence: { id: piece.sequence === 0 ? "A" : "B", type_id: piece.type_id } };
    }
    const tokens = piece.ids.map(textOf);
    const id = tokens.join("");
    special[id] = { id, ids: piece.ids, tokens };
    return { SpecialToken: { id, type_id: piece.type_id } };
  };
  const template = {
    type: "TemplateProcessing",
    single: single.map(pieceOf),
    pair: pair.map(pieceOf),
    special_tokens: special,
  };
  const hasTemplate =
    JSON.stringify([single, pair]) !==
    JSON.stringify([NO_POST_PROCESSOR.single, NO_POST_PROCESSOR.pair]);
  if (kind === "sentencepiece" && !trimOffsets) return hasTemplate ? template : null;
  const bytes = {
    type: "ByteLevel",
    add_prefix_space: addPrefixSpace || !trimOffsets,
    trim_offsets: trimOffsets,
    use_regex: true,
  };
  return hasTemplate ? { type: "Sequence", processors: [bytes, template] } : bytes;
}

function decoderJson(steps: readonly DecoderStep[] | undefined): unknown {
  if (steps === undefined) return null;
  const decoders = steps.map(stepJson);
  return decoders.length === 1 ? decoders[0] : { type: "Sequence", decoders };
}

function stepJson(step: DecoderStep): unknown {
  switch (step.type) {
    case "byte-level":
      return { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
    case "byte-fallback":
      return { type: "ByteFallback" };
    case "fuse":
      return { type: "Fuse" };
    case "replace":
      return { type: "Replace", pattern: { String: step.from }, content: step.to };
    case "strip":
      return { type: "Strip", content: step.text, start: step.start, stop: step.stop };
    case "metaspace":
      return {
        type: "Metaspace",
        replacement: step.mark,
        prepend_scheme: step.prepended ? "always" : "never",
        split: true,
      };
  }
}

/** Strings are joined in pieces of this many characters before they become bytes. */
const CHUNK_CHARS = 1 << 16;

class TextChunks {
  readonly #encoder = new TextEncoder();
  readonly #chunks: Uint8Array[] = [];
  #text = "";

  push(text: string): void {
    this.#text += text;
    if (this.#text.length >= CHUNK_CHARS) this.#flush();
  }

  #flush(): void {
    this.#chunks.push(this.#encoder.encode(this.#text));
    this.#text = "";
  }

  build(): Uint8Array {
    this.#flush();
    const whole = new Uint8Array(this.#chunks.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }
}
