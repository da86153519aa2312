/**
 * Arrays of values that differ: from a list, in its order; or strings and integers that begin differently, in the order of
 * their first characters. That they differ is then plain from each by itself.
 */
import {
  both,
  type CodePointRanges,
  characters,
  choice,
  type Expression,
  invertRanges,
  literal,
  NEVER,
  NOTHING,
  repeat,
  rule,
  sequence,
} from "../expression.ts";
import { COMMA } from "../json-text.ts";

/** Values times items: as many rules. */
export const MAX_UNIQUE = 32;

/** @param define adds a rule and gives its name back */
export function uniqueItems(
  values: readonly Expression[],
  min: number,
  max: number,
  define: (expression: Expression) => string,
): Expression {
  const rules = new Map<string, string>();
  /** What may follow when the next value is number `i` and there are `count` items. */
  const from = (i: number, items: number): Expression => {
    // Where there is room for all, only whether there are enough matters.
    const count = max >= values.length ? Math.min(items, Math.max(1, min)) : items;
    const key = `${i},${count}`;
    let name = rules.get(key);
    if (name === undefined) {
      name = define(write(i, count));
      rules.set(key, name);
    }
    return rule(name);
  };
  const write = (i: number, count: number): Expression => {
    if (i === values.length) return count >= min ? NOTHING : NEVER;
    const without = from(i + 1, count);
    if (count >= max) return without;
    const item = count === 0 ? values[i] : sequence(COMMA, values[i]);
    return choice(sequence(item, from(i + 1, count + 1)), without);
  };
  return sequence(literal("["), from(0, 0), literal("]"));
}

/** Letters of either case, each by itself; digits; signs; all other characters. */
const LETTERS: readonly CodePointRanges[] = Array.from({ length: 26 }, (_, i) => [
  [0x41 + i, 0x41 + i],
  [0x61 + i, 0x61 + i],
]);
const STRING_STARTS: readonly CodePointRanges[] = [
  ...LETTERS,
  [[0x30, 0x39]],
  invertRanges([
    [0, 0x1f],
    [0x22, 0x22],
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x5c, 0x5c],
    [0x61, 0x7a],
  ]),
];
/** Both zeros are one. */
const INTEGER_STARTS: readonly CodePointRanges[] = Array.from({ length: 10 }, (_, i) => [
  [0x30 + i, 0x30 + i],
]);
const ANY: Expression = repeat(characters([0, 0x10ffff]), 0, Number.POSITIVE_INFINITY);

/** The texts of an item, apart by how they begin; escapes and minus signs at the start are left out. */
export function firstsApart(type: "string" | "integer", item: Expression): readonly Expression[] {
  const starts = type === "string" ? STRING_STARTS : INTEGER_STARTS;
  const quote = type === "string" ? [literal('"')] : [];
  return starts.map((ranges) => both(item, sequence(...quote, characters(...ranges), ANY)));
}
