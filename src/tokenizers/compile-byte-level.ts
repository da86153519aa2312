/**
 * Compiles byte-level BPE (GPT-2's scheme) from GGUF metadata: tokens and merges become bytes, ids
 * and hash tables. About 20 ms for 49,152 tokens.
 */
import { PronkError } from "../errors.ts";
import type { PackedStrings } from "../formats/model-file.ts";
import { unspell } from "./byte-level.ts";
import { hashBytes, MAX_PAIRS, mixHash, PairTable, PieceTable, slotCount } from "./hashing.ts";
import { badMetadata, type TokenizerMetadata } from "./tokenizer-metadata.ts";
import { LITERAL, NO_ID, TokenType, type VocabularyParts, type WordPattern } from "./vocabulary.ts";

interface Preset {
  readonly pattern: WordPattern;
  /** Llama 3's: also that a text begins with BOS unless the file says otherwise. */
  readonly ignoreMerges: boolean;
}

const GPT2: Preset = { pattern: "gpt-2", ignoreMerges: false };
const SMOLLM: Preset = { pattern: "smollm", ignoreMerges: false };
const LLAMA3: Preset = { pattern: "llama-3", ignoreMerges: true };
const LLAMA3_MERGED: Preset = { pattern: "llama-3", ignoreMerges: false };

/** `tokenizer.ggml.pre`, grouped as in llama.cpp (llama_vocab::load). */
const PRESETS: ReadonlyMap<string, Preset> = new Map([
  ["default", GPT2],
  ["gpt-2", GPT2],
  ["phi-2", GPT2],
  ["mpt", GPT2],
  ["olmo", GPT2],
  ["jais", GPT2],
  ["smollm", SMOLLM],
  ["starcoder", SMOLLM],
  ["refact", SMOLLM],
  ["command-r", SMOLLM],
  ["codeshell", SMOLLM],
  ["exaone", SMOLLM],
  ["minerva-7b", SMOLLM],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["llama-bpe", LLAMA3],
  ["falcon3", LLAMA3],
  ["dbrx", LLAMA3_MERGED],
  ["smaug-bpe", LLAMA3_MERGED],
]);

/** Whether a GGUF file's `tokenizer.ggml.pre` names words that are known here. */
export function isKnownPre(pre: unknown): boolean {
  return pre === undefined || (typeof pre === "string" && PRESETS.has(pre));
}

/** Only Llama 3's vocabulary has it; files from before `pre` existed do not name the pattern. */
const LLAMA3_MARK = "<|begin_of_text|>";

/** @throws PronkError "bad_format" naming the key; "unsupported" for an unknown `pre`. */
export function compileByteLevel(
  metadata: TokenizerMetadata,
): Omit<VocabularyParts, "bosId" | "eosId" | "unkId" | "padId" | "eogIds"> {
  const { tokens, types: tokenTypes, merges, bosId } = metadata;
  if (merges === undefined) throw badMetadata("merges", "missing");
  if (merges.length > MAX_PAIRS) throw badMetadata("merges", `${merges.length} of them`);
  const preset = presetOf(metadata);
  const vocab = tokens.length;

  const types = tokenTypes.slice();
  const offsets = new Uint32Array(vocab + 1);
  // A spelled byte takes one or two bytes of UTF-8, so this is enough.
  const scratch = new Uint8Array(tokens.bytes.length);
  let at = 0;
  for (let id = 0; id < vocab; id++) {
    const start = tokens.offsets[id]!;
    const end = tokens.offsets[id + 1]!;
    let to = -1;
    if (types[id] === TokenType.normal || types[id] === TokenType.unused) {
      to = unspell(tokens.bytes, start, end, scratch, at);
    }
    if (to < 0) {
      scratch.set(tokens.bytes.subarray(start, end), at);
      to = at + end - start;
      types[id] = types[id]! | LITERAL;
    }
    at = to;
    offsets[id + 1] = at;
  }
  const bytes = scratch.slice(0, at);

  const pieces = new PieceTable(bytes, offsets, new Uint32Array(slotCount(vocab)));
  const byteTokens = new Uint32Array(256).fill(NO_ID);
  for (let id = 0; id < vocab; id++) {
    const start = offsets[id]!;
    const end = offsets[id + 1]!;
    if ((types[id]! & LITERAL) !== 0 || start === end) continue;
    pieces.add(id, mixHash(hashBytes(bytes, start, end)));
    if (end - start === 1) byteTokens[bytes[start]!] = id;
  }

  return {
    kind: "byte-level",
    pattern: preset.pattern,
    addBos:
      metadata.addBos ??
      (preset.pattern === "llama-3" && preset.ignoreMerges && bosId !== undefined),
    addEos: metadata.addEos ?? false,
    addSpacePrefix: false,
    ignoreMerges: preset.ignoreMerges,
    wordwise: true,
    bytes,
    offsets,
    types,
    pieceSlots: pieces.slots,
    byteTokens,
    extraSymbols: new Uint32Array(0),
    ...compileMerges(merges, pieces),
    ranks: new Uint32Array(0),
  };
}

