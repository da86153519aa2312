/** Amounts, for people. */

const UNITS = ["B", "kB", "MB", "GB"] as const;

/** `98.4 MB`: powers of 1,000, as file managers and data plans count. */
export function toBytes(bytes: number): string {
  let unit = 0;
  let value = Math.max(0, bytes);
  // What would be shown as 1000 is one of the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `4 s`, `3 min`, `1 h 5 min`; never less than a second. */
export function toDuration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
