/**
 * Jinja with bounds on what one rendering may do, as templates come from model files. Every node that
 * is evaluated is counted, every string and list looked at as it appears, and what operators, filters and
 * methods are going to read and make is charged before they do.
 */
import { chargeFilter } from "./filter-costs.ts";
import {
  type JinjaEnvironment,
  type JinjaInterpreter,
  type JinjaNode,
  type JinjaValue,
  jinja,
} from "./jinja-library.ts";
import { checkItems, ITEMS_PER_STEP, TemplateBudget } from "./template-budget.ts";

/** A node that stands for a value that is there. */
const VALUE = "Value";

/** Nodes that take longer than a variable or a constant, a microsecond, does. */
const STEPS: ReadonlyMap<string, number> = new Map([
  ["Break", 4],
  ["Continue", 4],
  ["For", 6],
  ["FilterExpression", 6],
  ["FilterStatement", 6],
  ["CallExpression", 9],
  ["CallStatement", 12],
  ["Macro", 4],
  ["ObjectLiteral", 9],
]);

/** A scope for an item that is only looked at. */
const ITEM_STEPS = 2;

/** What `loop` holds is made when it is named: nine values, and a map of them. */
const LOOP_STEPS = 10;

/** A map of all methods is made for each value that has one looked up. */
const METHOD_STEPS = 12;

/** Scopes around a macro's are those of its callers: a variable is looked for in one after the other. */
const SCOPES_PER_STEP = 32;

/** Nodes of a macro are looked at for names each time that it is defined, or called with a block. */
const NODES_PER_STEP = 16;

interface ValueNode extends JinjaNode {
  readonly value: JinjaValue;
}

interface LoopVariable extends JinjaNode {
  readonly value?: unknown;
}

interface ForNode extends JinjaNode {
  readonly iterable: JinjaNode & { readonly lhs: JinjaNode; readonly test: JinjaNode };
  readonly loopvar: LoopVariable;
  readonly body: readonly JinjaNode[];
  readonly defaultBlock: readonly JinjaNode[];
}

type Method = (args: JinjaValue[], scope: JinjaEnvironment) => JinjaValue;

export class BoundedInterpreter extends jinja.Interpreter implements JinjaInterpreter {
  readonly #budget = new TemplateBudget();
  readonly #nodes = new WeakMap<object, number>();

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    if (node?.type === VALUE) return (node as ValueNode).value;
    const budget = this.#budget;
    budget.step(STEPS.get(node?.type ?? "") ?? 1);
    if (node?.type === "Break") throw BREAK;
    if (node?.type === "Continue") throw CONTINUE;
    if (node?.type === "Macro" || node?.type === "CallStatement") {
      budget.step(Math.floor(this.#nodesOf(node) / NODES_PER_STEP));
    }
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === "string") {
      budget.checkChars(value.length);
      budget.read(value.length);
    } else if (Array.isArray(value)) {
      checkItems(value.length);
      // A value was made for each.
      if (node?.type === "CallExpression") budget.step(value.length);
      budget.read(value.length);
      budget.sizeOf(result);
    } else if (value instanceof Map) {
      budget.read(value.size);
      budget.sizeOf(result);
    }
    return result;
  }

  /** A value without a name is undefined, which is no error in Jinja. */
  override evaluateIdentifier(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const { value: name } = node as JinjaNode & { value: string };
    let scopes = 0;
    for (let scope: JinjaEnvironment | undefined = environment; scope; scope = scope.parent) {
      const found = scope.variables.get(name);
      if (found instanceof Loop) {
        this.#budget.step(LOOP_STEPS);
        return found.now();
      }
      if (found !== undefined) return found;
      if (++scopes % SCOPES_PER_STEP === 0) this.#budget.step(1);
    }
    return UNDEFINED;
  }

  override evaluateBlock(
    statements: readonly JinjaNode[],
    environment: JinjaEnvironment,
  ): JinjaValue {
    let text = "";
    for (const statement of statements) {
      const result = this.evaluate(statement, environment);
      if (result.type === "NullValue" || result.type === "UndefinedValue") continue;
      if (typeof result.value === "object") this.#budget.read(this.#budget.sizeOf(result).chars);
      text += result;
      this.#budget.checkChars(text.length);
    }
    return new StringValue(text);
  }

