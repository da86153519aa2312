/** Bounds on how much longer the steps of a tokenizer.json may make a text: they come from a file. */
import { PronkError } from "../../errors.ts";

/** Steps in use are at most five. */
const MAX_STEPS = 32;

/** What steps in use put in place of something is one character. */
const MAX_REPLACEMENT_CHARS = 64;

/** Unicode's forms make 18 characters of one, NFKD of U+FDFA, and no file has another that grows. */
const MAX_GROWTH = 64;
const FREE_CHARS = 4096;

export function checkSteps(steps: readonly unknown[], part: string): void {
  if (steps.length <= MAX_STEPS) return;
  const why = `${part}: ${steps.length} steps, at most ${MAX_STEPS}`;
  throw new PronkError("bad_format", `tokenizer.json: ${why}`);
}

/** Whether a text may stand in place of another. */
export function isReplacement(text: string): boolean {
  return text.length <= MAX_REPLACEMENT_CHARS;
}

/** Characters that a text of this length may become. */
export function grownChars(chars: number): number {
  return FREE_CHARS + MAX_GROWTH * chars;
}

export function grownTooMuch(part: string): PronkError {
  const why = `${part} makes more than ${MAX_GROWTH} times the text of it`;
  return new PronkError("bad_request", `tokenizer: its ${why}`);
}
