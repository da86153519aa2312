/**
 * Compiles SentencePiece BPE (Llama 2's scheme) from GGUF metadata. Any two neighbours whose texts
 * join to a piece may merge, best score first; all such pairs are listed here, once.
 *
 * Source: src/bpe_model.cc of google/sentencepiece; llm_tokenizer_spm of llama.cpp.
 */
import { hashBytes, mixHash, PieceTable, slotCount } from "./hashing.ts";
import { characterBytes, type ListedMerges, PairLister } from "./pair-lister.ts";
import { isMergeable, isWordwise, parseByte, unescapeSpaces } from "./sentencepiece-spelling.ts";
import { badMetadata, type TokenizerMetadata } from "./tokenizer-metadata.ts";
import { LITERAL, NO_ID, TokenType, type VocabularyParts } from "./vocabulary.ts";

type SentencePieceParts = Omit<VocabularyParts, "bosId" | "eosId" | "unkId" | "padId" | "eogIds">;

/** @throws PronkError "bad_format" naming the key. */
export function compileSentencePiece(metadata: TokenizerMetadata): SentencePieceParts {
  const { scores, bosId } = metadata;
  if (scores === undefined) throw badMetadata("scores", "missing");
  const invalid = scores.findIndex(Number.isNaN);
  if (invalid >= 0) throw badMetadata("scores", `token ${invalid} has none`);
  const { bytes, offsets, types, byteTokens } = unescapePieces(metadata);
  const vocab = types.length;

  const pieces = new PieceTable(bytes, offsets, new Uint32Array(slotCount(vocab)));
  for (let id = 0; id < vocab; id++) {
    const start = offsets[id]!;
    const end = offsets[id + 1]!;
    if (start === end || !isMergeable(types[id]!)) continue;
    pieces.add(id, mixHash(hashBytes(bytes, start, end)));
  }
  return {
    kind: "sentencepiece",
    pattern: "gpt-2",
    addBos: metadata.addBos ?? bosId !== undefined,
    addEos: metadata.addEos ?? false,
    addSpacePrefix: metadata.addSpacePrefix ?? true,
    spacePrefixOnce: metadata.spacePrefixOnce ?? false,
    ignoreMerges: false,
    wordwise: isWordwise(bytes, offsets, types),
    bytes,
    offsets,
    types,
    pieceSlots: pieces.slots,
    byteTokens,
    ...listPairs(pieces, bytes, offsets, types, scores),
  };
}

/** What each token adds to a text: spaces for U+2581, one byte for <0x0A>. */
function unescapePieces({
  tokens,
  types: tokenTypes,
}: TokenizerMetadata): Pick<VocabularyParts, "bytes" | "offsets" | "types" | "byteTokens"> {
  const vocab = tokens.length;
  const types = tokenTypes.slice();
  const offsets = new Uint32Array(vocab + 1);
  const byteTokens = new Uint32Array(256).fill(NO_ID);
  // Old converters gave the byte tokens no type of their own.
  const typed = types.includes(TokenType.byte);
  const out = new Uint8Array(tokens.bytes.length);
  let at = 0;
  for (let id = 0; id < vocab; id++) {
    const start = tokens.offsets[id]!;
    const end = tokens.offsets[id + 1]!;
    const type = types[id]!;
    const byte = type === TokenType.byte || !typed ? parseByte(tokens.bytes, start, end) : -1;
    if (byte >= 0 && (type === TokenType.byte || type === TokenType.normal)) {
      types[id] = TokenType.byte;
      byteTokens[byte] = id;
      out[at++] = byte;
    } else if (type === TokenType.byte) {
      throw badMetadata("tokens", `token ${id} is a byte, but not spelled <0x00> to <0xFF>`);
    } else if (isMergeable(type) && !tokens.bytes.subarray(start, end).includes(0x20)) {
      at = unescapeSpaces(tokens.bytes, start, end, out, at);
    } else {
      // Not reachable by merges: a text's spaces become U+2581 before them.
      out.set(tokens.bytes.subarray(start, end), at);
      at += end - start;
      types[id] = type | LITERAL;
    }
    offsets[id + 1] = at;
  }
  return { bytes: out.slice(0, at), offsets, types, byteTokens };
}

/** Every (left, right) of symbols that joins to a piece, with the rank of that piece's score. */
function listPairs(
  pieces: PieceTable,
  bytes: Uint8Array,
  offsets: Uint32Array,
  types: Uint8Array,
  scores: Float32Array,
): ListedMerges {
  const lister = new PairLister(pieces, bytes, offsets);
  const rankOf = scoreRanks(scores, types);
  for (let id = 0; id < types.length; id++) {
    if (!isMergeable(types[id]!)) continue;
    // Single characters are the only symbols that no merge makes.
    const start = offsets[id]!;
    if (offsets[id + 1]! - start <= characterBytes(bytes[start] ?? 0)) continue;
    lister.addSplits(id, rankOf(scores[id]!));
  }
  return lister.build();
}

/** Equal scores have equal ranks: then the leftmost pair merges first. */
function scoreRanks(scores: Float32Array, types: Uint8Array): (score: number) => number {
  const used = scores.filter((_, id) => isMergeable(types[id]!)).sort();
  let distinct = 0;
  for (let i = 0; i < used.length; i++) {
    if (i === 0 || used[i] !== used[i - 1]) used[distinct++] = used[i]!;
  }
  return (score) => {
    let low = 0;
    let high = distinct - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (used[middle]! < score) low = middle + 1;
      else high = middle;
    }
    return distinct - 1 - low;
  };
}
