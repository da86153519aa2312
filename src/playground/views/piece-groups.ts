/** Which tokens of a text share a character: its bytes stand in several, none of them a text alone. */
import type { TokenPiece } from "../../tokenizers/token-pieces.ts";

/** `part` of `parts` tokens that together are `text`. */
export interface SharedCharacter {
  readonly text: string;
  readonly part: number;
  readonly parts: number;
}

/** Of UTF-8, and of a token that has the end of one and the start of the next. */
const MAX_PARTS = 8;

/** @returns one entry a token: undefined where it stands for itself. */
export function sharedCharacters(
  pieces: readonly Pick<TokenPiece, "bytes" | "special">[],
): (SharedCharacter | undefined)[] {
  const found: (SharedCharacter | undefined)[] = Array.from(pieces, () => undefined);
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i]!.special || textOf(pieces[i]!.bytes) !== undefined) continue; // i is below the length
    const bytes: number[] = [];
    for (let parts = 1; parts <= MAX_PARTS && i + parts <= pieces.length; parts++) {
      bytes.push(...pieces[i + parts - 1]!.bytes); // the same
      const text = textOf(bytes);
      if (text === undefined) continue;
      for (let part = 1; part <= parts; part++) found[i + part - 1] = { text, part, parts };
      i += parts - 1;
      break;
    }
  }
  return found;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: readonly number[]): string | undefined {
  try {
    return decoder.decode(new Uint8Array(bytes));
  } catch {
    return undefined;
  }
}
