/**
 * From a JSON Schema to a grammar whose every text is valid. Not every valid text is one of the grammar's: members come in
 * the schema's order, white space is sparse, and where a keyword would need counting or comparing, fewer values are
 * offered. What cannot be made sure of is refused by name.
 */
import { choice, type Expression, type Grammar, literal, NEVER, rule } from "../expression.ts";
import { JSON_RULES } from "../json-text.ts";
import { areDisjoint } from "./are-disjoint.ts";
import { arraySchema } from "./array-schema.ts";
import { withoutConditions } from "./conditions.ts";
import { mergeSchemas } from "./merge-schemas.ts";
import { excludedBy, remainingTypes, withoutExcluded } from "./negate-schema.ts";
import { numberSchema } from "./number-schema.ts";
import { objectSchema } from "./object-schema.ts";
import { Referrer } from "./referrer.ts";
import {
  canonical,
  isObject,
  isSchema,
  type Json,
  KEYWORDS_OF_TYPE,
  keywordsOf,
  type Schema,
  type SchemaContext,
  type SchemaObject,
  schemasOf,
  unsupported,
} from "./schema.ts";
import { stringSchema } from "./string-schema.ts";
import { valuesSchema } from "./values-schema.ts";

/** Bounds time and memory on hostile schemas. */
const MAX_CHARS = 500_000;
const MAX_DEPTH = 100;
const MAX_JSON_DEPTH = 400;
const MAX_RULES = 10_000;
const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];

/**
 * @param schema true, false or an object, as JSON has it
 * @param property of the schema's own properties the one whose values are meant, instead of the schema's
 * @throws PronkError "unsupported" or "bad_request" with the place in the schema and the keyword.
 */
export function compileJsonSchema(schema: unknown, property?: string): Grammar {
  requireShallow(schema);
  const text = JSON.stringify(schema) ?? "null";
  if (text.length > MAX_CHARS) {
    throw unsupported("", `${text.length} characters, at most ${MAX_CHARS}`);
  }
  const root: Json = JSON.parse(text);
  if (!isSchema(root)) throw unsupported("", "no schema: neither an object nor a boolean");
  return new SchemaCompiler(root).compile(property);
}

class SchemaCompiler implements SchemaContext {
  readonly #root: Schema;
  readonly #referrer: Referrer;
  readonly #rules: Map<string, Expression> = new Map(JSON_RULES);
  /** By a schema's canonical text: recursive schemas, and those that occur often, are one rule. */
  readonly #names: Map<string, string> = new Map();
  #depth = 0;

  constructor(root: Schema) {
    this.#root = root;
    this.#referrer = new Referrer(root);
  }

  compile(property: string | undefined): Grammar {
    const [schema, path] =
      property === undefined ? [this.#root, ""] : this.#propertyOf(this.#root, property);
    const start = this.define(this.expression(schema, path));
    return { start, rules: this.#rules, nothing: "schema: no value is valid" };
  }

  #propertyOf(schema: Schema, name: string): [Schema, string] {
    const path = `/properties/${name}`;
    const properties = isObject(schema) ? schema.properties : undefined;
    const value =
      isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!isSchema(value)) throw unsupported(path, "no schema");
    return [value, path];
  }

