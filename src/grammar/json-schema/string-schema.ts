/** Strings: by their length, patterns and formats; where there are several, the texts that all of them have. */
import { boundText } from "../bounded-text.ts";
import {
  both,
  characters,
  type Expression,
  LAST_CODE_POINT,
  NEVER,
  repeat,
  rule,
} from "../expression.ts";
import { quoted, quotedString } from "../json-text.ts";
import { parseRegex } from "../parse-regex.ts";
import {
  BOUNDED_FORMATS,
  FORMATS,
  FREE_FORMATS,
  PATTERN_FORMATS,
  ZOD_PATTERNS,
} from "./formats.ts";
import { countOf, type Json, type SchemaObject, unsupported } from "./schema.ts";

const ANY: Expression = characters([0, LAST_CODE_POINT]);

/** @param isPlain each character is spelled in one way */
export function stringSchema(schema: SchemaObject, path: string, isPlain = false): Expression {
  const min = countOf(schema, "minLength", path) ?? 0;
  const max = countOf(schema, "maxLength", path) ?? Number.POSITIVE_INFINITY;
  if (min > max) return NEVER;
  // Schemas that were merged have lists of both.
  const isLimited = max !== Number.POSITIVE_INFINITY;
  const known = typeof schema.pattern === "string" ? ZOD_PATTERNS.get(schema.pattern) : undefined;
  if (known !== undefined && known.format === schema.format && !isLimited) {
    return withLengths(parseRegex(known.text), min, max, path);
  }
  const patterns = listOf(schema.pattern).map((pattern) => patternText(pattern, path));
  const formats = listOf(schema.format).flatMap((format) => {
    const text = formatText(String(format), patterns.length > 0, isLimited, path);
    return text === undefined ? [] : [text];
  });
  const [first, ...others] = [...formats, ...patterns];
  if (first === undefined && isPlain) return quoted(repeat(ANY, min, max));
  if (first === undefined) {
    return min === 0 && max === Number.POSITIVE_INFINITY ? rule("string") : quotedString(min, max);
  }
  return withLengths(others.reduce(both, first), min, max, path);
}

function withLengths(text: Expression, min: number, max: number, path: string): Expression {
  const bounded = boundText(text, min, max);
  if (bounded === undefined) throw unsupported(path, "pattern or format with these lengths");
  return quoted(bounded);
}

function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as Json];
}

function patternText(pattern: Json, path: string): Expression {
  if (typeof pattern !== "string") throw unsupported(path, "pattern is no text");
  return parseRegex(pattern, { match: "anywhere", param: "pattern" });
}

/** undefined where the format says nothing that the pattern beside it does not. */
function formatText(
  format: string,
  hasPattern: boolean,
  isLimited: boolean,
  path: string,
): Expression | undefined {
  if (FREE_FORMATS.has(format) || (hasPattern && PATTERN_FORMATS.has(format))) return undefined;
  const known = (isLimited ? BOUNDED_FORMATS.get(format) : undefined) ?? FORMATS.get(format);
  if (known === undefined) throw unsupported(path, `format ${format} is not known`);
  return parseRegex(known, { param: "format" });
}
