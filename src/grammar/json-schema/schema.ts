/** What a JSON Schema says, as far as it is understood: draft 2020-12, and what draft-07 and OpenAPI spell otherwise. */
import { PronkError } from "../../errors.ts";
import { printable } from "../../formats/printable.ts";
import type { Expression } from "../expression.ts";

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };
export type SchemaObject = { readonly [key: string]: Json };
export type Schema = boolean | SchemaObject;

/** What the parts of a schema need of the whole. */
export interface SchemaContext {
  /** Every text of a schema's values. */
  expression(schema: Schema, path: string): Expression;
  /** Without a reference at its top. */
  resolved(schema: Schema, path: string): Schema;
  /** Adds a rule and gives its name. */
  define(expression: Expression): string;
}

/** Say something about texts and values, never which there are. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  ...["$schema", "$id", "$anchor", "$comment", "$vocabulary", "$defs", "definitions"],
  ...["title", "description", "default", "examples", "example", "deprecated", "readOnly"],
  ...["writeOnly", "contentMediaType", "contentEncoding", "contentSchema", "discriminator"],
  ...["xml", "externalDocs", "markdownDescription", "enumDescriptions", "propertyOrdering"],
  ...["enumNames", "strict", "name", "id", "$dynamicAnchor", "errorMessage"],
]);

const UNDERSTOOD: ReadonlySet<string> = new Set([
  ...["$ref", "allOf", "anyOf", "oneOf", "enum", "const", "type", "nullable"],
  ...["minLength", "maxLength", "pattern", "format"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["properties", "required", "additionalProperties", "unevaluatedProperties"],
  ...["patternProperties", "propertyNames", "minProperties", "maxProperties"],
  ...["items", "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems"],
  ...["uniqueItems", "dependentRequired", "contains", "minContains", "maxContains"],
  ...["not", "if", "then", "else", "dependentSchemas", "dependencies"],
]);

/** How the keywords of a type are known: a schema without `type` that has some means that type. */
export const KEYWORDS_OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: [
    ...["properties", "required", "additionalProperties", "patternProperties", "propertyNames"],
    ...["minProperties", "maxProperties", "unevaluatedProperties", "dependentRequired"],
  ],
  array: [
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "unevaluatedItems",
    "contains",
  ],
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
};

/** Of a message and its place, which repeat the schema's own words. */
const MAX_SHOWN = 300;

export function unsupported(path: string, what: string): PronkError {
  const where = path === "" ? "" : ` at ${printable(path, MAX_SHOWN)}`;
  const message = `schema${where}: ${printable(what, MAX_SHOWN)}`;
  return new PronkError("unsupported", message, { param: "schema" });
}

export function isObject(value: Json | undefined): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isSchema(value: Json | undefined): value is Schema {
  return typeof value === "boolean" || isObject(value);
}

/** The keywords that count; annotations are left out. */
export function keywordsOf(schema: SchemaObject, path: string): SchemaObject {
  const keywords: Record<string, Json> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (ANNOTATIONS.has(keyword) || keyword.startsWith("x-") || value === undefined) continue;
    if (!UNDERSTOOD.has(keyword)) throw unsupported(path, `keyword ${keyword} is not supported`);
    keywords[keyword] = value;
  }
  return keywords;
}

/** @throws PronkError "unsupported" where it is no whole number from 0 up. */
export function countOf(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw unsupported(path, `${keyword} is ${JSON.stringify(value)}, not a count`);
}

export function numberOf(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw unsupported(path, `${keyword} is ${JSON.stringify(value)}, not a number`);
}

export function schemasOf(schema: SchemaObject, keyword: string, path: string): readonly Schema[] {
  const value = schema[keyword];
  if (Array.isArray(value) && value.every(isSchema)) return value;
  throw unsupported(path, `${keyword} is no list of schemas`);
}

/** Values are equal as JSON: members in any order. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  return canonical(a) === canonical(b);
}

export function canonical(value: Json | undefined): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "undefined";
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
}

/** The type of a value: integers are numbers, too. */
export function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
