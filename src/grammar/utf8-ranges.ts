/** Ranges of code points as ranges of the bytes of UTF-8. */

/** One to four ranges of bytes, inclusive, one after the other. */
export type ByteSequence = readonly (readonly [number, number])[];

/** The last code point of one, two, three and four bytes. */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff] as const;
const LEAD_MARKS = [0, 0xc0, 0xe0, 0xf0] as const;
/** UTF-16's halves are no characters. */
const SURROGATES = [0xd800, 0xdfff] as const;

/** Every character from `from` to `to`, surrogates left out; no text matches two of the sequences. */
export function utf8Sequences(from: number, to: number): ByteSequence[] {
  const [low, high] = SURROGATES;
  if (from <= high && to >= low) {
    return [
      ...(from < low ? utf8Sequences(from, low - 1) : []),
      ...(to > high ? utf8Sequences(high + 1, to) : []),
    ];
  }
  const sequences: ByteSequence[] = [];
  let start = from;
  for (const [i, last] of LAST_OF_LENGTH.entries()) {
    if (start > to) break;
    if (start > last) continue;
    const end = Math.min(to, last);
    split(start, end, i, LEAD_MARKS[i], [], sequences);
    start = end + 1;
  }
  return sequences;
}

/**
 * @param rest bytes after this one
 * @param mark bits that this byte has beside its part of the code point
 */
function split(
  from: number,
  to: number,
  rest: number,
  mark: number,
  before: ByteSequence,
  into: ByteSequence[],
): void {
  if (rest === 0) {
    into.push([...before, [mark | from, mark | to]]);
    return;
  }
  const shift = 6 * rest;
  const low = 2 ** shift - 1;
  const first = from >> shift;
  const last = to >> shift;
  const below = (byte: number, low: number, high: number): void =>
    split(low, high, rest - 1, 0x80, [...before, [mark | byte, mark | byte]], into);
  if (first === last) {
    below(first, from & low, to & low);
    return;
  }
  let wholeFrom = first;
  let wholeTo = last;
  if ((from & low) !== 0) {
    below(first, from & low, low);
    wholeFrom++;
  }
  if ((to & low) !== low) wholeTo--;
  if (wholeFrom <= wholeTo) {
    const any: [number, number][] = Array.from({ length: rest }, () => [0x80, 0xbf]);
    into.push([...before, [mark | wholeFrom, mark | wholeTo], ...any]);
  }
  if ((to & low) !== low) below(last, 0, to & low);
}
