/** Schemas by chance in the spelling of each client: zod and the AI SDK, pydantic, LangChain, OpenAPI. */
import type { Chance } from "./random-schemas.ts";

type Schema = Record<string, unknown>;

const FORMATS = ["date-time", "email", "uuid", "uri", "date", "time", "ipv4", "duration"];
const NAMES = ["name", "email", "count", "tags", "status", "address", "items", "score", "notes"];

/** draft-07 as the AI SDK sends it: everything required, nothing additional, unions by anyOf and const. */
export function zodSchema(chance: Chance, depth = 3): Schema {
  return { $schema: "http://json-schema.org/draft-07/schema#", ...zodObject(chance, depth) };
}

function zodObject(chance: Chance, depth: number): Schema {
  const properties: Schema = {};
  for (let i = 1 + chance.below(4); i > 0; i--) {
    properties[chance.pick(NAMES)] = zodValue(chance, depth - 1);
  }
  const required = Object.keys(properties).filter(() => chance.is(0.8));
  return { type: "object", properties, required, additionalProperties: false };
}

function zodValue(chance: Chance, depth: number): Schema {
  const inner = (): Schema => zodValue(chance, depth - 1);
  const leaves: (() => Schema)[] = [
    () => ({ type: "string", description: "a text", minLength: 1 }),
    () => ({ type: "string", format: chance.pick(FORMATS) }),
    () => ({ type: "string", pattern: "^[A-Z]{2}-\\d+$" }),
    () => ({ type: "string", enum: ["open", "closed", "on hold"] }),
    () => ({ type: "string", const: "only" }),
    () => ({ type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }),
    () => ({ type: "integer", exclusiveMinimum: 0, maximum: 9007199254740991 }),
    () => ({ type: "number", minimum: 0, maximum: 1 }),
    () => ({ type: "boolean", default: false }),
    () => ({ anyOf: [{ type: "string" }, { type: "null" }] }),
  ];
  const nested: (() => Schema)[] = [
    () => zodObject(chance, depth),
    () => ({ type: "array", items: inner(), maxItems: 4 }),
    () => ({ type: "array", items: [inner(), inner()], additionalItems: false, minItems: 2 }),
    () => ({ anyOf: [inner(), { type: "null" }] }),
    () => ({ type: "object", additionalProperties: inner(), propertyNames: { type: "string" } }),
    () => ({ anyOf: ["cat", "dog"].map((kind) => tagged(kind, inner())) }),
  ];
  return chance.pick(depth > 0 ? [...leaves, ...nested] : leaves)();
}

function tagged(kind: string, value: Schema): Schema {
  return {
    type: "object",
    properties: { type: { type: "string", const: kind }, value },
    required: ["type", "value"],
    additionalProperties: false,
  };
}

/** As pydantic's model_json_schema() writes it: titles, defaults, `$defs`, a discriminator. */
export function pydanticSchema(chance: Chance): Schema {
  const field = (title: string, schema: Schema): Schema => ({ ...schema, title });
  const leaf = (): Schema =>
    chance.pick<Schema>([
      { type: "string", maxLength: 40 },
      { type: "integer", exclusiveMinimum: 0 },
      { type: "number", minimum: 0, maximum: 100 },
      { type: "string", format: chance.pick(["date", "email", "uuid4", "date-time"]) },
      { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
      { type: "array", items: { type: "string" }, uniqueItems: true },
      {
        type: "array",
        maxItems: 2,
        minItems: 2,
        prefixItems: [{ type: "integer" }, { type: "string" }],
      },
      { $ref: "#/$defs/Color" },
      { additionalProperties: { type: "integer" }, type: "object" },
      {
        anyOf: [
          { type: "number" },
          { type: "string", pattern: "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$" },
        ],
      },
    ]);
  const members = (): Schema => {
    const properties: Schema = {};
    for (let i = 1 + chance.below(3); i > 0; i--) {
      const name = chance.pick(NAMES);
      const value = leaf();
      properties[name] =
        "$ref" in value ? value : field(name[0].toUpperCase() + name.slice(1), value);
    }
    return properties;
  };
  const model = (title: string, properties: Schema): Schema => ({
    properties,
    required: Object.keys(properties).filter((name) => name === "kind" || chance.is(0.7)),
    title,
    type: "object",
  });
  const kinds = ["Cat", "Dog"];
  return {
    $defs: {
      Color: { enum: ["red", "green", "blue"], title: "Color", type: "string" },
      Node: {
        properties: {
          value: { title: "Value", type: "integer", minimum: 0, maximum: 99 },
          next: { anyOf: [{ $ref: "#/$defs/Node" }, { type: "null" }], default: null },
        },
        required: ["value"],
        title: "Node",
        type: "object",
      },
      ...Object.fromEntries(
        kinds.map((kind) => [
          kind,
          model(kind, {
            kind: { const: kind.toLowerCase(), title: "Kind", type: "string" },
            ...members(),
          }),
        ]),
      ),
    },
    ...model("Answer", {
      ...members(),
      pet: {
        discriminator: {
          mapping: { cat: "#/$defs/Cat", dog: "#/$defs/Dog" },
          propertyName: "kind",
        },
        oneOf: kinds.map((kind) => ({ $ref: `#/$defs/${kind}` })),
        title: "Pet",
      },
      node: { $ref: "#/$defs/Node" },
    }),
  };
}

/** As tools of OpenAPI documents say it: nullable, formats of numbers, allOf for a description beside a reference. */
export function openApiSchema(chance: Chance): Schema {
  const named = { allOf: [{ $ref: "#/definitions/Named" }], description: "who" };
  return {
    type: "object",
    definitions: {
      Named: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    },
    properties: {
      owner: named,
      size: { type: "integer", format: chance.pick(["int32", "int64"]) },
      ratio: { type: "number", format: "double", nullable: true },
      when: { type: "string", format: "date-time", nullable: true },
      state: { type: "string", enum: ["on", "off"], nullable: chance.is(0.5) },
      list: { type: "array", items: named, minItems: chance.below(3), maxItems: 3 },
      either: { oneOf: [{ type: "string", maxLength: 9 }, { type: "integer" }] },
    },
    required: ["owner", "size", "list"],
  };
}
