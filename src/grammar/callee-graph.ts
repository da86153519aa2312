/** What is found out about the parts of a grammar from which of them call which. */
import type { Callee } from "./region.ts";

/** Callees for which `holds`, where it may ask for others; the least such set. */
export function fixpoint(
  callees: readonly Callee[],
  holds: (callee: Callee, has: (other: Callee) => boolean) => boolean,
): Set<Callee> {
  const found = new Set<Callee>();
  /** Those that asked for one that was not found yet. */
  const asked = new Map<Callee, Set<Callee>>();
  // Callees come after what calls them: from the end, one pass is mostly enough.
  let pending = new Set(callees.toReversed());
  while (pending.size > 0) {
    const next = new Set<Callee>();
    for (const callee of pending) {
      const has = (other: Callee): boolean => {
        if (found.has(other)) return true;
        const others = asked.get(other) ?? new Set();
        asked.set(other, others.add(callee));
        return false;
      };
      if (found.has(callee) || !holds(callee, has)) continue;
      found.add(callee);
      for (const other of asked.get(callee) ?? []) next.add(other);
    }
    pending = next;
  }
  return found;
}

/**
 * Callees that call each other, or themselves, before anything is read; undefined where there are none.
 *
 * @param isKnown of callees that were looked at before
 */
export function leftRecursion(
  callees: readonly Callee[],
  nullable: ReadonlySet<Callee>,
  isKnown: (callee: Callee) => boolean,
): readonly Callee[] | undefined {
  const done = new Set<Callee>();
  const open = new Set<Callee>();
  // An explicit stack: chains of calls may be long.
  const stack: { readonly callee: Callee; readonly inner: Callee[] }[] = [];
  const enter = (callee: Callee): void => {
    open.add(callee);
    const isRepeat = callee.type === "repeat";
    const inner = isRepeat ? [callee.item] : callee.firstCallees((other) => nullable.has(other));
    stack.push({ callee, inner });
  };
  for (const root of callees) {
    if (done.has(root)) continue;
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.inner.pop();
      if (next === undefined) {
        open.delete(top.callee);
        done.add(top.callee);
        stack.pop();
      } else if (open.has(next)) return [...open];
      else if (!done.has(next) && !isKnown(next)) enter(next);
    }
  }
  return undefined;
}
