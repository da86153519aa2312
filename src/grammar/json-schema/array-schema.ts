/** Arrays: of one kind of items, tuples, and sets of listed values. */
import { type Expression, literal, NEVER, sequence } from "../expression.ts";
import { brackets, COMMA } from "../json-text.ts";
import {
  countOf,
  isObject,
  isSchema,
  type Schema,
  type SchemaContext,
  type SchemaObject,
  schemasOf,
  unsupported,
} from "./schema.ts";
import { MAX_UNIQUE, uniqueItems } from "./unique-items.ts";
import { listOf } from "./values-schema.ts";

export function arraySchema(
  schema: SchemaObject,
  path: string,
  context: SchemaContext,
): Expression {
  const { prefix, items } = itemsOf(schema, path);
  const min = countOf(schema, "minItems", path) ?? 0;
  const max = countOf(schema, "maxItems", path) ?? Number.POSITIVE_INFINITY;
  if (min > max) return NEVER;
  if (schema.uniqueItems === true && max > 1)
    return uniqueArray(prefix, items, min, max, path, context);
  const leading = prefix
    .slice(0, max)
    .map((one, i) => context.expression(one, `${path}/prefixItems/${i}`));
  if (leading.length === 0) {
    return brackets(
      context.expression(items ?? true, `${path}/items`),
      min,
      items === false ? 0 : max,
    );
  }
  const more = Math.max(0, min - leading.length);
  // Beside a tuple's own items, others come only if the schema says so.
  if (items === false && more > 0) return NEVER;
  const tail =
    (items === undefined || items === false) && more === 0
      ? []
      : [tailOf(items ?? true, more, max - leading.length, path, context)];
  const head = leading.flatMap((item, i) => (i === 0 ? [item] : [COMMA, item]));
  return sequence(literal("["), ...head, ...tail, literal("]"));
}

function tailOf(
  items: Schema,
  min: number,
  max: number,
  path: string,
  context: SchemaContext,
): Expression {
  const item = context.expression(items, `${path}/items`);
  return { type: "repeat", item: sequence(COMMA, item), min, max };
}

function uniqueArray(
  prefix: readonly Schema[],
  items: Schema | undefined,
  min: number,
  max: number,
  path: string,
  context: SchemaContext,
): Expression {
  const item = items === undefined ? undefined : context.resolved(items, path);
  const list = isObject(item) ? listOf(item) : undefined;
  if (prefix.length > 0 || list === undefined || list.length > MAX_UNIQUE) {
    throw unsupported(path, `uniqueItems but of an enum of at most ${MAX_UNIQUE} values`);
  }
  const texts = list.map((value) => literal(JSON.stringify(value)));
  return uniqueItems(texts, min, Math.min(max, texts.length), context.define);
}
function itemsOf(
  schema: SchemaObject,
  path: string,
): { prefix: readonly Schema[]; items: Schema | undefined } {
  const isTuple = Array.isArray(schema.items);
  const keyword = isTuple ? "items" : "prefixItems";
  const prefix = schema[keyword] === undefined ? [] : schemasOf(schema, keyword, path);
  const items = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems;
  if (items === undefined || isSchema(items)) return { prefix, items };
  throw unsupported(path, "items is no schema");
}
