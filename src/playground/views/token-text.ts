/** A token's bytes as a person can read them: nothing of it is invisible, and no two look the same. */

/** What a token adds to a text, in pieces that are shown differently. */
export interface ShownToken {
  /** As it stands in the text; of bytes that are no text by themselves, their hexadecimal digits. */
  readonly text: string;
  /** Part of a character, whose other bytes stand in tokens beside it. */
  readonly isPartial: boolean;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Control characters, and those that stand for nothing to see. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/u;

export function shownToken(bytes: readonly number[]): ShownToken {
  try {
    return { text: decoder.decode(new Uint8Array(bytes)), isPartial: false };
  } catch {
    return { text: hexOf(bytes), isPartial: true };
  }
}

/** `F0 9F 99 82`. */
export function hexOf(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}

/** Spaces, line ends and what cannot be seen as signs that can: for lists, where a token stands alone. */
export function visibleToken(bytes: readonly number[]): string {
  const { text, isPartial } = shownToken(bytes);
  if (isPartial) return `bytes ${text}`;
  if (text === "") return "(no text)";
  return [...text].map(visibleCharacter).join("");
}

function visibleCharacter(character: string): string {
  if (character === " ") return "␣";
  if (character === "\n") return "↵";
  if (character === "\t") return "⇥";
  if (!UNSEEN.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** For ears: a screen reader says nothing of a space at the start, and little of signs. */
export function spokenToken(bytes: readonly number[]): string {
  const { text, isPartial } = shownToken(bytes);
  if (isPartial) return `part of a character, bytes ${text}`;
  if (text === "") return "no text";
  const trimmed = text.trim();
  const named = [...text].every((character) => /\s/.test(character))
    ? [...text].map(spokenSpace).join(", ")
    : trimmed;
  const isSpaced = trimmed !== "" && text.startsWith(" ");
  return isSpaced ? `space ${named}` : named;
}

function spokenSpace(character: string): string {
  if (character === " ") return "space";
  if (character === "\n") return "line end";
  return character === "\t" ? "tab" : "blank";
}
