/**
 * What values of `not` and of `if` are not. Not every such value, but only such: a condition's other side needs no
 * more.
 */
import { type Expression, except } from "../expression.ts";
import { quoted } from "../json-text.ts";
import { literalChoice } from "../literal-choice.ts";
import { parseRegex } from "../parse-regex.ts";
import { isOfPattern } from "../pattern-test.ts";
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

/** Keywords whose opposite is found value by value. */
const SIMPLE = ["const", "enum", "type", "pattern"];
const OF_OBJECTS = ["type", "properties", "required"];

/**
 * Schemas of which each value has one at least; none where `schema` takes everything.
 *
 * @param resolve what a schema with a reference refers to
 * @throws PronkError "unsupported" with the keyword that has no opposite here.
 */
export function negateSchema(
  schema: Schema,
  path: string,
  resolve: (schema: Schema) => Schema,
): readonly Schema[] {
  const resolved = resolve(schema);
  if (typeof resolved === "boolean") return resolved ? [] : [true];
  const keywords = Object.keys(resolved);
  const again = (inner: Schema): readonly Schema[] => negateSchema(inner, path, resolve);
  const [first, ...others] = keywords;
  if (first === undefined) return [];
  if (others.length === 0 && first === "not" && isSchema(resolved.not)) return [resolved.not];
  if (others.length === 0 && first === "allOf")
    return schemasOf(resolved, first, path).flatMap(again);
  if (others.length === 0 && first === "anyOf") {
    const each = schemasOf(resolved, first, path).map(again);
    if (each.some((list) => list.length === 0)) return [];
    return [{ allOf: each.map((list) => (list.length === 1 ? list[0]! : { anyOf: list })) }];
  }
  if (isSimple(resolved)) return [{ not: resolved }];
  const isOfObjects = keywords.every((keyword) => OF_OBJECTS.includes(keyword));
  if (isOfObjects && (resolved.type === undefined || resolved.type === "object")) {
    return lackingMembers(resolved);
  }
  const known = [...SIMPLE, ...OF_OBJECTS];
  const unknown = keywords.find((keyword) => !known.includes(keyword)) ?? keywords.join(" with ");
  throw unsupported(path, `the opposite of ${unknown} is not supported`);
}

/** Objects of which one member is missing, or is not what it would have to be. */
function lackingMembers({ properties, required }: SchemaObject): readonly Schema[] {
  const needed = Array.isArray(required) ? required.map(String) : [];
  const members = isObject(properties) ? properties : {};
  const others = Object.entries(members).flatMap(([name, value]): Schema[] => {
    if (value === true) return [];
    const other: SchemaObject = { type: "object", properties: { [name]: { not: value } } };
    return [needed.includes(name) ? other : { ...other, required: [name] }];
  });
  const missing = needed.filter((name) => !Object.hasOwn(members, name) || members[name] === true);
  return [...others, ...missing.map((name) => ({ type: "object", properties: { [name]: false } }))];
}

function isSimple(schema: Json): boolean {
  if (!isObject(schema)) return false;
  // With several, a value that lacks one of them would do; one is plain.
  const [keyword, other] = Object.keys(schema).filter(
    (name) => !(name === "type" && (schema.const !== undefined || schema.enum !== undefined)),
  );
  return keyword !== undefined && other === undefined && SIMPLE.includes(keyword);
}

/** Simple schemas that a value must not have; `not` is a list of them where schemas were merged. */
export function excludedBy(schema: SchemaObject): readonly SchemaObject[] | undefined {
  const list = schema.not === undefined ? [] : [schema.not].flat();
  return list.every(isSimple) ? (list as SchemaObject[]) : undefined;
}

/** Whether a value is of a simple schema. */
export function isOfSimple(value: Json, schema: SchemaObject): boolean {
  if (schema.const !== undefined) return sameJson(value, schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.some((other) => sameJson(value, other));
  if (schema.type !== undefined) {
    const type = typeOf(value);
    return [schema.type].flat().some((t) => t === type || (t === "number" && type === "integer"));
  }
  return typeof value === "string" && isOfPattern(value, String(schema.pattern), "pattern");
}

/** Types that remain. */
export function remainingTypes(
  types: readonly string[],
  excluded: readonly SchemaObject[],
  path: string,
): readonly string[] {
  const gone = new Set(
    excluded
      .filter((one) => one.const === undefined && one.enum === undefined)
      .flatMap(({ type }) => (type === undefined ? [] : [type].flat().map(String))),
  );
  if (gone.has("integer") && !gone.has("number") && types.includes("number")) {
    throw unsupported(path, "numbers that are not of type integer are not supported");
  }
  return types.filter((type) => !gone.has(type) && !(type === "integer" && gone.has("number")));
}

/**
 * Texts of a type's values without those that are excluded.
 *
 * @param plain strings with each character spelled in one way
 */
export function withoutExcluded(
  type: string,
  text: Expression,
  excluded: readonly SchemaObject[],
  plain: () => Expression,
  path: string,
): Expression {
  const values = excluded.flatMap((one) =>
    one.const !== undefined ? [one.const] : Array.isArray(one.enum) ? one.enum : [],
  );
  const own = values.filter((value) => {
    const found = typeOf(value);
    return found === type || (type === "number" && found === "integer");
  });
  const patterns = excluded.flatMap(({ pattern }) => (pattern === undefined ? [] : [pattern]));
  switch (type) {
    case "string": {
      if (own.length + patterns.length === 0) return text;
      const spelled = literalChoice(own.map((value) => JSON.stringify(value)));
      const listed = own.length === 0 ? plain() : except(plain(), spelled);
      return patterns.reduce<Expression>((left, pattern) => {
        const options = { match: "anywhere", param: "pattern" } as const;
        return except(left, quoted(parseRegex(String(pattern), options)));
      }, listed);
    }
    case "integer": {
      if (own.length === 0) return text;
      const spelled = own.flatMap((value) => (value === 0 ? ["0", "-0"] : [String(value)]));
      return except(text, literalChoice(spelled));
    }
    case "boolean":
    case "null":
      return own.length === 0 ? text : except(text, literalChoice(own.map((v) => String(v))));
    default:
      if (own.length === 0) return text;
      throw unsupported(path, `not of a value of type ${type} is not supported`);
  }
}
