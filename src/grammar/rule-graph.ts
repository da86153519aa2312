/** Which rules of a grammar are written out where they are used, and which are called. */
import type { Expression } from "./expression.ts";

/** A rule, or all copies of a repeated item, of at most so many nodes stands where it is used. */
export const WRITTEN_OUT_NODES = 128;

/** A repeat of more is a loop, whose tokens take a walk over most of a vocabulary to find. */
export const MANY_COPIES = 8;

/** Nodes of it when written out without its rules; more than `limit` is only more. */
export function sizeOf(expression: Expression, limit: number): number {
  switch (expression.type) {
    case "literal":
      return expression.bytes.length;
    case "class":
      return 2 * expression.ranges.length;
    case "rule":
      return 1;
    case "repeat": {
      const copies =
        expression.max === Number.POSITIVE_INFINITY ? expression.min + 1 : expression.max;
      return sizeOf(expression.item, limit) * Math.max(1, copies);
    }
    case "list": {
      let size = 0;
      for (const { text } of expression.items) {
        size += sizeOf(text, limit) + 3;
        if (size > limit) break;
      }
      return size;
    }
    case "both":
    case "except":
      return sizeOf(expression.item, limit) * 2 + sizeOf(expression.filter, limit) * 2;
    default: {
      let size = 0;
      for (const item of expression.items) {
        size += sizeOf(item, limit);
        if (size > limit) break;
      }
      return size;
    }
  }
}

/**
 * Rules that are not written out: those that lead to themselves, large ones, and those with a loop that are used
 * twice: what tokens a loop can take is then found out once.
 */
export function calledRules(rules: ReadonlyMap<string, Expression>): Set<string> {
  const called = new Set<string>();
  const sizes = new Map<string, number>();
  const loops = new Set<string>();
  const uses = new Map<string, number>();
  for (const expression of rules.values()) {
    for (const name of namesIn(expression)) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  for (const { name, recursive } of sinksFirst(rules)) {
    const expression = rules.get(name)!;
    let size = sizeOf(expression, WRITTEN_OUT_NODES);
    if (hasLoop(expression)) loops.add(name);
    for (const inner of namesIn(expression)) {
      if (called.has(inner)) continue;
      size += sizes.get(inner) ?? 0;
      if (loops.has(inner)) loops.add(name);
    }
    sizes.set(name, size);
    const isShared = loops.has(name) && (uses.get(name) ?? 0) > 1;
    if (recursive || size > WRITTEN_OUT_NODES || isShared) called.add(name);
  }
  return called;
}

function hasLoop(expression: Expression): boolean {
  switch (expression.type) {
    case "repeat":
      return expression.max > MANY_COPIES || hasLoop(expression.item);
    case "sequence":
    case "choice":
      return expression.items.some(hasLoop);
    case "list":
      return expression.items.some(({ text }) => hasLoop(text));
    case "both":
    case "except":
      return hasLoop(expression.item);
    default:
      return false;
  }
}

/** Every rule after those that it uses, but for cycles, whose rules are marked. */
function sinksFirst(
  rules: ReadonlyMap<string, Expression>,
): { readonly name: string; readonly recursive: boolean }[] {
  // Tarjan's strongly connected components, without recursion.
  const order: { name: string; recursive: boolean }[] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  for (const root of rules.keys()) {
    if (index.has(root)) continue;
    const work: { name: string; inner: string[]; next: number }[] = [];
    const open = (name: string): void => {
      index.set(name, index.size);
      low.set(name, index.size - 1);
      stack.push(name);
      onStack.add(name);
      const inner = namesIn(rules.get(name)!).filter((other) => rules.has(other));
      work.push({ name, inner, next: 0 });
    };
    open(root);
    for (let top = work.at(-1); top !== undefined; top = work.at(-1)) {
      const { name } = top;
      const next = top.inner[top.next++];
      if (next !== undefined) {
        if (!index.has(next)) open(next);
        else if (onStack.has(next)) low.set(name, Math.min(low.get(name)!, index.get(next)!));
        continue;
      }
      work.pop();
      const above = work.at(-1);
      if (above !== undefined) low.set(above.name, Math.min(low.get(above.name)!, low.get(name)!));
      if (low.get(name) !== index.get(name)) continue;
      const members = stack.splice(stack.indexOf(name));
      for (const member of members) onStack.delete(member);
      const recursive = members.length > 1 || namesIn(rules.get(name)!).includes(name);
      order.push(...members.map((member) => ({ name: member, recursive })));
    }
  }
  return order;
}

function namesIn(expression: Expression): string[] {
  const names: string[] = [];
  const rest: Expression[] = [expression];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (next.type === "rule") names.push(next.name);
    else if (next.type === "repeat") rest.push(next.item);
    else if (next.type === "sequence" || next.type === "choice")
      for (const item of next.items) rest.push(item);
    else if (next.type === "both" || next.type === "except") rest.push(next.item, next.filter);
    else if (next.type === "list") {
      rest.push(next.separator);
      for (const { text } of next.items) rest.push(text);
    }
  }
  return names;
}
