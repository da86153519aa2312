/** Two schemas as one that holds where both do. */
import { excludedBy, isOfSimple } from "./negate-schema.ts";
import {
  isObject,
  isSchema,
  type Json,
  type Schema,
  type SchemaObject,
  sameJson,
  schemasOf,
  typeOf,
  unsupported,
} from "./schema.ts";

/** Keywords that bound from below, and from above. */
const LARGER_HOLDS = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const SMALLER_HOLDS = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/** Alternatives that two lists of alternatives may become. */
const MAX_ALTERNATIVES = 256;

/** @throws PronkError "unsupported" with the keyword that cannot be merged. */
export function mergeSchemas(a: Schema, b: Schema, path: string): Schema {
  if (typeof a === "boolean") return a ? b : false;
  if (typeof b === "boolean") return b ? a : false;
  if (a.const !== undefined && b.const !== undefined && !sameJson(a.const, b.const)) return false;
  const merged: Record<string, Json> = { ...a, ...b };
  for (const keyword of Object.keys(b)) {
    if (a[keyword] === undefined || sameJson(a[keyword], b[keyword])) continue;
    merged[keyword] = mergeKeyword(keyword, a, b, path);
  }
  mergeObjects(a, b, merged, path);
  if (merged.type !== undefined && Array.isArray(merged.type) && merged.type.length === 0)
    return false;
  if (Array.isArray(merged.enum) && merged.enum.length === 0) return false;
  if (merged.const !== undefined && !mayHold(merged.const, merged)) return false;
  if (isObject(merged.properties) && Array.isArray(merged.required)) {
    const { properties: members, required } = merged;
    if (merged.type === "object" && required.some((name) => members[String(name)] === false)) {
      return false;
    }
  }
  return merged;
}

function mergeKeyword(keyword: string, a: SchemaObject, b: SchemaObject, path: string): Json {
  const [left, right] = [a[keyword], b[keyword]];
  const areNumbers = typeof left === "number" && typeof right === "number";
  if (!areNumbers && [...LARGER_HOLDS, ...SMALLER_HOLDS].includes(keyword)) {
    throw unsupported(path, `${keyword} is no number`);
  }
  if (LARGER_HOLDS.includes(keyword)) return Math.max(Number(left), Number(right));
  if (SMALLER_HOLDS.includes(keyword)) return Math.min(Number(left), Number(right));
  switch (keyword) {
    case "type":
      return commonTypes(left, right);
    case "enum":
      return listOf(left, keyword, path).filter((value) =>
        listOf(right, keyword, path).some((other) => sameJson(value, other)),
      );
    case "anyOf":
    case "oneOf":
      // One of each: where just one of either holds, so does just one of the pairs.
      return alternatives(schemasOf(a, keyword, path), schemasOf(b, keyword, path), path);
    case "$ref":
      throw unsupported(path, "two $ref at once");
    case "nullable":
      return left === true && right === true;
    case "required":
      return [...new Set([...listOf(left, keyword, path), ...listOf(right, keyword, path)])];
    case "uniqueItems":
      return left === true || right === true;
    case "allOf":
    case "prefixItems":
      if (keyword === "allOf")
        return [...schemasOf(a, keyword, path), ...schemasOf(b, keyword, path)];
      throw unsupported(path, "two lists of prefixItems at once are not supported");
    case "items":
    case "propertyNames":
    case "additionalItems":
      if (isSchema(left) && isSchema(right)) return mergeSchemas(left, right, path);
      break;
    case "properties":
    case "additionalProperties":
    case "unevaluatedProperties":
      // By mergeObjects, which knows all of them.
      return right;
    case "not":
      // A list of both: see negate-schema.ts.
      return [left, right].flat();
    case "dependentRequired":
      if (isObject(left) && isObject(right)) return mergeLists(left, right);
      break;
    case "pattern":
    case "format":
      // Lists of both: see string-schema.ts.
      return [...new Set([left, right].flat() as Json[])];
    case "multipleOf": {
      const [x, y] = [Number(left), Number(right)];
      if (x % y === 0) return x;
      if (y % x === 0) return y;
      break;
    }
  }
  throw unsupported(path, `two different ${keyword} at once are not supported`);
}

function listOf(value: Json, keyword: string, path: string): readonly Json[] {
  if (Array.isArray(value)) return value;
  throw unsupported(path, `${keyword} is no list`);
}

