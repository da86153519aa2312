/**
 * The schemas that validate, as JSON Schema 2020-12 for the document that is served.
 *
 * zod has a converter of its own, of 10 KB gzipped in every Worker: a thirtieth of the whole script. This
 * one knows the kinds that the server's schemas use, refuses others by name, and gives the same as zod's for
 * all of them (tests/unit/server/json-schema.test.ts).
 */
import type * as z from "zod/mini";
import { PronkError } from "../../errors.ts";

export type JsonSchema = { readonly [keyword: string]: unknown };

/** What is read of zod's definitions. */
interface Definition {
  readonly type: string;
  readonly [part: string]: unknown;
}

type Schema = { readonly _zod: { readonly def: unknown } };

/** @throws PronkError "unsupported" naming a kind or a check that is not known here. */
export function toJsonSchema(schema: z.core.$ZodType): JsonSchema {
  return convert(schema);
}

function convert(schema: Schema): JsonSchema {
  const def = schema._zod.def as Definition;
  const of = (part: string): JsonSchema => convert(def[part] as Schema);
  switch (def.type) {
    case "any":
    case "unknown":
      return {};
    case "null":
      return { type: "null" };
    case "boolean":
      return { type: "boolean" };
    case "string":
      return { type: "string", ...checks(def) };
    case "number":
      return { type: "number", ...checks(def) };
    case "array":
      return { ...checks(def, "Items"), type: "array", items: of("element") };
    case "object":
      return object(def.shape as Record<string, Schema>);
    case "record":
      return {
        type: "object",
        propertyNames: of("keyType"),
        additionalProperties: of("valueType"),
      };
    case "literal":
      return literals(def.values as unknown[]);
    case "enum":
      return { type: "string", enum: Object.values(def.entries as object) };
    case "union": {
      const options = (def.options as Schema[]).map(convert);
      return { [def.discriminator === undefined ? "anyOf" : "oneOf"]: options };
    }
    case "optional":
      return of("innerType");
    case "nullable":
      return nullable(of("innerType"));
    default:
      throw new PronkError("unsupported", `schema: no JSON Schema for zod's ${def.type}`);
  }
}

function object(shape: Readonly<Record<string, Schema>>): JsonSchema {
  const names = Object.keys(shape);
  const required = names.filter((name) => !isOptional(shape[name] as Schema));
  return {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, convert(shape[name] as Schema)])),
    ...(required.length > 0 && { required }),
  };
}

function isOptional(schema: Schema): boolean {
  const { type } = schema._zod.def as Definition;
  return type === "optional";
}

function literals(values: readonly unknown[]): JsonSchema {
  const type = typeof values[0];
  if (values.length !== 1) return { type, enum: values };
  return { type, const: values[0] };
}

function nullable(schema: JsonSchema): JsonSchema {
  const isBare = Object.keys(schema).length === 1 && typeof schema.type === "string";
  return isBare ? { type: [schema.type, "null"] } : { anyOf: [schema, { type: "null" }] };
}

/** @param unit what lengths are of, as JSON Schema names it. */
function checks(def: Definition, unit = "Length"): JsonSchema {
  const keywords: Record<string, unknown> = {};
  // z.int() is a number that is its own check.
  const all = [
    ...(def.check === undefined ? [] : [{ _zod: { def } }]),
    ...((def.checks ?? []) as Schema[]),
  ];
  for (const { _zod } of all) {
    const { check, value, inclusive, minimum, maximum, format, pattern } = _zod.def as Definition;
    if (check === "number_format" && format === "safeint") {
      keywords.type = "integer";
    } else if (check === "greater_than")
      keywords[inclusive ? "minimum" : "exclusiveMinimum"] = value;
    else if (check === "less_than") keywords[inclusive ? "maximum" : "exclusiveMaximum"] = value;
    else if (check === "min_length") keywords[`min${unit}`] = minimum;
    else if (check === "max_length") keywords[`max${unit}`] = maximum;
    else if (check === "string_format" && pattern instanceof RegExp)
      keywords.pattern = pattern.source;
    // A refinement is code: the document says less than what is checked.
    else if (check !== "custom") {
      throw new PronkError("unsupported", `schema: no JSON Schema for zod's check ${check}`);
    }
  }
  if (keywords.type === "integer") {
    if (keywords.exclusiveMinimum === undefined) keywords.minimum ??= Number.MIN_SAFE_INTEGER;
    if (keywords.exclusiveMaximum === undefined) keywords.maximum ??= Number.MAX_SAFE_INTEGER;
  }
  return keywords;
}
