/**
 * How much text an operation of a template is going to make, before it makes it: values within the
 * limits may share parts, so that a list of lists stands for far more text than it takes memory.
 */
import type { JinjaValue } from "./jinja-library.ts";

export interface ValueSize {
  /** Of the value as text, without escapes. */
  readonly chars: number;
  /** Of the value as JSON with an indent. */
  readonly lines: number;
  readonly depth: number;
}

/** Of a number, a boolean or nothing. */
const SCALAR_CHARS = 8;

/** Python's own limit of recursion is 1000; no tool's schema is 30 deep. */
const MAX_VALUE_DEPTH = 200;

const TOO_DEEP: ValueSize = { chars: Number.POSITIVE_INFINITY, lines: 1, depth: MAX_VALUE_DEPTH };

/** Sizes of values, each part looked at once. */
export class ValueSizes {
  readonly #known = new WeakMap<object, ValueSize>();

  of(value: JinjaValue, depth = 0): ValueSize {
    if (typeof value.value === "string") {
      return { chars: value.value.length + 2, lines: 1, depth: 0 };
    }
    const parts = partsOf(value);
    if (parts === undefined) return { chars: SCALAR_CHARS, lines: 1, depth: 0 };
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    // A namespace may hold itself.
    if (depth > MAX_VALUE_DEPTH) return TOO_DEEP;
    let chars = 2;
    let lines = 2;
    let deepest = 0;
    for (const [key, part] of parts) {
      const size = this.of(part, depth + 1);
      chars += key.length + 6 + size.chars;
      lines += size.lines;
      deepest = Math.max(deepest, size.depth);
    }
    const size = { chars, lines, depth: deepest + 1 };
    // Only namespaces change.
    if (value.type !== "NamespaceValue") this.#known.set(value, size);
    return size;
  }
}

function partsOf({ value }: JinjaValue): Iterable<[string, JinjaValue]> | undefined {
  if (value instanceof Map) return value as Map<string, JinjaValue>;
  if (!Array.isArray(value)) return undefined;
  return (value as JinjaValue[]).map((part) => ["", part]);
}

/** Characters of `text.replace(from, to)`, at most. */
export function replacedChars(text: string, from: string, to: string): number {
  if (to.length <= from.length) return text.length;
  return text.length + (to.length - from.length) * countOf(text, from);
}

/** How often `part` is in the text, without overlaps. */
export function countOf(text: string, part: string): number {
  if (part === "") return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
