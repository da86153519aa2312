/** What is written in an editor, as JSON, or where it stops to be. */
import { jsonFault } from "./json-fault.ts";

export type ParsedJson =
  | { readonly value: unknown; readonly error?: undefined }
  | { readonly error: string };

export function parseJson(text: string): ParsedJson {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const fault = jsonFault(text);
    if (fault === undefined) return { error: `not JSON: ${(error as Error).message}` };
    const { line, column, message } = fault;
    return { error: `not JSON: line ${line}, column ${column}: ${message}` };
  }
}

/** As parseJson, of a schema: an object, or true or false. */
export function parseSchema(text: string): ParsedJson {
  const parsed = parseJson(text);
  if (parsed.error !== undefined) return { error: `The schema is ${parsed.error}` };
  const { value } = parsed;
  const isSchema =
    typeof value === "boolean" ||
    (typeof value === "object" && value !== null && !Array.isArray(value));
  return isSchema ? parsed : { error: "The schema is no object" };
}
