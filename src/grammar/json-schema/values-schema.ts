/** Values that are listed: enum and const. */
import type { Expression } from "../expression.ts";
import { literalChoice } from "../literal-choice.ts";
import { mayHold } from "./merge-schemas.ts";
import {
  canonical,
  type Json,
  KEYWORDS_OF_TYPE,
  type SchemaObject,
  unsupported,
} from "./schema.ts";

/** The values of an enum that hold; undefined for another schema. */
export function listOf(schema: SchemaObject): readonly Json[] | undefined {
  if (schema.type === "boolean") return [true, false];
  const list = schema.const === undefined ? schema.enum : [schema.const];
  if (!Array.isArray(list)) return undefined;
  // Every value is in the list that it comes from.
  const { enum: _, ...rest } = schema;
  const seen = new Map(list.filter((value) => mayHold(value, rest)).map((v) => [canonical(v), v]));
  return [...seen.values()];
}

export function valuesSchema(schema: SchemaObject, path: string): Expression {
  if (schema.enum !== undefined && !Array.isArray(schema.enum))
    throw unsupported(path, "enum is no list");
  const list = listOf(schema) ?? [];
  const { pattern, format } = schema;
  if (pattern !== undefined || format !== undefined) {
    throw unsupported(path, "enum with pattern or format");
  }
  const inner = [...KEYWORDS_OF_TYPE.object, ...KEYWORDS_OF_TYPE.array].find(
    (k) => schema[k] !== undefined,
  );
  if (inner !== undefined && list.some((value) => typeof value === "object" && value !== null)) {
    throw unsupported(path, `enum with ${inner}`);
  }
  return literalChoice(list.map((value) => JSON.stringify(value)));
}
