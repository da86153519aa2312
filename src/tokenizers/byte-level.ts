/**
 * GPT-2's spelling of bytes as printable characters: a byte that is a printable character of
 * Latin-1 is itself, the n-th of the others is U+0100 + n. So a space is "Ġ" and a newline "Ċ".
 *
 * Source: bytes_to_unicode() in openai/gpt-2, src/encoder.py.
 */

/** The code point that spells each byte. */
export const BYTE_TO_CODE: Uint16Array = new Uint16Array(256);

/** The byte that a code point spells; NO_BYTE for those that spell none. */
export const CODE_TO_BYTE: Uint16Array = new Uint16Array(0x144);
export const NO_BYTE = 0x100;

CODE_TO_BYTE.fill(NO_BYTE);
let others = 0;
for (let byte = 0; byte < 256; byte++) {
  const printable =
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const code = printable ? byte : 0x100 + others++;
  BYTE_TO_CODE[byte] = code;
  CODE_TO_BYTE[code] = byte;
}

/**
 * Writes to `out` from `at` on the bytes that the UTF-8 text bytes[start, end) spells.
 *
 * @returns the end of what was written, or -1 when a character spells no byte.
 */
export function unspell(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  for (let i = start; i < end; i++) {
    const first = bytes[i]!;
    let code = first;
    if (first >= 0x80) {
      // Characters that spell bytes take at most two bytes themselves.
      if (first < 0xc2 || first > 0xc5 || i + 1 >= end) return -1;
      const second = bytes[++i]!;
      if ((second & 0xc0) !== 0x80) return -1;
      code = ((first & 0x1f) << 6) | (second & 0x3f);
    }
    const byte = code < CODE_TO_BYTE.length ? CODE_TO_BYTE[code]! : NO_BYTE;
    if (byte === NO_BYTE) return -1;
    out[to++] = byte;
  }
  return to;
}

/** The printable spelling of some bytes. */
export function spell(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(BYTE_TO_CODE[byte]!);
  return text;
}
