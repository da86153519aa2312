/** UTF-8 both ways, where TextEncoder and TextDecoder do not tell enough or cost too much. */

/** WHATWG's decoder: U+FFFD for each maximal part of an ill-formed sequence; a BOM is text. */
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

const REPLACEMENT = "\uFFFD";

/**
 * How ill-formed bytes become text: `subpart` as Rust and WHATWG do it (one U+FFFD for a cut-off
 * character), `byte` as SentencePiece does it (one for each byte).
 */
export type Repair = "subpart" | "byte";

/** Text of these bytes; a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array, repair: Repair): string {
  if (repair === "subpart") return lossyDecoder.decode(bytes);
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return decodeByBytes(bytes);
  }
}

function decodeByBytes(bytes: Uint8Array): string {
  let text = "";
  let good = 0;
  let i = 0;
  while (i < bytes.length) {
    const length = characterAt(bytes, i, bytes.length);
    if (length > 0) {
      i += length;
      continue;
    }
    text += strictDecoder.decode(bytes.subarray(good, i)) + REPLACEMENT;
    good = ++i;
  }
  return text + strictDecoder.decode(bytes.subarray(good));
}

/** Bytes at the end that may be the beginning of a character: 0 to 3. */
export function incompleteTail(bytes: Uint8Array): number {
  const end = bytes.length;
  for (let start = Math.max(0, end - 3); start < end; start++) {
    if (characterAt(bytes, start, end) === -1) return end - start;
  }
  return 0;
}

/**
 * Bytes of the character at `at`; 0 when there is none; -1 when it could still become one with
 * bytes from `end` on. By table 3-7 of the Unicode standard.
 */
function characterAt(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // Overlong forms, surrogates and values above U+10FFFF show in the second byte.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let i = 1; i < length; i++) {
    if (at + i >= end) return -1;
    const byte = bytes[at + i]!;
    if (i === 1 ? byte < low || byte > high : (byte & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** Bytes that writeUtf8 writes for this code point. */
export function utf8Length(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Writes a code point, which must not be a surrogate; returns the end of what was written. */
export function writeUtf8(code: number, out: Uint8Array, at: number): number {
  let to = at;
  if (code < 0x80) {
    out[to++] = code;
    return to;
  }
  if (code < 0x800) {
    out[to++] = 0xc0 | (code >> 6);
  } else {
    if (code < 0x10000) {
      out[to++] = 0xe0 | (code >> 12);
    } else {
      out[to++] = 0xf0 | (code >> 18);
      out[to++] = 0x80 | ((code >> 12) & 0x3f);
    }
    out[to++] = 0x80 | ((code >> 6) & 0x3f);
  }
  out[to++] = 0x80 | (code & 0x3f);
  return to;
}

/** The code point at this unit of a text; a lone surrogate is U+FFFD, as TextEncoder has it. */
export function scalarAt(text: string, index: number): number {
  const code = text.codePointAt(index)!;
  return code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
}
