/**
 * What the word patterns ask of a character: letter (\p{L}), number (\p{N}), white space, or
 * none of these. White space is Unicode's White_Space, as in Oniguruma and Rust's regex; that
 * differs from JavaScript's \s in U+0085 (in) and U+FEFF (out).
 */

export const OTHER = 1;
export const LETTER = 2;
export const NUMBER = 3;
export const SPACE = 4;
/** CR and LF, which are white space too: `>= SPACE` is any white space. */
export const NEWLINE = 5;

const LETTER_PATTERN = /\p{L}/u;
const NUMBER_PATTERN = /\p{N}/u;
const SPACE_PATTERN = /\p{White_Space}/u;

/** Class by UTF-16 unit, 0 until first asked; surrogates stay 0. */
const known = new Uint8Array(0x10000);

function classify(character: string): number {
  if (LETTER_PATTERN.test(character)) return LETTER;
  if (NUMBER_PATTERN.test(character)) return NUMBER;
  if (character === "\n" || character === "\r") return NEWLINE;
  return SPACE_PATTERN.test(character) ? SPACE : OTHER;
}

/** Whether the character at this unit takes two units. */
export function isPair(text: string, index: number): boolean {
  return (
    (text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00
  );
}

/** The class of the character that begins at this unit. A lone surrogate is OTHER. */
export function classAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  const cached = known[unit]!;
  if (cached !== 0) return cached;
  if (unit >= 0xd800 && unit < 0xe000) {
    return isPair(text, index) ? classify(String.fromCodePoint(text.codePointAt(index)!)) : OTHER;
  }
  known[unit] = classify(String.fromCharCode(unit));
  return known[unit]!;
}
