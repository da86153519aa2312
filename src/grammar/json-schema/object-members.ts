/** The members of an object as an expression: in the order of the schema, commas where they belong. */
import { type Expression, literal, sequence } from "../expression.ts";
import { COMMA, listed } from "../json-text.ts";

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

export function objectOf({ declared, other }: Members): Expression {
  const items = [...declared];
  if (other !== undefined && other.max > 0) {
    const { text, min, max } = other;
    items.push({ text: listed(text, Math.max(1, min), max), required: min > 0 });
  }
  return sequence(literal("{"), { type: "list", separator: COMMA, items }, literal("}"));
}
