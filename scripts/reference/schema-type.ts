/** A JSON schema as people read types: `number, 0 to 2`, `"auto" | "none"`, `{ name: string, age?: number }`. */

export interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly contentMediaType?: string;
  readonly contentSchema?: Schema;
  readonly description?: string;
  readonly $ref?: string;
}

/** Whether "null" is said: of what is sent it is the same as absent. */
export type Nulls = "nulls" | "no nulls";

/** Variants of a union, however deep. */
export function variantsOf(schema: Schema, nulls: Nulls = "no nulls"): readonly Schema[] {
  const union = schema.anyOf ?? schema.oneOf;
  if (union !== undefined) return union.flatMap((one) => variantsOf(one, nulls));
  if (schema.type === "null") return nulls === "nulls" ? [schema] : [];
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null" || nulls === "nulls");
    return types.map((type) => ({ ...schema, type }));
  }
  return [schema];
}

/** The type in one line. */
export function typeOf(schema: Schema, nulls: Nulls = "no nulls"): string {
  const variants = variantsOf(schema, nulls).map((one) => oneType(one, nulls));
  return [...new Set(variants)].join(" | ") || "null";
}

function oneType(schema: Schema, nulls: Nulls): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.contentSchema !== undefined) return typeOf(schema.contentSchema, nulls);
  if (schema.type === "array") {
    const items = schema.items === undefined ? "any" : typeOf(schema.items, nulls);
    return items.includes(" ") && !items.startsWith("{") ? `(${items})[]` : `${items}[]`;
  }
  if (schema.properties !== undefined) {
    const required = new Set(schema.required);
    const fields = Object.entries(schema.properties).map(
      ([name, field]) => `${name}${required.has(name) ? "" : "?"}: ${typeOf(field, nulls)}`,
    );
    return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
  }
  if (schema.type === "object") {
    const { additionalProperties: values } = schema;
    return typeof values === "object" ? `{ [name]: ${typeOf(values, nulls)} }` : "object";
  }
  return typeof schema.type === "string" ? schema.type : "any";
}

/** What a value has to be beside its type: `0 to 2`, `at most 16`. */
export function limitsOf(schema: Schema): string {
  const limits = variantsOf(schema).flatMap((one) => {
    const isNumber = one.type === "number" || one.type === "integer";
    if (isNumber) return range(one.minimum, one.maximum, "");
    if (one.type === "string") return range(one.minLength, one.maxLength, " characters");
    return one.type === "array" ? range(one.minItems, one.maxItems, " of them") : [];
  });
  return [...new Set(limits)].join("; ");
}

/** Bounds that are those of the type itself say nothing. */
function range(min: number | undefined, max: number | undefined, unit: string): string[] {
  const least = min === undefined || min <= Number.MIN_SAFE_INTEGER ? undefined : min;
  const most = max === undefined || max >= Number.MAX_SAFE_INTEGER ? undefined : max;
  if (least === undefined && most === undefined) return [];
  const text = (value: number): string => value.toLocaleString("en-US");
  if (most === undefined) return [`from ${text(least!)}${unit}`];
  if (least === undefined) return [`at most ${text(most)}${unit}`];
  return [`${text(least)} to ${text(most)}${unit}`];
}
