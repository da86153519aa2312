/** Values of a pickle may share parts, but not hold themselves, nor nest deeper than state dicts do. */
import type { PronkError } from "../../errors.ts";
import { PickleDict, PickleTuple } from "./pickle-values.ts";

/** An optimizer's state in a training checkpoint nests 8 deep. */
const MAX_DEPTH = 32;

interface Visit {
  readonly value: object;
  readonly rest: Iterator<unknown>;
  /** Of the deepest part so far. */
  height: number;
}

/**
 * Looks at each part once, in time for the pickle's length however often parts are shared, and
 * without a call stack that a pickle could fill.
 *
 * @throws what `bad` makes of the finding.
 */
export function checkNesting(root: unknown, bad: (what: string) => PronkError): void {
  const heights = new Map<object, number>();
  const open = new Set<object>();
  const path: Visit[] = [];
  const enter = (value: unknown): void => {
    const rest = partsOf(value);
    if (rest === undefined) return;
    open.add(value as object);
    path.push({ value: value as object, rest, height: 0 });
  };
  enter(root);
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const next = visit.rest.next();
    if (next.done === true) {
      path.length--;
      open.delete(visit.value);
      heights.set(visit.value, visit.height);
      const parent = path.at(-1);
      if (parent !== undefined) parent.height = Math.max(parent.height, visit.height + 1);
    } else if (open.has(next.value as object)) {
      throw bad("a list or dict that holds itself");
    } else {
      const known = heights.get(next.value as object);
      if (known === undefined) enter(next.value);
      else visit.height = Math.max(visit.height, known + 1);
    }
    if (path.length > MAX_DEPTH || visit.height > MAX_DEPTH) {
      throw bad(`values nest deeper than ${MAX_DEPTH}`);
    }
  }
}

function partsOf(value: unknown): Iterator<unknown> | undefined {
  if (value instanceof PickleTuple) return value.items.values();
  if (value instanceof PickleDict) return value.values();
  return Array.isArray(value) ? value.values() : undefined;
}
