/** Objects: members in the schema's order, and others behind them where the schema asks for them. */
import { both, choice, type Expression, except, literal, NEVER, sequence } from "../expression.ts";
import { COLON, quoted } from "../json-text.ts";
import { parseRegex } from "../parse-regex.ts";
import { isOfPattern } from "../pattern-test.ts";
import { mayHold, mergeSchemas } from "./merge-schemas.ts";
import { type Member, objectOf } from "./object-members.ts";
import { otherNames } from "./other-names.ts";
import {
  countOf,
  isObject,
  isSchema,
  type Json,
  type Schema,
  type SchemaContext,
  type SchemaObject,
  sameJson,
  unsupported,
} from "./schema.ts";
import { listOf } from "./values-schema.ts";

/** Each is kept apart from every other. */
const MAX_PATTERNS = 16;

/** Each character of a name is a level of the names that differ from it. */
const MAX_NAME_CHARS = 1_000;

export function objectSchema(
  unlisted: SchemaObject,
  path: string,
  context: SchemaContext,
): Expression {
  const schema = withListedNames(unlisted, path, context);
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
  const mayBeNamed = nameCheck(schema.propertyNames, path, context);
  for (const name of names) {
    if (!mayBeNamed(name)) {
      if (required.has(name)) return NEVER;
      continue;
    }
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

/** Where names are a list, as zod has it for records of an enum, they are declared. */
function withListedNames(schema: SchemaObject, path: string, context: SchemaContext): SchemaObject {
  const { propertyNames, ...rest } = schema;
  if (!isSchema(propertyNames)) return schema;
  const names = context.resolved(propertyNames, `${path}/propertyNames`);
  const list = isObject(names) ? listOf(names) : undefined;
  if (list === undefined) return schema;
  const declared = membersOf(schema, "properties", path);
  const other = additionalOf(schema, path) ?? true;
  const properties = list.map((name) => [String(name), declared[String(name)] ?? other] as const);
  return { ...rest, properties: Object.fromEntries(properties), additionalProperties: false };
}

/** Whether a declared name is one that the schema allows. */
function nameCheck(
  propertyNames: Json | undefined,
  path: string,
  context: SchemaContext,
): (name: string) => boolean {
  if (!isSchema(propertyNames)) return () => true;
  const names = context.resolved(propertyNames, `${path}/propertyNames`);
  if (typeof names === "boolean") return () => names;
  const patterns = names.pattern === undefined ? [] : [names.pattern].flat();
  const known = ["type", "pattern", "minLength", "maxLength", "enum", "const", "not"];
  const unknown = Object.keys(names).find((keyword) => !known.includes(keyword));
  return (name) => {
    if (unknown !== undefined) {
      throw unsupported(path, `propertyNames with ${unknown} beside declared properties`);
    }
    return (
      mayHold(name, names) &&
      patterns.every((one) => isOfPattern(name, String(one), "propertyNames"))
    );
  };
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
    if (!isOfPattern(name, pattern, "patternProperties")) continue;
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
  const { propertyNames } = schema;
  const keys = propertyNames === undefined ? undefined : namesOf(propertyNames, path, context);
  const isFiltered = keys !== undefined || Object.keys(patterns).length > 0;
  const longest = isFiltered ? Number.POSITIVE_INFINITY : undefined;
  const tooLong = declared.find((name) => name.length > MAX_NAME_CHARS);
  if (tooLong !== undefined) {
    const found = `${tooLong.length} characters, at most ${MAX_NAME_CHARS}`;
    throw unsupported(path, `a property's name of ${found}`);
  }
  const others = declared.length === 0 ? undefined : otherNames(declared, longest);
  if (Object.keys(patterns).length > MAX_PATTERNS) {
    throw unsupported(path, `more than ${MAX_PATTERNS} patternProperties`);
  }
  const list = Object.entries(patterns).map(([pattern, value]) => {
    const options = { match: "anywhere", param: "patternProperties" } as const;
    return { name: quoted(parseRegex(pattern, options)), value };
  });
  const members = list.map(({ name, value }, i) => {
    // Where values differ, a name is of one pattern alone.
    const rivals = list.filter((other, k) => k !== i && !sameJson(other.value, value));
    const apart = rivals.reduce<Expression>((text, rival) => except(text, rival.name), name);
    const alone = others === undefined ? apart : both(apart, others);
    return sequence(
      keys === undefined ? alone : both(alone, keys),
      COLON,
      context.expression(value, `${path}/patternProperties`),
    );
  });
  // Where something is declared, others come only if the schema says so.
  const value = additional ?? (declared.length === 0 && list.length === 0);
  if (value !== false) {
    const free = others ?? (list.length > 0 ? otherNames([], longest) : undefined);
    const name = list.reduce<Expression | undefined>(
      (text, pattern) => text && except(text, pattern.name),
      free,
    );
    const key = name && keys ? both(name, keys) : (name ?? keys ?? otherNames([]));
    members.push(sequence(key, COLON, context.expression(value, `${path}/additionalProperties`)));
  }
  return members.length === 0 ? undefined : choice(...members);
}

/** @throws PronkError "unsupported" where names cannot be written in one way each. */
function namesOf(propertyNames: Json, path: string, context: SchemaContext): Expression {
  const where = `${path}/propertyNames`;
  if (!isSchema(propertyNames)) throw unsupported(where, "no schema");
  const names = context.resolved(propertyNames, where);
  if (names === false) return NEVER;
  return context.expression({ ...(names === true ? {} : names), type: "string" }, where);
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