function presetOf({ pre = "default", tokens }: TokenizerMetadata): Preset {
  const preset = PRESETS.get(pre);
  if (preset === undefined) {
    const known = [...PRESETS.keys()].join(", ");
    throw new PronkError("unsupported", `tokenizer.ggml.pre: ${pre}; supported: ${known}`);
  }
  if (pre !== "default") return preset;
  const mark = new TextEncoder().encode(LLAMA3_MARK);
  for (let id = 0; id < tokens.length; id++) {
    const start = tokens.offsets[id]!;
    if (tokens.offsets[id + 1]! - start !== mark.length) continue;
    if (mark.every((byte, i) => tokens.bytes[start + i] === byte)) return LLAMA3;
  }
  return preset;
}

/** Looks up both sides and the result of each merge, "a b". */
function compileMerges(
  merges: PackedStrings,
  pieces: PieceTable,
): Pick<VocabularyParts, "left" | "right" | "merged" | "pairSlots"> {
  const count = merges.length;
  const left = new Uint32Array(count);
  const right = new Uint32Array(count);
  const merged = new Uint32Array(count);
  const pairs = new PairTable(left, right, new Uint32Array(slotCount(count)));
  let scratch = new Uint8Array(1024);
  for (let k = 0; k < count; k++) {
    const start = merges.offsets[k]!;
    const end = merges.offsets[k + 1]!;
    if (end - start > scratch.length) scratch = new Uint8Array(end - start);
    // A space is never part of a piece's spelling. From the second byte on, as llama.cpp looks.
    const space = merges.bytes.indexOf(0x20, start + 1);
    if (space < 0 || space >= end) throw badMerge(merges, k, "is not two pieces");
    const middle = unspell(merges.bytes, start, space, scratch, 0);
    const stop = middle < 0 ? -1 : unspell(merges.bytes, space + 1, end, scratch, middle);
    if (stop <= middle) throw badMerge(merges, k, "is not two pieces");

    const hashLeft = hashBytes(scratch, 0, middle);
    const hashRight = hashBytes(scratch, middle, stop);
    const hashWhole = hashBytes(scratch, middle, stop, hashLeft);
    const a = pieces.find(scratch, 0, middle, mixHash(hashLeft));
    const b = pieces.find(scratch, middle, stop, mixHash(hashRight));
    const c = pieces.find(scratch, 0, stop, mixHash(hashWhole));
    if (a < 0 || b < 0 || c < 0) throw badMerge(merges, k, "has pieces that are no tokens");
    left[k] = a;
    right[k] = b;
    merged[k] = c;
    pairs.add(k);
  }
  return { left, right, merged, pairSlots: pairs.slots };
}

function badMerge(merges: PackedStrings, k: number, why: string): PronkError {
  // Enough to recognize it by; a hostile one may be long.
  const bytes = merges.bytes.subarray(merges.offsets[k], merges.offsets[k + 1]).subarray(0, 80);
  const text = JSON.stringify(new TextDecoder().decode(bytes));
  return badMetadata("merges", `merge ${k} (${text}) ${why}`);
}
