/** Tools by chance, with nested parameters, and what says whether a call of one is valid. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { type Chance, randomSchema } from "./random-schemas.ts";

export interface RandomTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description: string;
    readonly parameters: Record<string, unknown>;
  };
}

/** Most names can be Python's, some cannot. */
const PLAIN = ["city", "days", "where", "x1"];
const OTHER = ["a b", "é", 'q"'];

/** One to three tools of different names. */
export function randomTools(chance: Chance): RandomTool[] {
  return Array.from({ length: 1 + chance.below(3) }, (_, i) => ({
    type: "function",
    function: {
      name: `${chance.pick(["get", "set_it", "run-all"])}_${i}`,
      description: "A tool",
      parameters: parameters(chance),
    },
  }));
}

function parameters(chance: Chance): Record<string, unknown> {
  const names = chance.is(0.7) ? PLAIN : [...PLAIN, ...OTHER];
  const properties: Record<string, unknown> = {};
  let $defs: unknown = {};
  for (let count = 1 + chance.below(3); count > 0; count--) {
    const { $defs: definitions, ...schema } = randomSchema(chance, 2);
    properties[chance.pick(names)] = schema;
    $defs = definitions;
  }
  const required = Object.keys(properties).filter(() => chance.is(0.6));
  return {
    ...{ type: "object", properties, required, $defs },
    ...(chance.is(0.7) && { additionalProperties: false }),
  };
}

export function validatorOf(schema: object): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, code: { optimize: false } });
  formats.default(ajv);
  return ajv.compile(schema);
}
