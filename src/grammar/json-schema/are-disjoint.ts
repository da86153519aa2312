/** Whether no value can be one of both schemas', as far as that is plain to see. */
import { mayHold } from "./merge-schemas.ts";
import { isObject, isSchema, type Json, type Schema, type SchemaObject } from "./schema.ts";

const MAX_DEPTH = 8;

/** @param resolve what a schema with a reference refers to */
export function areDisjoint(
  a: Schema,
  b: Schema,
  resolve: (schema: SchemaObject) => Schema,
  depth = 0,
): boolean {
  if (a === false || b === false) return true;
  if (a === true || b === true || depth > MAX_DEPTH) return false;
  const [left, right] = [resolve(a), resolve(b)];
  if (left === false || right === false) return true;
  if (left === true || right === true) return false;
  const again = (x: Schema, y: Schema): boolean => areDisjoint(x, y, resolve, depth + 1);
  const [ofLeft, ofRight] = [alternativesOf(left), alternativesOf(right)];
  if (ofLeft !== undefined) return ofLeft.every((one) => again(one, right));
  if (ofRight !== undefined) return ofRight.every((one) => again(left, one));
  if (valuesOf(left)?.every((value) => !mayHold(value, right))) return true;
  if (valuesOf(right)?.every((value) => !mayHold(value, left))) return true;
  const [types, others] = [typesOf(left), typesOf(right)];
  const shared = types.filter((type) => others.includes(type));
  if (shared.length === 0) return true;
  if (shared.every((type) => type === "number" || type === "integer"))
    return rangesApart(left, right);
  if (!shared.every((type) => type === "object")) return false;
  return (
    membersApart(left, right, again) ||
    lacksRequired(left, right) ||
    lacksRequired(right, left) ||
    (writesNone(left, right) && writesNone(right, left))
  );
}

function alternativesOf(schema: SchemaObject): readonly Schema[] | undefined {
  const list = schema.anyOf ?? schema.oneOf;
  return Array.isArray(list) && list.every(isSchema) ? list : undefined;
}

function valuesOf(schema: SchemaObject): readonly Json[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : undefined;
}

/** Types that a value may have; an integer is a number. */
function typesOf(schema: SchemaObject): readonly string[] {
  const all = ["object", "array", "string", "number", "integer", "boolean", "null"];
  const named = schema.type === undefined ? undefined : [schema.type].flat().map(String);
  const known = named ?? all;
  const types = schema.nullable === true ? [...known, "null"] : known;
  return types.includes("number") ? [...types, "integer"] : types;
}

function rangesApart(a: SchemaObject, b: SchemaObject): boolean {
  const below = (x: SchemaObject, y: SchemaObject): boolean => {
    const high = Math.min(number(x.maximum, Infinity), number(x.exclusiveMaximum, Infinity));
    const low = Math.max(number(y.minimum, -Infinity), number(y.exclusiveMinimum, -Infinity));
    const isOpen = x.exclusiveMaximum === high || y.exclusiveMinimum === low;
    return high < low || (high === low && isOpen);
  };
  return below(a, b) || below(b, a);
}

function number(value: Json | undefined, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

/** A member that one side needs differs from what the other takes under that name. */
function membersApart(
  a: SchemaObject,
  b: SchemaObject,
  apart: (x: Schema, y: Schema) => boolean,
): boolean {
  const [left, right] = [a.properties, b.properties];
  if (!isObject(left) || !isObject(right)) return false;
  const needed = new Set([...requiredOf(a), ...requiredOf(b)]);
  return [...needed].some((name) => {
    const [x, y] = [left[name], right[name]];
    return isSchema(x) && isSchema(y) && apart(x, y);
  });
}

/** One side needs a member that the other does not allow. */
function lacksRequired(a: SchemaObject, b: SchemaObject): boolean {
  const isClosed = b.additionalProperties === false && b.patternProperties === undefined;
  const known = isObject(b.properties) ? b.properties : {};
  return isClosed && requiredOf(a).some((name) => !Object.hasOwn(known, name));
}

/** One side needs a member that is never written under the other: what is not declared must be asked for. */
function writesNone(a: SchemaObject, b: SchemaObject): boolean {
  const { additionalProperties: more = false, unevaluatedProperties, patternProperties } = b;
  if (more !== false || (unevaluatedProperties ?? false) !== false) return false;
  if (patternProperties !== undefined || !isObject(b.properties)) return false;
  const known = b.properties;
  return Object.keys(known).length > 0 && requiredOf(a).some((name) => !Object.hasOwn(known, name));
}

function requiredOf(schema: SchemaObject): readonly string[] {
  return Array.isArray(schema.required) ? schema.required.map(String) : [];
}
