/** Numbers: by their bounds, and as multiples. */
import { choice, type Expression, NEVER, rule, sequence } from "../expression.ts";
import { INTEGER } from "../json-text.ts";
import { literalChoice } from "../literal-choice.ts";
import { integerRange, type NumberBounds, numberRange } from "../number-range.ts";
import { FREE_FORMATS, INTEGER_FORMATS } from "./formats.ts";
import { numberOf, type SchemaObject, unsupported } from "./schema.ts";

/** Multiples that are written out. */
const MAX_ENUMERATED = 5_000;
/** Of those without close bounds. */
const NEAREST = 1_000;
/** Quarters and eighths of integers are exact, so that every validator finds them. */
const BINARY_STEPS = [0.5, 0.25, 0.125];

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
  // Beyond it the next multiple is the same number.
  const most = Number.MAX_SAFE_INTEGER;
  const farthest = Math.max(Math.abs(min ?? 0), Math.abs(max ?? 0)) / step;
  if (!(farthest < most && step < most)) {
    throw unsupported(path, `multipleOf ${step} from ${min} to ${max}, which numbers cannot tell`);
  }
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
  if (step <= 1 && Number.isInteger(1 / step)) {
    const whole = integerRange(bounds);
    return BINARY_STEPS.includes(step) ? choice(whole, withFractions(step, bounds)) : whole;
  }
  // The nearest to the bound, or to 0.
  const reach = NEAREST * step;
  if (min !== undefined) return multiples(step, { ...bounds, max: min + reach }, path);
  if (max !== undefined) return multiples(step, { ...bounds, min: max - reach }, path);
  return multiples(step, { ...bounds, min: 0, max: reach }, path);
}

/** Positive numbers between the integers of the bounds. */
function withFractions(step: number, { min, max, exclusiveMax }: NumberBounds): Expression {
  const fractions: string[] = [];
  for (let value = step; value < 1; value += step) fractions.push(String(value).slice(1));
  const last = max === undefined ? undefined : Math.floor(max) - 1;
  const first = Math.max(0, Math.ceil(min ?? 0));
  const whole = integerRange({ min: first, max: last, exclusiveMin: false, exclusiveMax: false });
  return exclusiveMax && last === undefined ? NEVER : sequence(whole, literalChoice(fractions));
}
