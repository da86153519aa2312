/** Arrays of values from a list, each at most once: in the list's order, which makes them easy to keep apart. */
import { choice, type Expression, literal, NEVER, NOTHING, rule, sequence } from "../expression.ts";
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
  const from = (i: number, count: number): Expression => {
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
