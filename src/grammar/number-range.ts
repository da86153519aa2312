/** Decimal numbers between two bounds. */
import {
  characters,
  choice,
  type Expression,
  literal,
  NEVER,
  NOTHING,
  optional,
  repeat,
  sequence,
} from "./expression.ts";

export interface NumberBounds {
  /** Undefined for none. */
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly exclusiveMin: boolean;
  readonly exclusiveMax: boolean;
}

/** Decimals of so many digits are apart as doubles. */
const EXACT_DIGITS = 15;
const LARGEST = 10 ** EXACT_DIGITS - 1;

/** Numbers without an upper bound have one, so that there is room for digits behind the point. */
const WITHOUT_MAX = 1e9;

/** Integers, without exponent; NEVER where there are none. */
export function integerRange({ min, max, exclusiveMin, exclusiveMax }: NumberBounds): Expression {
  let from = min === undefined ? -LARGEST : Math.ceil(min);
  let to = max === undefined ? LARGEST : Math.floor(max);
  if (exclusiveMin && from === min) from++;
  if (exclusiveMax && to === max) to--;
  // Beyond, doubles skip integers: bounds out there only say that there is none.
  from = Math.max(from, -LARGEST);
  to = Math.min(to, LARGEST);
  if (from > to) return NEVER;
  const alternatives: Expression[] = [];
  if (from < 0) {
    const least = Math.max(1, -to);
    if (-from >= least) alternatives.push(sequence(literal("-"), naturals(least, -from)));
  }
  if (to >= 0) alternatives.push(naturals(Math.max(0, from), to));
  return choice(...alternatives);
}

/** From `from` to `to`, both at least 0, without leading zeros. */
function naturals(from: number, to: number): Expression {
  const alternatives: Expression[] = [];
  for (let low = from; low <= to; ) {
    // One alternative for each number of digits.
    const digits = String(low).length;
    const high = Math.min(to, 10 ** digits - 1);
    alternatives.push(between(String(low), String(high)));
    low = high + 1;
  }
  return choice(...alternatives);
}

/** Digits of the same number, from `low` to `high`. */
function between(low: string, high: string): Expression {
  if (low === "") return NOTHING;
  const [first, last] = [Number(low[0]), Number(high[0])];
  const rest = low.length - 1;
  if (first === last) return sequence(literal(low[0]), between(low.slice(1), high.slice(1)));
  const nines = "9".repeat(rest);
  const zeros = "0".repeat(rest);
  const lowIsWhole = low.slice(1) === zeros;
  const highIsWhole = high.slice(1) === nines;
  const alternatives: Expression[] = [];
  const from = lowIsWhole ? first : first + 1;
  const to = highIsWhole ? last : last - 1;
  if (!lowIsWhole) alternatives.push(sequence(literal(low[0]), between(low.slice(1), nines)));
  if (from <= to) alternatives.push(sequence(digits(from, to), repeat(digits(0, 9), rest, rest)));
  if (!highIsWhole) alternatives.push(sequence(literal(high[0]), between(zeros, high.slice(1))));
  return choice(...alternatives);
}

function digits(from: number, to: number): Expression {
  return characters([0x30 + from, 0x30 + to]);
}

/** A bound's digits: whole, and behind the point. */
interface Decimal {
  readonly whole: number;
  readonly fraction: string;
}

/** Numbers without exponent, with a fraction or without; NEVER where there are none that can be written so. */
export function numberRange(bounds: NumberBounds): Expression {
  const { min, max, exclusiveMin, exclusiveMax } = bounds;
  const alternatives: Expression[] = [];
  if (min === undefined || min < 0) {
    const largest = min === undefined ? undefined : -min;
    const least = max !== undefined && max < 0 ? -max : 0;
    // A zero has no sign here.
    const excludesLeast = least === 0 || exclusiveMax;
    const size = positives(least, excludesLeast, largest, exclusiveMin);
    alternatives.push(sequence(literal("-"), size));
  }
  if (max === undefined || max >= 0) {
    const least = min !== undefined && min > 0 ? min : 0;
    alternatives.push(positives(least, exclusiveMin && least === min, max, exclusiveMax));
  }
  return choice(...alternatives);
}

