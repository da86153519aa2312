/** What an output with calls may be, as a grammar. */
import { PronkError } from "../errors.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import type { SchemaStructure, Structure } from "../grammar/structure.ts";
import type { CallableTool, ToolFormat } from "./format.ts";
import type { Tool } from "./tool.ts";
import { isRecord } from "./whole-call.ts";

export interface ToolChoice {
  /** All that the model knows of, with the field that each's schema came in. */
  readonly tools: readonly (Tool & { readonly where: string })[];
  /** Those that it may call; at least one. */
  readonly callable: readonly string[];
  /** Whether it has to call one. */
  readonly required: boolean;
  /** Whether it may call more than one at once. */
  readonly parallel: boolean;
}

/**
 * With `required` nothing but calls. Else a text, or what `content` says, until a call begins; from there
 * on it is as the schemas say, too. A schema that is not supported is an error where the model has to
 * call or the tool is strict; else the arguments are any JSON object.
 *
 * @throws PronkError "bad_request" for parameters that are no object's.
 */
export function toolGrammar(
  format: ToolFormat,
  { tools, callable, required, parallel }: ToolChoice,
  content?: Structure,
): GrammarSpec {
  const exact = (tool: Tool): boolean => required || tool.strict === true;
  const allowed = tools
    .filter(({ name }) => callable.includes(name))
    .map((tool) => toCallable(tool, tool.where, exact(tool)));
  const calls = format.calls(allowed, parallel, !required);
  if (required) return { type: "structure", root: calls };
  if (content !== undefined) return { type: "structure", root: { choice: [content, calls] } };
  const { texts, at } = format.triggers(tools.map(({ name }) => name));
  const text: Structure = { textWithout: texts, at };
  const root: Structure =
    at === "start"
      ? { choice: [text, calls] }
      : { sequence: [text, { repeat: calls, min: 0, max: 1 }] };
  return { type: "structure", root };
}

function toCallable({ name, parameters }: Tool, where: string, exact: boolean): CallableTool {
  if (parameters === undefined) {
    return { name, parameters, object: "{}", property: undefined };
  }
  const schema = argumentsSchema(parameters, where);
  const structure: SchemaStructure = { schema, where };
  if (exact) {
    const property = (key: string): Structure => ({ ...structure, property: key });
    return { name, parameters: schema, object: structure, property };
  }
  return {
    name,
    parameters: schema,
    object: { ...structure, otherwise: { object: true } },
    // Where one property's schema is not supported, any value does.
    property: (key) => ({ ...structure, property: key, otherwise: ANY_VALUE(where) }),
  };
}

const ANY_VALUE = (where: string): Structure => ({ schema: true, where });

/** Keywords that may give members to an object without declared properties. */
const MORE_MEMBERS = [
  ...["additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames"],
  ...["minProperties", "required", "$ref", "allOf", "anyOf", "oneOf", "enum", "const"],
];

/** Arguments are an object; one of no declared properties is empty, unless the schema says otherwise. */
function argumentsSchema(
  parameters: Readonly<Record<string, unknown>>,
  where: string,
): Readonly<Record<string, unknown>> {
  const { type, properties } = parameters;
  const types = type === undefined || type === null ? ["object"] : [type].flat();
  if (!types.includes("object")) {
    throw new PronkError("bad_request", `${where}.type: arguments are an object, got ${types}`, {
      param: `${where}.type`,
    });
  }
  const isEmpty =
    isRecord(properties) &&
    Object.keys(properties).length === 0 &&
    MORE_MEMBERS.every((keyword) => parameters[keyword] === undefined);
  return { ...parameters, type: "object", ...(isEmpty ? { additionalProperties: false } : {}) };
}
