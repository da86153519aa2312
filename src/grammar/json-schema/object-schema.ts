/** Objects: members in the schema's order, and others behind them where the schema asks for them. */
import { PronkError } from "../../errors.ts";
import { choice, type Expression, literal, NEVER, sequence } from "../expression.ts";
import { COLON, quoted } from "../json-text.ts";
import { parseRegex } from "../parse-regex.ts";
import { mergeSchemas } from "./merge-schemas.ts";
import { type Member, objectOf } from "./object-members.ts";
import { otherNames } from "./other-names.ts";
import {
  canonical,
  countOf,
  isObject,
  isSchema,
  type Json,
  type Schema,
  type SchemaContext,
  type SchemaObject,
  unsupported,
} from "./schema.ts";

export function objectSchema(
  schema: SchemaObject,
  path: string,
  context: SchemaContext,
): Expression {
  const properties = membersOf(schema, "properties", path);
  const patterns = membersOf(schema, "patternProperties", path);
  const required = requiredNames(schema, properties, path);
  if (required.has("__proto__") || Object.hasOwn(properties, "__proto__")) {
    throw unsupported(path, "a property __proto__ is not supported");
  }
  const names = [...new Set([...Object.keys(properties), ...required])];
  const additional = additionalOf(schema, path);
  const least = countOf(schema, "minProperties", path) ?? 0;
  const most = countOf(schema, "maxProperties", path) ?? Number.POSITIVE_INFINITY;
  const declared: (Member & { readonly name: string })[] = [];
  for (const name of names) {
    const value = memberValue(
      name,
      properties[name] ?? additional ?? true,
      patterns,
      path,
      context,
    );
    if (value === undefined) {
      if (required.has(name)) return NEVER;
      continue;
    }
    const text = sequence(literal(JSON.stringify(name)), COLON, value);
    declared.push({ name, text, required: required.has(name) });
  }
  if (declared.length > most) {
    const kept = declared.filter((member) => member.required);
    if (kept.length > most) return NEVER;
    declared.splice(0, declared.length, ...kept);
  }
  const other = otherMembers(schema, names, patterns, additional, path, context);
  let missing = least - declared.filter((member) => member.required).length;
  const all = declared.map((member) => {
    // Of members that need not be there as many are made to be as there must be.
    const required = member.required || missing-- > 0;
    return { text: member.text, required };
  });
  missing = Math.max(0, least - declared.length);
  if (missing > 0 && other === undefined) return NEVER;
  if (missing > 1) {
    throw unsupported(path, `minProperties ${least}: more than one name that is not declared`);
  }
  const room = most - declared.length;
  const members = {
    declared: all,
    other: other && room > 0 ? { text: other, min: missing, max: room } : undefined,
  };
  return objectOf(members);
}

/** A declared member's value; undefined where it may not be. */
function memberValue(
  name: string,
  schema: Json,
  patterns: Readonly<Record<string, Schema>>,
  path: string,
  context: SchemaContext,
): Expression | undefined {
  const where = `${path}/properties/${name}`;
  if (!isSchema(schema)) throw unsupported(where, "no schema");
  let merged: Schema = schema;
  for (const [pattern, more] of Object.entries(patterns)) {
    if (!regExp(pattern, path).test(name)) continue;
    merged = mergeSchemas(context.resolved(merged, where), context.resolved(more, where), where);
  }
  return merged === false ? undefined : context.expression(merged, where);
}

/** A member of a name that is not declared. */
function otherMembers(
  schema: SchemaObject,
  declared: readonly string[],
  patterns: Readonly<Record<string, Schema>>,
  additional: Schema | undefined,
  path: string,
  context: SchemaContext,
): Expression | undefined {
  const list = Object.entries(patterns);
  if (list.length > 0) {
    // Names of a pattern alone: others would have to be kept from matching it.
    const usable = list.filter(([pattern]) => !declared.some((n) => regExp(pattern, path).test(n)));
    if (list.length > 1 && new Set(list.map(([, value]) => canonical(value))).size > 1) {
      throw unsupported(path, "several patternProperties of different schemas");
    }
    if (schema.propertyNames !== undefined)
      throw unsupported(path, "patternProperties with propertyNames");
    if (usable.length === 0) return undefined;
    const members = usable.map(([pattern, value]) =>
      sequence(
        quoted(parseRegex(pattern, { match: "anywhere", param: "patternProperties" })),
        COLON,
        context.expression(value, `${path}/patternProperties`),
      ),
    );
    return choice(...members);
  }
  // Where properties are declared, others come only if the schema says so.
  const value = additional ?? declared.length === 0;
  if (value === false) return undefined;
  const { propertyNames } = schema;
  if (propertyNames === undefined) {
    return sequence(
      otherNames(declared),
      COLON,
      context.expression(value, `${path}/additionalProperties`),
    );
  }
  if (!isObject(propertyNames)) throw unsupported(path, "propertyNames is no object");
  if (declared.length > 0) throw unsupported(path, "propertyNames beside declared properties");
  const name = context.resolved(propertyNames, `${path}/propertyNames`);
  if (!isObject(name)) throw unsupported(path, "propertyNames is no object");
  const key = context.expression({ ...name, type: "string" }, `${path}/propertyNames`);
  return sequence(key, COLON, context.expression(value, `${path}/additionalProperties`));
}

function membersOf(
  schema: SchemaObject,
  keyword: string,
  path: string,
): Readonly<Record<string, Schema>> {
  const members = schema[keyword] ?? {};
  if (!isObject(members) || !Object.values(members).every(isSchema)) {
    throw unsupported(path, `${keyword} is no object of schemas`);
  }
  return members as Readonly<Record<string, Schema>>;
}

function requiredNames(
  schema: SchemaObject,
  properties: Readonly<Record<string, Schema>>,
  path: string,
): Set<string> {
  const { required = [], dependentRequired = {} } = schema;
  if (!Array.isArray(required) || !required.every((name) => typeof name === "string")) {
    throw unsupported(path, "required is no list of names");
  }
  const names = new Set<string>(required);
  if (!isObject(dependentRequired)) throw unsupported(path, "dependentRequired is no object");
  for (const [name, others] of Object.entries(dependentRequired)) {
    if (!Array.isArray(others)) throw unsupported(path, "dependentRequired is no object of lists");
    // What one member asks for is always given, if that member can be.
    const canBe = names.has(name) || Object.hasOwn(properties, name);
    if (canBe) for (const other of others) names.add(String(other));
  }
  return names;
}

function additionalOf(schema: SchemaObject, path: string): Schema | undefined {
  const { additionalProperties, unevaluatedProperties } = schema;
  const value = additionalProperties ?? unevaluatedProperties;
  if (value === undefined || isSchema(value)) return value;
  throw unsupported(path, "additionalProperties is no schema");
}

function regExp(pattern: string, path: string): RegExp {
  // Read by our own reader first: it bounds what patterns may be.
  parseRegex(pattern, { match: "anywhere", param: "patternProperties" });
  try {
    return new RegExp(pattern, "u");
  } catch (cause) {
    throw new PronkError("bad_request", `schema at ${path}: pattern ${pattern} is not valid`, {
      cause,
    });
  }
}
