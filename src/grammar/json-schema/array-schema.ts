/** Arrays: of one kind of items, tuples, and sets of listed values. */
import { type Expression, literal, NEVER, rule, sequence } from "../expression.ts";
import { brackets, COMMA } from "../json-text.ts";
import { mergeSchemas } from "./merge-schemas.ts";
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
import { firstsApart, MAX_UNIQUE, uniqueItems } from "./unique-items.ts";
import { listOf } from "./values-schema.ts";

const MAX_CONTAINED = 16;

export function arraySchema(
  schema: SchemaObject,
  path: string,
  context: SchemaContext,
): Expression {
  const contained = containedOf(schema, path);
  const { prefix, items } =
    contained.length === 0 ? itemsOf(schema, path) : startingWith(contained, schema, path, context);
  const min = Math.max(countOf(schema, "minItems", path) ?? 0, contained.length);
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

/** What some of the items have to be, as often as they have to. */
function containedOf(schema: SchemaObject, path: string): readonly Schema[] {
  const { contains, maxContains } = schema;
  if (contains === undefined) return [];
  const least = countOf(schema, "minContains", path) ?? 1;
  if (!isSchema(contains)) throw unsupported(path, "contains is no schema");
  if (maxContains !== undefined) throw unsupported(path, "keyword maxContains is not supported");
  if (least > MAX_CONTAINED) {
    throw unsupported(path, `minContains ${least}, at most ${MAX_CONTAINED}`);
  }
  return Array.from({ length: least }, () => contains);
}

/** The first items are those that an array has to contain. */
function startingWith(
  contained: readonly Schema[],
  schema: SchemaObject,
  path: string,
  context: SchemaContext,
): { prefix: readonly Schema[]; items: Schema | undefined } {
  const { prefix, items = true } = itemsOf(schema, path);
  if (prefix.length > 0) throw unsupported(path, "contains beside a tuple is not supported");
  const of = context.resolved(items, path);
  return {
    prefix: contained.map((one) => mergeSchemas(of, context.resolved(one, path), path)),
    items,
  };
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
  if (prefix.length > 0) throw unsupported(path, "uniqueItems of a tuple is not supported");
  if (list !== undefined && list.length > MAX_UNIQUE) {
    throw unsupported(path, `uniqueItems of more than ${MAX_UNIQUE} values`);
  }
  const type = list === undefined && isObject(item) ? item.type : undefined;
  if (list === undefined && type !== "string" && type !== "integer") {
    throw unsupported(path, "uniqueItems but of an enum, strings or integers");
  }
  const texts =
    list?.map((value) => literal(JSON.stringify(value))) ??
    firstsApart(
      type as "string" | "integer",
      context.expression(item as Schema, `${path}/items`),
    ).map((one) => rule(context.define(one)));
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
