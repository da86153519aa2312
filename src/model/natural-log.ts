/**
 * Natural logarithm with the same bits on every engine: only + - * / of f64, never Math.log. For the few constants of
 * a model's rotary embedding; within 4 units of the last place.
 */

/** s^61 / 61 is under 2^-60 of the sum for s <= 1/3, which is what values in [1, 2) have. */
const TERMS = 31;

/** Of 0, infinity, NaN and negative numbers what Math.log has: a file may lead to any of them. */
export function naturalLog(x: number): number {
  // No halving ever brings these into [1, 2).
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return Math.log(x);
  let exponent = 0;
  let value = x;
  while (value >= 2) {
    value /= 2;
    exponent++;
  }
  while (value < 1) {
    value *= 2;
    exponent--;
  }
  // ln v = 2 artanh(s), summed from the smallest term
  const s = (value - 1) / (value + 1);
  let sum = 0;
  for (let n = TERMS - 1; n >= 0; n--) sum = sum * s * s + 1 / (2 * n + 1);
  return exponent * Math.LN2 + 2 * s * sum;
}