  readonly define = (expression: Expression): string => {
    const name = `schema/${this.#rules.size}`;
    if (this.#rules.size > MAX_RULES) throw unsupported("", `more than ${MAX_RULES} rules`);
    this.#rules.set(name, expression);
    return name;
  };

  expression(schema: Schema, path: string): Expression {
    if (typeof schema === "boolean") return schema ? rule("value") : NEVER;
    const key = canonical(schema);
    let name = this.#names.get(key);
    if (name !== undefined) return rule(name);
    if (++this.#depth > MAX_DEPTH) throw unsupported(path, `more than ${MAX_DEPTH} levels deep`);
    name = this.define(NEVER);
    this.#names.set(key, name);
    this.#rules.set(name, this.#write(keywordsOf(schema, path), path));
    this.#depth--;
    return rule(name);
  }

  #write(conditional: SchemaObject, path: string): Expression {
    const schema = withoutConditions(conditional, path, (inner) => this.resolved(inner, path));
    const { $ref, allOf, anyOf, oneOf, ...rest } = schema;
    const others = (keyword: string): SchemaObject => {
      const { [keyword]: _, ...without } = schema;
      return without;
    };
    if ($ref !== undefined) {
      const target = this.#referrer.resolve($ref, path);
      if (Object.keys(schema).length === 1) return this.expression(target, String($ref));
      const inner = sealed(this.resolved(target, path));
      return this.expression(mergeSchemas(inner, others("$ref"), path), path);
    }
    if (allOf !== undefined) {
      const merged = schemasOf(schema, "allOf", path).reduce<Schema>(
        (all, one, i) => mergeSchemas(all, sealed(this.resolved(one, `${path}/allOf/${i}`)), path),
        others("allOf"),
      );
      return this.expression(merged, path);
    }
    if (anyOf !== undefined) return this.#alternatives("anyOf", schema, others("anyOf"), path);
    if (oneOf !== undefined) return this.#alternatives("oneOf", schema, others("oneOf"), path);
    if (rest.enum !== undefined || rest.const !== undefined) return valuesSchema(rest, path);
    const excluded = excludedBy(rest) ?? [];
    return choice(
      ...remainingTypes(typesOf(rest, path), excluded, path).map((type) =>
        withoutExcluded(
          type,
          this.#typed(type, rest, path),
          excluded,
          () => stringSchema(rest, path, true),
          path,
        ),
      ),
    );
  }

  /** Without a reference at its top. */
  resolved(schema: Schema, path: string): Schema {
    let current = schema;
    for (let steps = 0; isObject(current) && current.$ref !== undefined; steps++) {
      if (steps > MAX_DEPTH) throw unsupported(path, "$ref leads to itself");
      const { $ref, ...rest } = keywordsOf(current, path);
      const target = this.#referrer.resolve($ref, path);
      current = Object.keys(rest).length === 0 ? target : mergeSchemas(sealed(target), rest, path);
    }
    if (!isObject(current)) return current;
    if (++this.#depth > MAX_DEPTH) throw unsupported(path, `more than ${MAX_DEPTH} levels deep`);
    const keywords = keywordsOf(current, path);
    const plain = withoutConditions(keywords, path, (inner) => this.resolved(inner, path));
    this.#depth--;
    return plain;
  }

  #alternatives(
    keyword: "anyOf" | "oneOf",
    schema: SchemaObject,
    rest: SchemaObject,
    path: string,
  ): Expression {
    const list = schemasOf(schema, keyword, path);
    const isAlone = Object.keys(rest).length === 0;
    const merged = list.map((one, i) =>
      isAlone
        ? one
        : mergeSchemas(rest, sealed(this.resolved(one, `${path}/${keyword}/${i}`)), path),
    );
    if (keyword === "oneOf") this.#requireDisjoint(merged, path);
    return choice(...merged.map((one, i) => this.expression(one, `${path}/${keyword}/${i}`)));
  }

  #requireDisjoint(schemas: readonly Schema[], path: string): void {
    const resolve = (schema: SchemaObject): Schema => this.#flattened(schema, path);
    for (let i = 0; i < schemas.length; i++) {
      for (let k = 0; k < i; k++) {
        if (areDisjoint(schemas[k], schemas[i], resolve)) continue;
        throw unsupported(
          path,
          `oneOf: a value might be both number ${k} and number ${i}; use anyOf`,
        );
      }
    }
  }

  /** Without reference and allOf at its top. */
  #flattened(schema: Schema, path: string): Schema {
    const resolved = this.resolved(schema, path);
    if (!isObject(resolved) || resolved.allOf === undefined) return resolved;
    const { allOf: _, ...rest } = resolved;
    return schemasOf(resolved, "allOf", path).reduce<Schema>(
      (all, one) => mergeSchemas(all, this.#flattened(one, path), path),
      rest,
    );
  }

  #typed(type: string, schema: SchemaObject, path: string): Expression {
    switch (type) {
      case "object":
        return objectSchema(schema, path, this);
      case "array":
        return arraySchema(schema, path, this);
      case "string":
        return stringSchema(schema, path);
      case "integer":
      case "number":
        return numberSchema(type, schema, path);
      case "boolean":
        return choice(literal("true"), literal("false"));
      default:
        return literal("null");
    }
  }
}

function typesOf(schema: SchemaObject, path: string): readonly string[] {
  const { type, nullable } = schema;
  const named = type === undefined ? inferredTypes(schema) : [type].flat().map(String);
  for (const name of named) if (!TYPES.includes(name)) throw unsupported(path, `type ${name}`);
  const types = new Set(named);
  if (types.has("number")) types.delete("integer");
  if (nullable === true) types.add("null");
  return [...types];
}

/** What a part of a schema says of members that nobody evaluates, it says of those that it does not name. */
function sealed(schema: Schema): Schema {
  if (!isObject(schema) || schema.unevaluatedProperties === undefined) return schema;
  const { unevaluatedProperties, ...rest } = schema;
  return { additionalProperties: unevaluatedProperties, ...rest };
}

/** Values of other types would be valid, too; the keywords say which are meant. */
function inferredTypes(schema: SchemaObject): string[] {
  const inferred = Object.entries(KEYWORDS_OF_TYPE).flatMap(([type, keywords]) =>
    keywords.some((keyword) => schema[keyword] !== undefined) ? [type] : [],
  );
  return inferred.length > 0
    ? inferred
    : ["object", "array", "string", "number", "boolean", "null"];
}

/**
 * Values of each level are looked at before any function calls itself over them, JSON.stringify among them.
 *
 * @throws PronkError "unsupported"
 */
export function requireShallow(schema: unknown): void {
  let level: unknown[] = [schema];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) throw unsupported("", `more than ${MAX_JSON_DEPTH} levels deep`);
    level = level.flatMap((value) =>
      typeof value === "object" && value !== null ? Object.values(value) : [],
    );
    if (level.length > MAX_CHARS) throw unsupported("", `more than ${MAX_CHARS} values`);
  }
}
