/**
 * Jinja with bounds on what one rendering may do, as templates come from model files. Every node that
 * is evaluated is counted, every string and list looked at as it appears, and what filters and methods
 * of strings are going to make is computed before they make it.
 */
import { PronkError } from "../errors.ts";
import {
  type JinjaArguments,
  type JinjaEnvironment,
  type JinjaInterpreter,
  type JinjaNode,
  type JinjaValue,
  jinja,
} from "./jinja-library.ts";
import { countOf, replacedChars, type ValueSize, ValueSizes } from "./template-sizes.ts";

/** One or two seconds. A chat of a thousand messages takes 60,000 with Llama 3.1's template. */
const MAX_STEPS = 500_000;

/** Text this long costs as much as a step, so that copying it over and over is bounded too. */
const CHARS_PER_STEP = 256;

/** A prompt of a million tokens; no context of a small model is a tenth of that. */
export const MAX_OUTPUT_CHARS = 4_194_304;

/** Items of a list or `range`: more than any chat has messages. */
const MAX_LIST_ITEMS = 100_000;

/** A node that stands for a value that is there. */
const VALUE = "Value";

interface ValueNode extends JinjaNode {
  readonly value: JinjaValue;
}

export class BoundedInterpreter extends jinja.Interpreter implements JinjaInterpreter {
  #steps = 0;
  readonly #sizes = new ValueSizes();

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    if (node?.type === VALUE) return (node as ValueNode).value;
    this.#step(1);
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === "string") {
      this.#checkChars(value.length);
      this.#step(Math.floor(value.length / CHARS_PER_STEP));
    } else if (Array.isArray(value)) {
      checkItems(value.length);
      this.#step(Math.floor(value.length / CHARS_PER_STEP));
      this.#checkChars(this.#sizes.of(result).chars);
    } else if (value instanceof Map) {
      this.#checkChars(this.#sizes.of(result).chars);
    }
    return result;
  }

  /** In Python a text is a list of its characters. */
  override evaluateFor(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const loop = node as JinjaNode & { iterable: JinjaNode };
    if (loop.iterable.type === "SelectExpression") return super.evaluateFor(node, environment);
    let list = this.evaluate(loop.iterable, environment);
    if (typeof list.value === "string") {
      checkItems(list.value.length);
      list = toValue([...list.value]);
    }
    return super.evaluateFor({ ...loop, iterable: valueNode(list) } as JinjaNode, environment);
  }

  /** Called for `value | filter` and filter blocks. */
  override applyFilter(
    operand: JinjaValue,
    filter: JinjaNode,
    environment: JinjaEnvironment,
  ): JinjaValue {
    const size = this.#sizes.of(operand);
    this.#checkChars(size.chars);
    // An undefined value is an empty text to it.
    const isTrim = filter.type === "Identifier" && (filter as { value?: unknown }).value === "trim";
    if (isTrim && operand.type === "UndefinedValue") return toValue("");
    if (filter.type !== "CallExpression") return super.applyFilter(operand, filter, environment);
    const call = filter as JinjaNode & { args: JinjaNode[]; callee: { value?: unknown } };
    const [args, named] = this.evaluateArguments(call.args, environment);
    if (call.callee.value === "format" && typeof operand.value === "string") {
      return toValue(formatted(operand.value, args));
    }
    this.#checkFilter(String(call.callee.value), operand, size, [args, named]);
    const nodes = [
      ...args.map(valueNode),
      ...[...named].map(([name, value]) => ({
        type: "KeywordArgumentExpression",
        key: { type: "Identifier", value: name },
        value: valueNode(value),
      })),
    ];
    return super.applyFilter(operand, { ...call, args: nodes } as JinjaNode, environment);
  }

  #checkFilter(name: string, operand: JinjaValue, size: ValueSize, given: JinjaArguments): void {
    const [args, named] = given;
    const text = (at: number, key: string): string => {
      const value = (args[at] ?? named.get(key))?.value;
      return typeof value === "string" ? value : "";
    };
    const number = (at: number, key: string, byDefault: number): number => {
      const value = (args[at] ?? named.get(key))?.value;
      return typeof value === "number" ? value : byDefault;
    };
    const { value } = operand;
    if (name === "join" && Array.isArray(value)) {
      this.#checkChars(size.chars + value.length * text(0, "separator").length);
    } else if (name === "tojson") {
      const separators = named.get("separators")?.value;
      const between = Array.isArray(separators)
        ? separators.reduce((sum, { value }) => sum + String(value).length, 0)
        : 0;
      const indent = Math.max(0, number(-1, "indent", 0)) * (size.depth + 1);
      this.#checkChars(size.chars + size.lines * (between + indent));
    } else if (typeof value === "string") {
      if (name === "replace") this.#checkChars(replacedChars(value, text(0, ""), text(1, "")));
      if (name === "join") this.#checkChars(value.length * (1 + text(0, "separator").length));
      if (name === "indent") {
        const width = Math.max(0, number(0, "width", 4));
        this.#checkChars(value.length + width * (countOf(value, "\n") + 1));
      }
    }
  }

  /** Methods of strings come with their checks; what has no name is undefined. */
  override evaluateMemberExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const member = node as JinjaNode &
      Record<"object" | "property", JinjaNode> & { computed: boolean };
    const object = this.evaluate(member.object, environment);
    let { property } = member;
    if (member.computed && property.type !== "SliceExpression") {
      const name = this.evaluate(property, environment);
      const isMissing = object.value instanceof Map && typeof name.value !== "string";
      if (name.type === "UndefinedValue" || isMissing) return toValue(undefined);
      property = valueNode(name);
    }
    const rest = { ...member, object: valueNode(object), property } as JinjaNode;
    const found = super.evaluateMemberExpression(rest, environment);
    if (typeof object.value !== "string" || typeof found.value !== "function") return found;
    const text = object.value;
    const method = found.value as (args: JinjaValue[], scope: JinjaEnvironment) => JinjaValue;
    const is = (name: string): boolean => object.builtins?.get(name) === found;
    const check = (args: readonly JinjaValue[]): void => {
      const [first, second] = args.map(({ value }) => (typeof value === "string" ? value : ""));
      if (is("replace")) this.#checkChars(replacedChars(text, first ?? "", second ?? ""));
      if (is("split")) checkItems(first ? countOf(text, first) : wordsOf(text));
    };
    const bounded = (args: JinjaValue[], scope: JinjaEnvironment): JinjaValue => {
      check(args);
      return method(args, scope);
    };
    return Object.assign(Object.create(found), { value: bounded });
  }

  #checkChars(chars: number): void {
    if (chars > MAX_OUTPUT_CHARS) throw tooLong(`${chars} characters`);
  }

  #step(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw tooLong(`more than ${MAX_STEPS} steps`);
  }
}

function valueNode(value: JinjaValue): ValueNode {
  return { type: VALUE, value };
}

function toValue(value: unknown): JinjaValue {
  return new jinja.Environment().set("value", value);
}

/** Python's `text % values`, as far as templates use it: %s, %d and %%. */
function formatted(text: string, values: readonly JinjaValue[]): string {
  let next = 0;
  let chars = text.length;
  return text.replace(/%([sd%])/g, (_, kind) => {
    if (kind === "%") return "%";
    const value = values[next++];
    if (value === undefined) throw new Error("not enough arguments for format string");
    const written = String(value);
    chars += written.length;
    if (chars > MAX_OUTPUT_CHARS) throw tooLong(`${chars} characters`);
    return written;
  });
}

function checkItems(count: number): void {
  if (count > MAX_LIST_ITEMS) throw tooLong(`a list of ${count} items`);
}

/** Words between white space. */
function wordsOf(text: string): number {
  let words = 0;
  for (let i = 0; i < text.length; i++) {
    if (/\S/.test(text[i]!) && (i === 0 || /\s/.test(text[i - 1]!))) words++;
  }
  return words;
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
