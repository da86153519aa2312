/** Strings: by their length, a pattern or a format. */
import { boundText } from "../bounded-text.ts";
import { type Expression, NEVER, rule } from "../expression.ts";
import { quoted, quotedString } from "../json-text.ts";
import { parseRegex } from "../parse-regex.ts";
import { FORMATS, FREE_FORMATS } from "./formats.ts";
import { countOf, type SchemaObject, unsupported } from "./schema.ts";

export function stringSchema(schema: SchemaObject, path: string): Expression {
  const min = countOf(schema, "minLength", path) ?? 0;
  const max = countOf(schema, "maxLength", path) ?? Number.POSITIVE_INFINITY;
  if (min > max) return NEVER;
  const { pattern, format } = schema;
  const isFree = format === undefined || FREE_FORMATS.has(String(format));
  if (pattern === undefined && isFree) {
    return min === 0 && max === Number.POSITIVE_INFINITY ? rule("string") : quotedString(min, max);
  }
  if (pattern !== undefined && !isFree) throw unsupported(path, "pattern and format at once");
  const known = pattern ?? FORMATS.get(String(format));
  if (typeof known !== "string") throw unsupported(path, `format ${format} is not known`);
  const options = {
    match: pattern === undefined ? "whole" : "anywhere",
    param: "pattern",
  } as const;
  const text = boundText(parseRegex(known, options), min, max);
  if (text === undefined) {
    throw unsupported(path, `${pattern === undefined ? "format" : "pattern"} with these lengths`);
  }
  return quoted(text);
}