function mergeLists(left: SchemaObject, right: SchemaObject): Json {
  const all = new Map(Object.entries(left));
  for (const [name, list] of Object.entries(right)) {
    all.set(name, [...new Set([all.get(name) ?? [], list].flat() as Json[])]);
  }
  return Object.fromEntries(all);
}

function alternatives(left: readonly Schema[], right: readonly Schema[], path: string): Json {
  if (left.length * right.length > MAX_ALTERNATIVES) {
    throw unsupported(path, `more than ${MAX_ALTERNATIVES} alternatives`);
  }
  const pairs = left.flatMap((x) => right.map((y) => mergeSchemas(x, y, path)));
  return pairs.filter((pair) => pair !== false);
}

function commonTypes(left: Json, right: Json): Json {
  const [a, b] = [left, right].map((type) => (Array.isArray(type) ? type : [type]));
  const common = new Set<Json>();
  for (const x of a) {
    for (const y of b) {
      if (x === y) common.add(x);
      else if ((x === "integer" && y === "number") || (x === "number" && y === "integer")) {
        common.add("integer");
      }
    }
  }
  return [...common];
}

/** Properties, with what each side says of those that only the other names. */
function mergeObjects(
  a: SchemaObject,
  b: SchemaObject,
  merged: Record<string, Json>,
  path: string,
): void {
  const additional = (schema: SchemaObject): Json | undefined => schema.additionalProperties;
  const [left, right] = [properties(a), properties(b)];
  if (isObject(a.properties) || isObject(b.properties)) {
    // A member may be called __proto__.
    const of = (schema: SchemaObject, name: string): Json | undefined =>
      Object.hasOwn(schema, name) ? schema[name] : undefined;
    const all: [string, Json][] = [];
    for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const x = of(left, name) ?? additional(a) ?? true;
      const y = of(right, name) ?? additional(b) ?? true;
      if (!isSchema(x) || !isSchema(y)) throw unsupported(path, `property ${name} is no schema`);
      all.push([name, mergeSchemas(x, y, `${path}/properties/${name}`)]);
    }
    merged.properties = Object.fromEntries(all);
  }
  const [x, y] = [additional(a), additional(b)];
  if (x !== undefined && y !== undefined && isSchema(x) && isSchema(y)) {
    merged.additionalProperties = mergeSchemas(x, y, path);
  }
  const [u, v] = [a.unevaluatedProperties, b.unevaluatedProperties];
  if (isSchema(u) && isSchema(v)) merged.unevaluatedProperties = mergeSchemas(u, v, path);
}

function properties(schema: SchemaObject): SchemaObject {
  return isObject(schema.properties) ? schema.properties : {};
}

/** Whether a value has what the schema asks of scalars; members and items are not looked at. */
export function mayHold(value: Json, schema: SchemaObject): boolean {
  const type = typeOf(value);
  const types = schema.type === undefined ? undefined : [schema.type].flat();
  const isAllowed = types?.some((t) => t === type || (t === "number" && type === "integer"));
  if (isAllowed === false && !(value === null && schema.nullable === true)) return false;
  if (Array.isArray(schema.enum) && !schema.enum.some((other) => sameJson(other, value)))
    return false;
  if (schema.const !== undefined && !sameJson(schema.const, value)) return false;
  const excluded = excludedBy(schema) ?? [];
  if (excluded.some((one) => isOfSimple(value, one))) return false;
  if (typeof value === "string") {
    const length = [...value].length;
    if (length < Number(schema.minLength ?? 0)) return false;
    if (length > Number(schema.maxLength ?? Number.POSITIVE_INFINITY)) return false;
  }
  if (typeof value === "number") {
    if (value < Number(schema.minimum ?? Number.NEGATIVE_INFINITY)) return false;
    if (value > Number(schema.maximum ?? Number.POSITIVE_INFINITY)) return false;
    if (typeof schema.exclusiveMinimum === "number" && value <= schema.exclusiveMinimum)
      return false;
    if (typeof schema.exclusiveMaximum === "number" && value >= schema.exclusiveMaximum)
      return false;
    if (schema.multipleOf !== undefined && !Number.isInteger(value / Number(schema.multipleOf)))
      return false;
  }
  return true;
}
