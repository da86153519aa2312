/** Numbers as people read them; the same in every language, as the page is in one. */

const whole = new Intl.NumberFormat("en");
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** `1 token`, `8,192 tokens`. */
export function count(value: number, name: string): string {
  return `${whole.format(value)} ${name}${value === 1 ? "" : "s"}`;
}

/** `4.2`, `118`: three digits say enough of a rate. */
export function rate(value: number): string {
  return value < 100 ? oneDigit.format(value) : whole.format(Math.round(value));
}

/** `84 ms`, `1.2 s`. */
export function milliseconds(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${oneDigit.format(value / 1000)} s`;
}

/** `97.1 MB`, by 10^6 as the rest of pronk counts. */
export function megabytes(bytes: number): string {
  return `${bytes < 100e6 ? oneDigit.format(bytes / 1e6) : whole.format(Math.round(bytes / 1e6))} MB`;
}
