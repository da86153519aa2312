/**
 * Decoding of LlamaTokenizer: SentencePiece's between special tokens, with transformers' rules for
 * the spaces around them.
 *
 * Source: _decode() and convert_tokens_to_string() in transformers 4.57; DecodePieces in
 * sentencepiece_processor.cc.
 */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";

export interface SlowVocabulary {
  readonly sp: Tokenizer;
  readonly tokenOf: (id: number) => string;
  readonly special: ReadonlySet<string>;
  readonly added: ReadonlySet<string>;
  /** Additional special tokens that are not the model's. */
  readonly additional: readonly string[];
  readonly legacy: boolean;
  readonly addPrefixSpace: boolean;
}

const MARK = "\u2581";
/** What SentencePiece writes for an unknown piece. */
const UNKNOWN = " \u2047 ";

export function decodeSlow(
  vocabulary: SlowVocabulary,
  ids: readonly number[],
  skipSpecial: boolean,
  spacesBetween: boolean,
): string {
  const { special, added, additional } = vocabulary;
  const apart = new Set([...[...added].filter((token) => !special.has(token)), ...additional]);
  const texts: string[] = [];
  let run: string[] = [];
  const flush = (isLast: boolean): void => {
    if (run.length === 0) return;
    const text = joinTokens(vocabulary, run);
    if (text !== "" || isLast) texts.push(text);
    run = [];
  };
  for (const id of ids) {
    const token = vocabulary.tokenOf(id);
    if (skipSpecial && special.has(token)) continue;
    if (apart.has(token)) {
      flush(false);
      texts.push(token);
    } else {
      run.push(token);
    }
  }
  flush(true);
  return texts.join(spacesBetween ? " " : "");
}

/** convert_tokens_to_string(). */
export function joinTokens(vocabulary: SlowVocabulary, given: readonly string[]): string {
  const { special, legacy, addPrefixSpace } = vocabulary;
  const tokens = [...given];
  // The space that encoding put in front.
  if (addPrefixSpace && tokens[0]?.startsWith(MARK)) tokens[0] = tokens[0].slice(1);
  let text = "";
  let pieces: string[] = [];
  let afterSpecial = false;
  tokens.forEach((token, i) => {
    if (special.has(token)) {
      if (!afterSpecial && i !== 0 && legacy) text += " ";
      text += decodePieces(vocabulary, pieces) + token;
      afterSpecial = true;
      pieces = [];
      return;
    }
    if (afterSpecial && i === 1 && addPrefixSpace && !token.startsWith(MARK)) text += " ";
    pieces.push(token);
    afterSpecial = false;
  });
  return text + decodePieces(vocabulary, pieces);
}

/** Only a legacy tokenizer's model drops the space that the text begins with. */
function decodePieces({ sp, legacy }: SlowVocabulary, pieces: readonly string[]): string {
  let text = "";
  let bytes: number[] = [];
  let atStart = legacy;
  const flush = (): void => {
    text += decodeRun(bytes);
    if (bytes.length > 0) atStart = false;
    bytes = [];
  };
  for (const piece of pieces) {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
    if (byte !== null && sp.tokenId(piece) !== undefined) {
      bytes.push(Number.parseInt(byte[1]!, 16));
      continue;
    }
    flush();
    const id = sp.tokenId(piece);
    if (id === undefined) text += piece;
    else if (id === sp.unkId) text += UNKNOWN;
    else if (!sp.isSpecial(id)) {
      const spaced = atStart && piece.startsWith(MARK);
      text += (spaced ? piece.slice(1) : piece).replaceAll(MARK, " ");
      if (spaced) atStart = false;
    }
    if (text !== "") atStart = false;
  }
  flush();
  return text;
}

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Characters of bytes; each byte that is part of none is U+FFFD. */
function decodeRun(bytes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at]!;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    try {
      text += strict.decode(Uint8Array.from(bytes.slice(at, at + length)));
      at += length;
    } catch {
      text += "\uFFFD";
      at++;
    }
  }
  return text;
}
