/**
 * Jinja with bounds on what one rendering may do, as templates come from model files. Every node
 * that is evaluated is counted, and every string and list looked at as it appears.
 *
 * Not bounded: a single operation of the library on values within the limits (`replace`, `join`,
 * `indent`) may make a text up to the engine's longest string before it is looked at.
 */
import { PronkError } from "../errors.ts";
import {
  type JinjaEnvironment,
  type JinjaInterpreter,
  type JinjaNode,
  type JinjaValue,
  jinja,
} from "./jinja-library.ts";

/** One or two seconds. A chat of a thousand messages takes 60,000 with Llama 3.1's template. */
const MAX_STEPS = 500_000;

/** Text this long costs as much as a step, so that copying it over and over is bounded too. */
const CHARS_PER_STEP = 256;

/** A prompt of a million tokens; no context of a small model is a tenth of that. */
export const MAX_OUTPUT_CHARS = 4_194_304;

/** Items of a list or `range`: more than any chat has messages. */
export const MAX_LIST_ITEMS = 100_000;

export class BoundedInterpreter extends jinja.Interpreter implements JinjaInterpreter {
  #steps = 0;

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    this.#step(1);
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === "string") {
      if (value.length > MAX_OUTPUT_CHARS) throw tooLong(`${value.length} characters`);
      this.#step(Math.floor(value.length / CHARS_PER_STEP));
    } else if (Array.isArray(value) && value.length > MAX_LIST_ITEMS) {
      throw tooLong(`a list of ${value.length} items`);
    }
    return result;
  }

  #step(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw tooLong(`more than ${MAX_STEPS} steps`);
  }
}

function tooLong(what: string): PronkError {
  return new PronkError("bad_request", `chat template: ${what}`, { param: "messages" });
}

/** `range` within the limit on lists. */
export function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= MAX_LIST_ITEMS)) throw tooLong(`a range of ${count} items`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

/**
 * Puts a comment at the end of every loop's body: an empty body would go round without a node
 * being evaluated, thus uncounted.
 */
export function countLoops(node: unknown): void {
  if (Array.isArray(node)) {
    for (const item of node) countLoops(item);
  } else if (node instanceof Map) {
    for (const [key, value] of node) {
      countLoops(key);
      countLoops(value);
    }
  } else if (typeof node === "object" && node !== null) {
    countLoops(Object.values(node));
    if ("type" in node && node.type === "For" && "body" in node && Array.isArray(node.body)) {
      node.body.push({ type: "Comment", value: "" });
    }
  }
}
