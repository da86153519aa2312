/** Numbers: by their bounds, and as multiples. */
import { type Expression, rule } from "../expression.ts";
import { INTEGER } from "../json-text.ts";
import { literalChoice } from "../literal-choice.ts";
import { integerRange, type NumberBounds, numberRange } from "../number-range.ts";
import { FREE_FORMATS, INTEGER_FORMATS } from "./formats.ts";
import { numberOf, type SchemaObject, unsupported } from "./schema.ts";

/** Multiples that are written out. */
const MAX_ENUMERATED = 1_000;

export function numberSchema(
  type: "integer" | "number",
  schema: SchemaObject,
  path: string,
): Expression {
  const [formatMin, formatMax] = INTEGER_FORMATS.get(String(schema.format)) ?? [];
  const { format } = schema;
  if (format !== undefined && formatMin === undefined && !FREE_FORMATS.has(String(format))) {
    throw unsupported(path, `format ${format} of a number is not known`);
  }
  const bounds = boundsOf(schema, path, formatMin, formatMax);
  const step = numberOf(schema, "multipleOf", path);
  if (step !== undefined) return multiples(step, bounds, path);
  const isFree = bounds.min === undefined && bounds.max === undefined;
  if (type === "integer") return isFree ? INTEGER : integerRange(bounds);
  return isFree ? rule("number") : numberRange(bounds);
}

function boundsOf(
  schema: SchemaObject,
  path: string,
  formatMin: number | undefined,
  formatMax: number | undefined,
): NumberBounds {
  // Draft-04 and OpenAPI 3.0 have booleans that make the bounds exclusive.
  const exclusive = (keyword: string): number | boolean | undefined =>
    typeof schema[keyword] === "boolean"
      ? (schema[keyword] as boolean)
      : numberOf(schema, keyword, path);
  const [low, high] = [exclusive("exclusiveMinimum"), exclusive("exclusiveMaximum")];
  const mins = [numberOf(schema, "minimum", path), formatMin].filter((n) => n !== undefined);
  const maxs = [numberOf(schema, "maximum", path), formatMax].filter((n) => n !== undefined);
  const min = Math.max(...mins, typeof low === "number" ? low : Number.NEGATIVE_INFINITY);
  const max = Math.min(...maxs, typeof high === "number" ? high : Number.POSITIVE_INFINITY);
  return {
    min: Number.isFinite(min) ? min : undefined,
    max: Number.isFinite(max) ? max : undefined,
    exclusiveMin: low === true || low === min,
    exclusiveMax: high === true || high === max,
  };
}

function multiples(step: number, bounds: NumberBounds, path: string): Expression {
  if (!(step > 0)) throw unsupported(path, `multipleOf ${step}`);
  const { min, max } = bounds;
  if (min !== undefined && max !== undefined && (max - min) / step <= MAX_ENUMERATED) {
    const texts: string[] = [];
    for (let k = Math.ceil(min / step) - 1; k * step <= max + step; k++) {
      // As the validators that divide see it.
      const value = Number((k * step).toPrecision(15));
      if (!Number.isInteger(value / step) || value < min || value > max) continue;
      if ((bounds.exclusiveMin && value === min) || (bounds.exclusiveMax && value === max))
        continue;
      texts.push(String(value === 0 ? 0 : value));
    }
    return literalChoice(texts);
  }
  // Every integer is a multiple of 1, 0.5, 0.1, 0.01, ...
  if (step <= 1 && Number.isInteger(1 / step)) return integerRange(bounds);
  throw unsupported(path, `multipleOf ${step} without close bounds`);
}