/** From `min`, at least 0, to `max`. */
function positives(
  min: number,
  exclusiveMin: boolean,
  max: number | undefined,
  exclusiveMax: boolean,
): Expression {
  const low = decimalOf(min, true);
  const high = decimalOf(Math.min(max ?? Math.max(WITHOUT_MAX, 10 * min), LARGEST), false);
  const top = Math.max(low.whole, high.whole);
  // Whole and fraction together stay exact.
  const places = Math.max(1, EXACT_DIGITS - String(top).length);
  const lowest = { digits: low.fraction, exclusive: exclusiveMin && isExact(low, min) };
  const highest = { digits: high.fraction, exclusive: exclusiveMax && isExact(high, max) };
  if (low.whole > high.whole) return NEVER;
  const whole = (value: number): Expression => literal(String(value));
  if (low.whole === high.whole) {
    return sequence(whole(low.whole), fractions(lowest, highest, places));
  }
  const alternatives = [
    sequence(whole(low.whole), fractions(lowest, undefined, places)),
    sequence(whole(high.whole), fractions(undefined, highest, places)),
  ];
  if (low.whole + 1 <= high.whole - 1) {
    const any = optional(sequence(literal("."), repeat(digits(0, 9), 1, places)));
    alternatives.push(sequence(naturals(low.whole + 1, high.whole - 1), any));
  }
  return choice(...alternatives);
}

/** In at most 15 digits, rounded into the range. */
function decimalOf(value: number, up: boolean): Decimal {
  const whole = Math.floor(value);
  const places = Math.max(1, EXACT_DIGITS - String(whole).length);
  let fraction = (value - whole).toFixed(places).slice(2);
  const rounded = Number(`${whole}.${fraction}`);
  if ((value - whole).toFixed(places).startsWith("1")) return { whole: whole + 1, fraction: "" };
  if (up ? rounded < value : rounded > value) {
    const step = BigInt(fraction) + (up ? 1n : -1n);
    fraction = step.toString().padStart(places, "0");
    if (fraction.length > places) return { whole: whole + 1, fraction: "" };
  }
  return { whole, fraction: fraction.replace(/0+$/, "") };
}

function isExact({ whole, fraction }: Decimal, value: number | undefined): boolean {
  return Number(`${whole}.${fraction || "0"}`) === value;
}

interface FractionBound {
  /** Without zeros at the end; "" for 0. */
  readonly digits: string;
  readonly exclusive: boolean;
}

/** Nothing, or a point and 1 to `places` digits, between the bounds. */
function fractions(
  low: FractionBound | undefined,
  high: FractionBound | undefined,
  places: number,
): Expression {
  const none =
    (low === undefined || (low.digits === "" && !low.exclusive)) &&
    !(high?.digits === "" && high.exclusive);
  const some = fractionDigits(low, high, places, true);
  const written = some === undefined ? NEVER : sequence(literal("."), some);
  return none ? choice(NOTHING, written) : written;
}

/** The digits from here on; undefined where there are none. */
function fractionDigits(
  low: FractionBound | undefined,
  high: FractionBound | undefined,
  places: number,
  isFirst: boolean,
): Expression | undefined {
  const canEnd =
    !isFirst &&
    (low === undefined || (low.digits === "" && !low.exclusive)) &&
    !(high?.digits === "" && high.exclusive);
  // A bound of zeros is none from below.
  if (low?.digits === "" && !low.exclusive) {
    return fractionDigits(undefined, high, places, isFirst);
  }
  if (low === undefined && high === undefined) {
    return places > 0 || canEnd ? repeat(digits(0, 9), isFirst ? 1 : 0, places) : undefined;
  }
  const alternatives: Expression[] = canEnd ? [NOTHING] : [];
  if (places > 0) {
    const from = low === undefined ? 0 : Number(low.digits[0] ?? 0);
    const to = high === undefined ? 9 : Number(high.digits[0] ?? 0);
    for (let digit = from; digit <= to; digit++) {
      const next = fractionDigits(
        digit === from ? rest(low) : undefined,
        digit === to ? rest(high) : undefined,
        places - 1,
        false,
      );
      if (next !== undefined) alternatives.push(sequence(digits(digit, digit), next));
    }
  }
  return alternatives.length === 0 ? undefined : choice(...alternatives);
}

function rest(bound: FractionBound | undefined): FractionBound | undefined {
  return bound && { digits: bound.digits.slice(1), exclusive: bound.exclusive };
}
