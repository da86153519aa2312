/** What an answer has to be, from the fields that say it. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import { RequestError } from "./errors.ts";
import type { OutputFormatFields, ResponseFormat } from "./schemas/output-format.ts";

/**
 * Compiled, so that what is wrong with it is known before anything runs; undefined: any text.
 *
 * @throws PronkError "bad_request" where two fields ask for something, a schema is missing or no schema;
 *   RequestError "unsupported_schema".
 */
export function outputFormat(
  fields: OutputFormatFields,
  engine: Pick<Engine, "checkGrammar">,
): GrammarSpec | undefined {
  const { structured_outputs: structured } = fields;
  const wanted: readonly (readonly [string, GrammarSpec | undefined])[] = [
    ["response_format", fromResponseFormat(fields.response_format ?? undefined)],
    ["grammar", gbnf(fields.grammar)],
    ["json_schema", jsonSchema(fields.json_schema, "json_schema")],
    ["guided_json", jsonSchema(fields.guided_json, "guided_json")],
    ["guided_regex", regex(fields.guided_regex)],
    ["guided_choice", choice(fields.guided_choice)],
    ["guided_grammar", gbnf(fields.guided_grammar)],
    ["structured_outputs.json", jsonSchema(structured?.json, "structured_outputs.json")],
    ["structured_outputs.regex", regex(structured?.regex)],
    ["structured_outputs.choice", choice(structured?.choice)],
    ["structured_outputs.grammar", gbnf(structured?.grammar)],
    [
      "structured_outputs.json_object",
      structured?.json_object === true ? { type: "json_object" } : undefined,
    ],
  ];
  const asked = wanted.filter(([, spec]) => spec !== undefined);
  if (asked.length > 1) {
    const [[first], [second]] = asked;
    throw new PronkError("bad_request", `${second}: ${first} says already what the answer is`, {
      param: second,
    });
  }
  if (asked.length === 0) return undefined;
  const [[param, spec]] = asked;
  checkGrammar(spec!, param, engine);
  return spec;
}

/**
 * @param field which it came in; the error may name one inside it
 * @throws PronkError "bad_request", RequestError "unsupported_schema".
 */
export function checkGrammar(
  spec: GrammarSpec,
  field: string,
  engine: Pick<Engine, "checkGrammar">,
): void {
  try {
    engine.checkGrammar(spec);
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    const { code } = error;
    const isNamed = error.param?.startsWith(field) === true;
    const param = isNamed ? error.param! : field;
    const message = isNamed ? error.message : `${field}: ${error.message}`;
    throw code === "unsupported"
      ? new RequestError("unsupported_schema", message, { param, cause: error })
      : new PronkError("bad_request", message, { param, cause: error });
  }
}

function fromResponseFormat(format: ResponseFormat | undefined): GrammarSpec | undefined {
  switch (format?.type) {
    case "json_schema": {
      const { schema } = format.json_schema;
      if (schema !== undefined) return jsonSchema(schema, "response_format.json_schema.schema");
      const param = "response_format.json_schema.schema";
      throw new PronkError("bad_request", `${param}: missing`, { param });
    }
    case "json_object":
      // llama.cpp's clients put a schema here, too.
      return jsonSchema(format.schema, "response_format.schema") ?? { type: "json_object" };
    default:
      return undefined;
  }
}

function jsonSchema(value: unknown, param: string): GrammarSpec | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") return { type: "json_schema", schema: value };
  try {
    return { type: "json_schema", schema: JSON.parse(value) };
  } catch (cause) {
    throw new PronkError("bad_request", `${param}: no JSON`, { cause, param });
  }
}

function gbnf(source: string | null | undefined): GrammarSpec | undefined {
  return source ? { type: "gbnf", source } : undefined;
}

function regex(pattern: string | null | undefined): GrammarSpec | undefined {
  return pattern ? { type: "regex", pattern } : undefined;
}

function choice(choices: readonly string[] | null | undefined): GrammarSpec | undefined {
  return choices ? { type: "choice", choices } : undefined;
}
