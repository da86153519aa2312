/** A text's tokens, each with what can be shown of it. */
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";

export interface TokenPiece {
  readonly id: number;
  /** As the vocabulary spells it: `Ġhello`, `▁hello`, `<0x0A>`. */
  readonly text: string;
  /** What it adds to the text: of a part of a code point, some of its UTF-8. */
  readonly bytes: readonly number[];
  /** In UTF-16 units of the text; both the same for a token that the text does not have, as BOS. */
  readonly start: number;
  readonly end: number;
  /** A control token: one that no other spelling gives. */
  readonly special: boolean;
}

export function tokenPieces(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions = {},
): TokenPiece[] {
  const { ids, offsets } = tokenizer.encodeWithOffsets(text, options);
  return ids.map((id, i) => {
    const [start, end] = offsets[i]!; // one a token
    return {
      id,
      text: tokenizer.tokenText(id),
      bytes: [...tokenizer.tokenBytes(id)],
      start,
      end,
      special: tokenizer.isSpecial(id),
    };
  });
}
