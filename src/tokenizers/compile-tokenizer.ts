/** GGUF metadata to the compiled tokenizer that a pack stores and loadTokenizer() views. */
import type { MetadataValue, PackedStrings } from "../formats/model-file.ts";
import { compileByteLevel } from "./compile-byte-level.ts";
import { compileSentencePiece } from "./compile-sentencepiece.ts";
import { readSentencePieceModel } from "./sentencepiece-model.ts";
import {
  badMetadata,
  readTokenizerMetadata,
  type TokenizerMetadata,
} from "./tokenizer-metadata.ts";
import { TokenType, writeVocabulary } from "./vocabulary.ts";

/**
 * Special tokens that end a turn or a document in the chat formats of Llama models, whether or not
 * the file names them as such. A token that is plain text is never one.
 */
const END_TOKENS: readonly string[] = [
  "</s>",
  "<|endoftext|>",
  "<|im_end|>",
  "<|end_of_text|>",
  "<|eot_id|>",
  "<|eom_id|>",
];

/**
 * Compiles the tokenizer that GGUF metadata describes: byte-level BPE (`gpt2`) or SentencePiece BPE
 * (`llama`). About 2.2 MB for SmolLM2's 49,152 tokens, 8 MB for Llama 3's 128,256.
 *
 * @throws PronkError "bad_format" naming the metadata key at fault; "unsupported" for another
 *   tokenizer model or pre-tokenizer.
 */
export function compileTokenizer(metadata: ReadonlyMap<string, MetadataValue>): Uint8Array {
  return compileMetadata(readTokenizerMetadata(metadata));
}

/**
 * Compiles the tokenizer.model of SentencePiece. `addSpacePrefix` replaces the file's own
 * add_dummy_prefix.
 *
 * @throws PronkError "bad_format"; "unsupported" for models other than BPE and for normalization.
 */
export function compileSentencePieceModel(
  file: Uint8Array,
  addSpacePrefix?: boolean | undefined,
): Uint8Array {
  const metadata = readSentencePieceModel(file);
  return compileMetadata(addSpacePrefix === undefined ? metadata : { ...metadata, addSpacePrefix });
}

function compileMetadata(given: TokenizerMetadata): Uint8Array {
  const parts = given.model === "gpt2" ? compileByteLevel(given) : compileSentencePiece(given);
  if (parts.addBos && given.bosId === undefined) {
    throw badMetadata("add_bos_token", "set, but there is no bos_token_id");
  }
  if (parts.addEos && given.eosId === undefined) {
    throw badMetadata("add_eos_token", "set, but there is no eos_token_id");
  }
  return writeVocabulary({
    ...parts,
    bosId: given.bosId,
    eosId: given.eosId,
    unkId: given.unkId,
    padId: given.padId,
    eogIds: endIds(given),
  });
}

/** Every id that ends a turn, ascending. */
function endIds({ tokens, types, eosId, eotId, eomId }: TokenizerMetadata): Uint32Array {
  const ids = new Set<number>();
  for (const id of [eosId, eotId, eomId]) if (id !== undefined) ids.add(id);
  const names = END_TOKENS.map((name) => new TextEncoder().encode(name));
  for (let id = 0; id < tokens.length; id++) {
    const type = types[id];
    if (type !== TokenType.control && type !== TokenType.userDefined) continue;
    if (names.some((name) => equals(tokens, id, name))) ids.add(id);
  }
  return Uint32Array.from(ids).sort();
}

function equals(strings: PackedStrings, index: number, text: Uint8Array): boolean {
  const start = strings.offsets[index]!;
  if (strings.offsets[index + 1]! - start !== text.length) return false;
  return text.every((byte, i) => strings.bytes[start + i] === byte);
}