  override evaluateBinaryExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const { left, right, operator } = node as JinjaNode &
      Record<"left" | "right", JinjaNode> & { operator: { value: string } };
    if (operator.value === "and" || operator.value === "or") {
      return super.evaluateBinaryExpression(node, environment);
    }
    const sides = [this.evaluate(left, environment), this.evaluate(right, environment)] as const;
    const [a, b] = sides.map(({ value }) => value);
    if (typeof a === "string" && typeof b === "string") {
      if (operator.value.endsWith("in")) this.#budget.search(b, a);
    } else if (operator.value !== "in" && operator.value !== "not in") {
      // One of another kind is compared, or joined, as a text.
      for (const side of sides) {
        const isContainer = typeof side.value === "object" && side.value !== null;
        if (isContainer) this.#budget.read(this.#budget.sizeOf(side).chars);
      }
    }
    const known = { ...node, left: valueNode(sides[0]), right: valueNode(sides[1]) };
    return super.evaluateBinaryExpression(known as JinjaNode, environment);
  }

  /**
   * As the library's, but for three things: in Python a text is a list of its characters; `loop` is made only where it
   * is asked for, since its nine values cost more than most bodies; `break` and `continue` carry no stacks.
   */
  override evaluateFor(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const { iterable, loopvar, body, defaultBlock } = node as ForNode;
    const scope = new jinja.Environment(environment);
    const { lhs, test } = iterable.type === "SelectExpression" ? iterable : { lhs: iterable };
    const items = this.#itemsOf(this.evaluate(lhs, scope)).filter((item) => {
      if (test === undefined) return true;
      this.#budget.step(ITEM_STEPS);
      const inner = new jinja.Environment(scope);
      assignItem(loopvar, item, inner);
      return this.evaluate(test, inner).__bool__().value;
    });
    const loop = new Loop(items);
    let text = "";
    let rounds = 0;
    for (const [i, item] of items.entries()) {
      this.#budget.step(1);
      loop.index = i;
      scope.setVariable("loop", loop);
      assignItem(loopvar, item, scope);
      try {
        text += this.evaluateBlock(body, scope).value;
        this.#budget.checkChars(text.length);
      } catch (control) {
        if (control === CONTINUE) continue;
        if (control === BREAK) break;
        throw control;
      }
      rounds++;
    }
    if (rounds === 0) text += this.evaluateBlock(defaultBlock, scope).value;
    return new StringValue(text);
  }

  #itemsOf(list: JinjaValue): readonly JinjaValue[] {
    const { value } = list;
    if (typeof value === "string") {
      checkItems(value.length);
      this.#budget.step(value.length);
      return Array.from(value, (char) => new StringValue(char));
    }
    if (value instanceof Map) {
      this.#budget.step(value.size);
      return Array.from(value.keys(), (name) => new StringValue(String(name)));
    }
    if (Array.isArray(value)) return value;
    throw new Error(`Expected iterable or object type in for loop: got ${list.type}`);
  }

  /** Called for `value | filter` and filter blocks. */
  override applyFilter(
    operand: JinjaValue,
    filter: JinjaNode,
    environment: JinjaEnvironment,
  ): JinjaValue {
    if (filter.type !== "CallExpression") {
      const name = String((filter as { value?: unknown }).value);
      // An undefined value is an empty text to it.
      if (name === "trim" && operand.type === "UndefinedValue") return new StringValue("");
      chargeFilter(this.#budget, name, operand);
      return super.applyFilter(operand, filter, environment);
    }
    const call = filter as JinjaNode & { args: JinjaNode[]; callee: { value?: unknown } };
    const [args, named] = this.evaluateArguments(call.args, environment);
    const name = String(call.callee.value);
    if (name === "format" && typeof operand.value === "string") {
      return new StringValue(this.#formatted(operand.value, args));
    }
    chargeFilter(this.#budget, name, operand, [args, named]);
    // They want to see that their arguments are literals.
    if (name === "selectattr" || name === "rejectattr") {
      return super.applyFilter(operand, filter, environment);
    }
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

  /** Methods come with their checks; what has no name is undefined. */
  override evaluateMemberExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue {
    const member = node as JinjaNode &
      Record<"object" | "property", JinjaNode> & { computed: boolean };
    const object = this.evaluate(member.object, environment);
    let { property } = member;
    const isSlice = member.computed && property.type === "SliceExpression";
    // The text becomes a list of its characters first.
    if (isSlice && typeof object.value === "string") {
      this.#budget.step(Math.floor(object.value.length / ITEMS_PER_STEP));
    }
    if (member.computed && !isSlice) {
      const name = this.evaluate(property, environment);
      const isMissing = object.value instanceof Map && typeof name.value !== "string";
      if (name.type === "UndefinedValue" || isMissing) return UNDEFINED;
      property = valueNode(name);
    }
    if (!isSlice && isWithout(object, nameOf(property))) return UNDEFINED;
    const rest = { ...member, object: valueNode(object), property } as JinjaNode;
    const found = super.evaluateMemberExpression(rest, environment);
    const name = methodOf(object, found);
    if (name === undefined) return found;
    this.#budget.step(METHOD_STEPS);
    const method = found.value as Method;
    const bounded: Method = (args, scope) => {
      this.#chargeMethod(name, object, args);
      return method(args, scope);
    };
    return Object.assign(Object.create(found), { value: bounded });
  }

  #chargeMethod(name: string, object: JinjaValue, args: readonly JinjaValue[]): void {
    const text = object.value;
    if (typeof text !== "string") {
      chargeFilter(this.#budget, name, object);
      return;
    }
    this.#budget.read(text.length);
    const [first, second] = args.map(({ value }) => (typeof value === "string" ? value : ""));
    if (name === "replace") this.#budget.checkReplaced(text, first ?? "", second ?? "");
    if (name === "split") checkItems(first ? this.#budget.count(text, first) : wordsOf(text));
  }

  /** Python's `text % values`, as far as templates use it: %s, %d and %%. */
  #formatted(text: string, values: readonly JinjaValue[]): string {
    let next = 0;
    let chars = text.length;
    return text.replace(/%([sd%])/g, (_, kind) => {
      if (kind === "%") return "%";
      const value = values[next++];
      if (value === undefined) throw new Error("not enough arguments for format string");
      chars += this.#budget.sizeOf(value).chars;
      this.#budget.checkChars(chars);
      return String(value);
    });
  }

  /** All below it included. */
  #nodesOf(node: object): number {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    let count = 1;
    for (const part of node instanceof Map ? [...node].flat() : Object.values(node)) {
      if (typeof part === "object" && part !== null) count += this.#nodesOf(part);
    }
    this.#nodes.set(node, count);
    return count;
  }
}

/** Thrown, and caught by the loop around: one of each, as an error costs the stack that leads to it. */
const BREAK = new Error("break outside of a loop");
const CONTINUE = new Error("continue outside of a loop");

/** What is `loop` in a loop's body, when somebody looks. */
class Loop implements JinjaValue {
  readonly type = "Loop";
  readonly value: undefined;
  readonly #items: readonly JinjaValue[];
  index = 0;

  constructor(items: readonly JinjaValue[]) {
    this.#items = items;
  }

  now(): JinjaValue {
    const { index } = this;
    const { length } = this.#items;
    const loop = toValue({
      index: index + 1,
      index0: index,
      revindex: length - index,
      revindex0: length - index - 1,
      first: index === 0,
      last: index === length - 1,
      length,
    });
    const values = loop.value as Map<string, JinjaValue>;
    values.set("previtem", this.#items[index - 1] ?? UNDEFINED);
    values.set("nextitem", this.#items[index + 1] ?? UNDEFINED);
    return loop;
  }

  __bool__(): { value: boolean } {
    return { value: true };
  }
}

/** To the loop's variable, or to each of several. */
function assignItem(to: LoopVariable, item: JinjaValue, scope: JinjaEnvironment): void {
  if (to.type === "Identifier") {
    scope.setVariable(String(to.value), item);
    return;
  }
  if (to.type !== "TupleLiteral") throw new Error(`Invalid loop variable(s): ${to.type}`);
  const names = to.value as readonly LoopVariable[];
  const { value: values } = item;
  if (!Array.isArray(values)) throw new Error(`Cannot unpack non-iterable type: ${item.type}`);
  if (names.length !== values.length) {
    throw new Error(`Too ${names.length > values.length ? "few" : "many"} items to unpack`);
  }
  for (const [i, name] of names.entries()) {
    if (name.type !== "Identifier") {
      throw new Error(`Cannot unpack non-identifier type: ${name.type}`);
    }
    scope.setVariable(String(name.value), values[i]);
  }
}

function valueNode(value: JinjaValue): ValueNode {
  return { type: VALUE, value };
}

function toValue(value: unknown): JinjaValue {
  return new jinja.Environment().set("value", value);
}

const UNDEFINED: JinjaValue = toValue(undefined);

/** The library's class of texts: a scope for each of them would cost more than what is in it. */
const StringValue = toValue("").constructor as new (text: string) => JinjaValue;

/** To look a method up makes all that a value has, some microseconds for each text: their names say when to. */
const METHODS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  ["", {}].map((value) => {
    const { type, builtins } = toValue(value);
    return [type, new Set(builtins?.keys())];
  }),
);

function nameOf(property: JinjaNode): unknown {
  const { value } = property as ValueNode;
  return property.type === VALUE ? value.value : value;
}

/** Whether a text or an object has nothing of this name. */
function isWithout(object: JinjaValue, name: unknown): boolean {
  const methods = METHODS.get(object.type);
  if (methods === undefined || typeof name !== "string" || methods.has(name)) return false;
  return !(object.value instanceof Map && object.value.has(name));
}

/** The name of a method of the library's own; undefined for what is none. */
function methodOf(object: JinjaValue, found: JinjaValue): string | undefined {
  if (typeof found.value !== "function") return undefined;
  for (const [name, method] of object.builtins ?? []) if (method === found) return name;
  return undefined;
}

/** Words between white space. */
function wordsOf(text: string): number {
  let words = 0;
  for (let i = 0; i < text.length; i++) {
    if (/\S/.test(text[i]!) && (i === 0 || /\s/.test(text[i - 1]!))) words++;
  }
  return words;
}

/** `range` within the limit on lists. */
export function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  checkItems(count, "a range");
  return Array.from({ length: count }, (_, i) => start + i * step);
}
