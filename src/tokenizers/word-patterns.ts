/**
 * The regular expressions that split text into words before byte-level BPE, as scanners: each
 * returns where the word that starts at `start` ends. Linear: no character is looked at more than
 * a few times.
 *
 *   gpt-2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   smollm   the same on the text between numbers; each \p{N} is a word of its own
 *   llama-3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}
 *            | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
import { classAt, isPair, LETTER, NEWLINE, NUMBER, OTHER, SPACE } from "./character-class.ts";
import type { WordPattern } from "./vocabulary.ts";

/**
 * The end of the word at `start`, in text[start, end); both are UTF-16 units, start < end. Where no
 * word is, the complement (~) of the end of what belongs to none.
 */
export type WordScanner = (text: string, start: number, end: number) => number;

/** Longest number that is one word for Llama 3. */
const LLAMA3_DIGITS = 3;

export function wordScanner(pattern: WordPattern): WordScanner {
  if (pattern === "llama-3") return scanLlama3;
  return pattern === "smollm" ? scanSmollm : scanGpt2;
}

function scanGpt2(text: string, start: number, end: number): number {
  return scanGpt2Like(text, start, end, false);
}

function scanSmollm(text: string, start: number, end: number): number {
  return scanGpt2Like(text, start, end, true);
}

function scanGpt2Like(text: string, start: number, end: number, splitNumbers: boolean): number {
  const first = text.charCodeAt(start);
  if (first === 0x27) {
    const contraction = contractionEnd(text, start, end, false);
    if (contraction > 0) return contraction;
  }
  // " ?" before a run: what follows the space decides which one.
  const body = first === 0x20 && start + 1 < end ? start + 1 : start;
  const kind = classAt(text, body);
  if (kind === NUMBER && splitNumbers) {
    return body > start ? body : start + width(text, start);
  }
  if (kind < SPACE) return runEnd(text, body, end, kind);
  // Before a number that splits the text, a run of white space is at the end of its part.
  const stop = spaceEnd(text, start, end);
  const atEnd = stop === end || (splitNumbers && classAt(text, stop) === NUMBER);
  return atEnd || stop - start === 1 ? stop : stop - 1;
}

function scanLlama3(text: string, start: number, end: number): number {
  const first = text.charCodeAt(start);
  if (first === 0x27) {
    const contraction = contractionEnd(text, start, end, true);
    if (contraction > 0) return contraction;
  }
  const kind = classAt(text, start);
  if (kind === LETTER) return runEnd(text, start, end, LETTER);
  if (kind === NUMBER) {
    let i = start;
    for (let n = 0; n < LLAMA3_DIGITS && i < end && classAt(text, i) === NUMBER; n++) {
      i += width(text, i);
    }
    return i;
  }
  // One character other than a newline may lead a run of letters.
  const next = start + width(text, start);
  if (kind !== NEWLINE && next < end && classAt(text, next) === LETTER) {
    return runEnd(text, next, end, LETTER);
  }
  const body = first === 0x20 && start + 1 < end ? start + 1 : start;
  if (classAt(text, body) === OTHER) {
    let i = runEnd(text, body, end, OTHER);
    while (i < end && classAt(text, i) === NEWLINE) i++;
    return i;
  }
  const stop = spaceEnd(text, start, end);
  for (let i = stop; i > start; i--) if (classAt(text, i - 1) === NEWLINE) return i;
  return stop === end || stop - start === 1 ? stop : stop - 1;
}

function width(text: string, index: number): number {
  return isPair(text, index) ? 2 : 1;
}

/** The end of the run of characters of this class that begins at `start`. */
function runEnd(text: string, start: number, end: number, kind: number): number {
  let i = start;
  while (i < end && classAt(text, i) === kind) i += width(text, i);
  return i;
}

/** White space is never a surrogate pair. */
function spaceEnd(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && classAt(text, i) >= SPACE) i++;
  return i;
}

/** The end of 's, 't, 'm, 'd, 're, 've or 'll at `start`, or 0. */
function contractionEnd(text: string, start: number, end: number, anyCase: boolean): number {
  const first = start + 1 < end ? fold(text.charCodeAt(start + 1), anyCase) : 0;
  switch (first) {
    case 0x73: // s
    case 0x74: // t
    case 0x6d: // m
    case 0x64: // d
      return start + 2;
  }
  const second = start + 2 < end ? fold(text.charCodeAt(start + 2), anyCase) : 0;
  const found =
    ((first === 0x72 || first === 0x76) && second === 0x65) || // re, ve
    (first === 0x6c && second === 0x6c); // ll
  return found ? start + 3 : 0;
}

/** Simple case folding, as far as the contractions' letters go: U+017F, the long s, folds to s. */
function fold(unit: number, anyCase: boolean): number {
  if (!anyCase) return unit;
  if (unit >= 0x41 && unit <= 0x5a) return unit | 0x20;
  return unit === 0x17f ? 0x73 : unit;
}
