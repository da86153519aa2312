/** What one rendering may still do: steps, and characters and items of a value. Everything is charged before it is done. */
import { PronkError } from "../errors.ts";
import type { JinjaValue } from "./jinja-library.ts";
import { countOf, type ValueSize, ValueSizes } from "./template-sizes.ts";

/** A third of a second. A chat of a thousand messages takes 60,000 with Llama 3.1's template, a text of 36,000 characters that Llama 3.2's goes through 300,000. */
const MAX_STEPS = 300_000;

/** Text this long costs as much as a step, so that copying it over and over is bounded too. */
const CHARS_PER_STEP = 128;

/** Items that are copied cost as much as a step. */
export const ITEMS_PER_STEP = 64;

/** Parts of a value whose sizes are added up. */
const PARTS_PER_STEP = 4;

/** Characters that are compared with others: a search looks at each of a text for each of what it searches. */
const COMPARED_PER_STEP = 4096;

/** A prompt of a million tokens; no context of a small model is a tenth of that. */
const MAX_OUTPUT_CHARS = 4_194_304;

/** Items of a list or `range`: more than any chat has messages. */
const MAX_LIST_ITEMS = 100_000;

export class TemplateBudget {
  #steps = 0;
  readonly #sizes = new ValueSizes();

  step(steps: number): void {
    this.#steps += steps;
    if (!(this.#steps <= MAX_STEPS)) throw tooLong(`more than ${MAX_STEPS} steps`);
  }

  /** For looking at this many characters. */
  read(chars: number): void {
    this.step(Math.floor(chars / CHARS_PER_STEP));
  }

  /** For looking for a text in another. */
  search(text: string, part: string): void {
    this.step(Math.floor((text.length * (1 + part.length)) / COMPARED_PER_STEP));
  }

  /** How often a text is in another. */
  count(text: string, part: string): number {
    this.search(text, part);
    return countOf(text, part);
  }

  /** Characters of `text.replace(from, to)`, at most. */
  checkReplaced(text: string, from: string, to: string): void {
    const count = this.count(text, from);
    this.checkChars(text.length + Math.max(0, to.length - from.length) * count);
  }

  /** Of a value that is within the limits. */
  sizeOf(value: JinjaValue): ValueSize {
    const before = this.#sizes.visited;
    const size = this.#sizes.of(value);
    this.step(Math.floor((this.#sizes.visited - before) / PARTS_PER_STEP));
    this.checkChars(size.chars);
    return size;
  }

  checkChars(chars: number): void {
    if (!(chars <= MAX_OUTPUT_CHARS)) throw tooLong(`${chars} characters`);
  }
}

export function checkItems(count: number, what = "a list"): void {
  if (!(count <= MAX_LIST_ITEMS)) throw tooLong(`${what} of ${count} items`);
}

function tooLong(what: string): PronkError {
  return new PronkError("bad_request", `chat template: ${what}`, { param: "messages" });
}
