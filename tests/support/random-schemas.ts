/** JSON Schemas by chance, as zod, pydantic and people write them; the same ones for the same seed. */

export interface Chance {
  /** From 0 up to 1. */
  next(): number;
  /** 0 to below `count`. */
  below(count: number): number;
  pick<T>(list: readonly T[]): T;
  is(probability: number): boolean;
}

/** A linear congruential generator: plenty for choosing among a few. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return { next, below, pick: (list) => list[below(list.length)], is: (p) => next() < p };
}

type Schema = Record<string, unknown>;

const PATTERNS = [
  ...["^[a-z]+$", "^\\d{3}-\\d{4}$", "foo|bar", "^(a|b)*c$", "[A-Z]{2}", "^x", "y$", "^\\S+@\\S+$"],
  ...['^["\\\\]+$', "^\\p{Lu}\\p{Ll}*$", "^(?:0x)?[0-9a-fA-F]{1,8}$"],
];
const FORMATS = [
  ...["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "uri", "hostname", "duration"],
  ...["json-pointer", "byte"],
];
const NAMES = ["name", "age", "tags", "x", "y z", "é", "id", "kind", 'q"uote'];

/** A schema whose `$defs` it may refer to; one of these refers to itself. */
export function randomSchema(chance: Chance, depth = 3): Schema {
  return {
    ...anySchema(chance, depth),
    $defs: {
      item: anySchema(chance, depth - 1, false),
      list: {
        type: "object",
        properties: { next: { $ref: "#/$defs/list" }, value: { type: "integer" } },
        required: ["value"],
        additionalProperties: false,
      },
    },
  };
}

function anySchema(chance: Chance, depth: number, refers = true): Schema {
  const leaves = [stringSchema, stringSchema, integerSchema, numberSchema, constantSchema];
  const inner = [objectSchema, objectSchema, objectSchema, arraySchema, arraySchema, unionSchema];
  const make = chance.pick(depth > 0 ? [...leaves, ...inner] : leaves);
  if (depth > 0 && refers && chance.is(0.1)) {
    return { $ref: `#/$defs/${chance.pick(["item", "list"])}` };
  }
  return make(chance, depth, refers);
}

function stringSchema(chance: Chance): Schema {
  const schema: Schema = { type: "string" };
  const kind = chance.next();
  if (kind < 0.3) {
    const min = chance.below(5);
    if (chance.is(0.7)) schema.minLength = min;
    if (chance.is(0.7)) schema.maxLength = min + chance.below(30);
  } else if (kind < 0.5) {
    schema.pattern = chance.pick(PATTERNS);
    if (chance.is(0.2)) Object.assign(schema, { minLength: 2, maxLength: 40 });
  } else if (kind < 0.7) schema.format = chance.pick(FORMATS);
  return schema;
}

function integerSchema(chance: Chance): Schema {
  const schema: Schema = { type: "integer" };
  const min = chance.below(200) - 100;
  if (chance.is(0.5)) schema.minimum = min;
  if (chance.is(0.5)) schema.maximum = min + 10 + chance.below(1000);
  if (chance.is(0.2)) schema.exclusiveMinimum = min;
  if (schema.minimum !== undefined && schema.maximum !== undefined && chance.is(0.3)) {
    schema.multipleOf = chance.pick([1, 2, 5]);
  }
  return schema;
}

function numberSchema(chance: Chance): Schema {
  const schema: Schema = { type: "number" };
  const min = (chance.below(2000) - 1000) / 100;
  if (chance.is(0.5)) schema.minimum = min;
  if (chance.is(0.5)) schema.maximum = min + chance.below(10_000) / 1000 + 0.001;
  if (chance.is(0.2)) schema.exclusiveMaximum = min + 1;
  return schema;
}

function constantSchema(chance: Chance): Schema {
  return chance.pick<Schema>([
    { type: "boolean" },
    { type: "null" },
    { const: chance.pick(["k", 7, null, [1, 2], { a: "b" }]) },
    { enum: [chance.pick(["a", 'b"c', "é😀"]), chance.pick([1, 2.5, -3]), null, { x: [1] }] },
  ]);
}

function objectSchema(chance: Chance, depth: number, refers: boolean): Schema {
  const properties: Record<string, Schema> = Object.create(null);
  const required: string[] = [];
  for (let i = chance.below(5); i > 0; i--) {
    const name = chance.pick(NAMES);
    properties[name] = anySchema(chance, depth - 1, refers);
    if (chance.is(0.6) && !required.includes(name)) required.push(name);
  }
  const schema: Schema = { type: "object", properties };
  if (required.length > 0) schema.required = required;
  if (chance.is(0.5)) schema.additionalProperties = false;
  else if (chance.is(0.4)) schema.additionalProperties = anySchema(chance, depth - 1, refers);
  if (chance.is(0.1) && schema.additionalProperties !== false) schema.minProperties = 1;
  if (chance.is(0.1))
    schema.patternProperties = { "^p_[a-z]+$": anySchema(chance, depth - 1, refers) };
  return schema;
}

function arraySchema(chance: Chance, depth: number, refers: boolean): Schema {
  if (chance.is(0.2))
    return { type: "array", items: { enum: ["r", "g", "b", 1] }, uniqueItems: true };
  const item = (): Schema => anySchema(chance, depth - 1, refers);
  const schema: Schema = { type: "array" };
  const min = chance.below(3);
  if (chance.is(0.3)) {
    Object.assign(schema, {
      prefixItems: [item(), item()],
      items: chance.is(0.5) ? false : item(),
    });
    return schema;
  }
  schema.items = item();
  if (chance.is(0.4)) schema.minItems = min;
  if (chance.is(0.4)) schema.maxItems = min + chance.below(12);
  return schema;
}

function unionSchema(chance: Chance, depth: number, refers: boolean): Schema {
  const any = (): Schema => anySchema(chance, depth - 1, refers);
  const tagged = (tag: string): Schema => ({
    type: "object",
    properties: { kind: { const: tag }, value: any() },
    required: ["kind", "value"],
  });
  return chance.pick<Schema>([
    { anyOf: [any(), any()] },
    { oneOf: [tagged("a"), tagged("b"), { type: "string" }] },
    { type: ["string", "null"] },
    {
      allOf: [
        { type: "object", properties: { a: any() }, required: ["a"] },
        { type: "object", properties: { b: any() }, required: ["b"] },
      ],
    },
  ]);
}
