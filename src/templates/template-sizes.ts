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
  /** Whether a namespace is part of it, the one value that changes. */
  readonly changes: boolean;
}

/** Of a number, a boolean or nothing. */
const SCALAR: ValueSize = { chars: 8, lines: 1, depth: 0, changes: false };

/** Python's own limit of recursion is 1000; no tool's schema is 30 deep. */
const MAX_VALUE_DEPTH = 200;

/** What it takes to keep the size of a list or an object, in parts that are looked at. */
const NEW_CONTAINER = 8;

const TOO_DEEP: ValueSize = {
  chars: Number.POSITIVE_INFINITY,
  lines: 1,
  depth: MAX_VALUE_DEPTH,
  changes: true,
};

/** Sizes of values, each part looked at once; what changes, once a call. */
export class ValueSizes {
  readonly #known = new WeakMap<object, ValueSize>();
  #changing: Map<object, ValueSize> = new Map();
  #visited = 0;

  /** Parts that were looked at so far. */
  get visited(): number {
    return this.#visited;
  }

  of(value: JinjaValue): ValueSize {
    this.#changing.clear();
    return this.#of(value, 0);
  }

  #of(value: JinjaValue, depth: number): ValueSize {
    this.#visited++;
    if (typeof value.value === "string") {
      return { chars: value.value.length + 2, lines: 1, depth: 0, changes: false };
    }
    const { value: parts } = value;
    const isMap = parts instanceof Map;
    if (!isMap && !Array.isArray(parts)) return SCALAR;
    const known = this.#known.get(value) ?? this.#changing.get(value);
    if (known !== undefined) return known;
    this.#visited += NEW_CONTAINER;
    // A namespace may hold itself.
    if (depth > MAX_VALUE_DEPTH) return TOO_DEEP;
    this.#changing.set(value, TOO_DEEP);
    let chars = 2;
    let lines = 2;
    let deepest = 0;
    let changes = value.type === "NamespaceValue";
    for (const part of (isMap ? parts.values() : parts) as Iterable<JinjaValue>) {
      if (typeof part.value !== "object" || part.value === null) {
        this.#visited++;
        chars += 6 + (typeof part.value === "string" ? part.value.length + 2 : SCALAR.chars);
        lines++;
        continue;
      }
      const size = this.#of(part, depth + 1);
      chars += 6 + size.chars;
      lines += size.lines;
      deepest = Math.max(deepest, size.depth);
      changes ||= size.changes;
    }
    if (isMap) for (const key of parts.keys() as Iterable<string>) chars += key.length;
    const size = { chars, lines, depth: deepest + 1, changes };
    if (changes) this.#changing.set(value, size);
    else {
      this.#changing.delete(value);
      this.#known.set(value, size);
    }
    return size;
  }
}

/** How often `part` is in the text, without overlaps. */
export function countOf(text: string, part: string): number {
  if (part === "") return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
