/**
 * Fields that say what an answer has to be: OpenAI's response_format, and the extensions of llama.cpp (grammar,
 * json_schema) and vLLM (structured_outputs, guided_*).
 */
import * as z from "zod/mini";
import type { Maybe } from "./maybe.ts";

export type ResponseFormat =
  | { type: "text" }
  | { type: "json_object"; schema?: unknown }
  | { type: "json_schema"; json_schema: { schema?: unknown } };

export interface StructuredOutputs {
  json?: unknown;
  regex?: Maybe<string>;
  choice?: Maybe<string[]>;
  grammar?: Maybe<string>;
  json_object?: Maybe<boolean>;
}

export interface OutputFormatFields {
  response_format?: Maybe<ResponseFormat>;
  /** GBNF. */
  grammar?: Maybe<string>;
  json_schema?: unknown;
  structured_outputs?: Maybe<StructuredOutputs>;
  guided_json?: unknown;
  guided_regex?: Maybe<string>;
  guided_choice?: Maybe<string[]>;
  guided_grammar?: Maybe<string>;
}

/** Clients name their schemas and describe them; neither is needed here. */
const namedSchema = z.object({ schema: z.optional(z.unknown()) });
const choices = z.nullish(z.array(z.string()).check(z.minLength(1)));

/** Shapes for `z.object`, to be spread. */
export const outputFormatFields: {
  readonly [Field in keyof OutputFormatFields]-?: z.ZodMiniType<OutputFormatFields[Field]>;
} = {
  response_format: z.nullish(
    z.discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object"), schema: z.optional(z.unknown()) }),
      z.object({ type: z.literal("json_schema"), json_schema: namedSchema }),
    ]),
  ),
  grammar: z.nullish(z.string()),
  json_schema: z.optional(z.unknown()),
  structured_outputs: z.nullish(
    z.object({
      json: z.optional(z.unknown()),
      regex: z.nullish(z.string()),
      choice: choices,
      grammar: z.nullish(z.string()),
      json_object: z.nullish(z.boolean()),
    }),
  ),
  guided_json: z.optional(z.unknown()),
  guided_regex: z.nullish(z.string()),
  guided_choice: choices,
  guided_grammar: z.nullish(z.string()),
};
