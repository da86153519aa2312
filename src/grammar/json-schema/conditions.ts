/** Conditions as alternatives: `if`, `dependentSchemas`, `not`. */
import { excludedBy, negateSchema } from "./negate-schema.ts";
import {
  isObject,
  isSchema,
  type Json,
  type Schema,
  type SchemaObject,
  unsupported,
} from "./schema.ts";

/**
 * A schema without conditions that has no other values; `schema` itself where it has none.
 *
 * @throws PronkError "unsupported" for a condition whose other side cannot be written.
 */
export function withoutConditions(
  schema: SchemaObject,
  path: string,
  resolve: (schema: Schema) => Schema,
): SchemaObject {
  const { if: condition, then = true, else: otherwise = true, ...unconditional } = schema;
  const { dependentSchemas, dependencies, ...simple } = unconditional;
  const { not, ...positive } = simple;
  const isPlain = excludedBy(simple) !== undefined;
  if (condition === undefined && dependentSchemas === undefined && dependencies === undefined) {
    if (isPlain) return simple;
  }
  const all: Schema[] = Array.isArray(simple.allOf) ? [...(simple.allOf as Schema[])] : [];
  const either = (schemas: readonly Schema[]): void => {
    all.push(
      schemas.length === 1 ? schemas[0]! : schemas.length === 0 ? false : { anyOf: schemas },
    );
  };
  for (const inner of isPlain ? [] : [not as Json].flat()) {
    if (!isSchema(inner)) throw unsupported(path, "not is no schema");
    either(negateSchema(inner, path, resolve));
  }
  if (condition !== undefined) {
    if (!isSchema(condition)) throw unsupported(path, "if is no schema");
    const others = negateSchema(condition, path, resolve);
    either([
      { allOf: [condition, then as Schema] },
      ...others.map((other) => ({ allOf: [other, otherwise as Schema] })),
    ]);
  }
  const dependentRequired: Record<string, Json> = {};
  for (const dependent of [dependentSchemas, dependencies]) {
    if (dependent === undefined) continue;
    if (!isObject(dependent)) throw unsupported(path, "dependentSchemas is no object");
    for (const [name, needs] of Object.entries(dependent)) {
      if (Array.isArray(needs)) dependentRequired[name] = needs;
      else {
        either([
          { type: "object", properties: { [name]: false } },
          { allOf: [{ type: "object", required: [name] }, needs as Schema] },
        ]);
      }
    }
  }
  const rest = isPlain ? simple : positive;
  return {
    ...rest,
    ...(all.length > 0 && { allOf: all }),
    ...(Object.keys(dependentRequired).length > 0 && {
      dependentRequired: { ...dependentRequired, ...(rest.dependentRequired as SchemaObject) },
    }),
  };
}
