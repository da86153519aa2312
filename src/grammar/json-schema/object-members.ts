/** The members of an object as an expression: in the order of the schema, commas where they belong. */
import {
  choice,
  type Expression,
  literal,
  optional,
  repeat,
  rule,
  sequence,
} from "../expression.ts";
import { COMMA } from "../json-text.ts";

export interface Member {
  /** Name, colon and value. */
  readonly text: Expression;
  readonly required: boolean;
}

export interface Members {
  readonly declared: readonly Member[];
  /** Members of other names behind them; undefined where there may be none. */
  readonly other:
    | { readonly text: Expression; readonly min: number; readonly max: number }
    | undefined;
}

/** @param define adds a rule and gives its name back */
export function objectOf(
  { declared, other }: Members,
  define: (expression: Expression) => string,
): Expression {
  const min = other?.min ?? 0;
  const max = other?.max ?? 0;
  const item = other?.text;
  // Behind other members, and where there are none.
  let behind: Expression =
    item === undefined ? sequence() : repeat(sequence(COMMA, item), min, max);
  let first: Expression = sequence();
  if (item !== undefined && max > 0) {
    const listed = sequence(item, repeat(sequence(COMMA, item), Math.max(0, min - 1), max - 1));
    first = min > 0 ? listed : optional(listed);
  }
  for (const { text, required } of declared.toReversed()) {
    // Both use what comes behind; as a rule it is written once.
    const rest = rule(define(behind));
    const begun = sequence(text, rest);
    first = required ? begun : choice(begun, rule(define(first)));
    const next = sequence(COMMA, text);
    behind = sequence(required ? next : optional(next), rest);
  }
  return sequence(literal("{"), first, literal("}"));
}
