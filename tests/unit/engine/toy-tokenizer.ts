/** A tokenizer over a list of pieces: bytes for a token each, so that code points can be split. */

import type { StreamDecoder, Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { TOY_EOS } from "./toy-runner.ts";

const utf8 = new TextEncoder();

/** By default token n is the n-th letter, 0 is a special token that ends the text. */
export const LETTERS: readonly string[] = Array.from({ length: 64 }, (_, id) =>
  String.fromCharCode(0x30 + id),
);

export function toyTokenizer(
  pieces: readonly (string | Uint8Array)[] = LETTERS,
  eogIds: readonly number[] = [TOY_EOS],
): Tokenizer {
  const bytes = pieces.map((piece) => (typeof piece === "string" ? utf8.encode(piece) : piece));
  const isSpecial = (id: number): boolean => eogIds.includes(id);
  const decode = (ids: ArrayLike<number>): string => {
    const decoder = createDecoder();
    return Array.from(ids, (id) => decoder.push(id)).join("") + decoder.flush();
  };
  const createDecoder = (): StreamDecoder => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => (isSpecial(id) ? "" : decoder.decode(bytes[id], { stream: true })),
      flush: () => decoder.decode(),
    };
  };
  const unused = (): never => {
    throw new Error("toy tokenizer: not needed by the engine");
  };
  return {
    vocabSize: pieces.length,
    bosId: undefined,
    eosId: eogIds[0],
    eogIds,
    padId: undefined,
    unkId: undefined,
    encode: unused,
    decode,
    createDecoder,
    tokenBytes: (id) => bytes[id],
    allTokenBytes: () => joinTexts(bytes),
    tokenText: unused,
    tokenId: unused,
    isSpecial,
    specialIds: () => [...eogIds],
    encodeWithOffsets: unused,
  };
}
