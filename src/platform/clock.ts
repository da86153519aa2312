/** Clocks and randomness that every runtime has under the same names. */

/** Monotonic milliseconds; on deployed Workers it stands still between I/O. */
export function now(): number {
  return performance.now();
}

/** Milliseconds since 1970. */
export function wallClock(): number {
  return Date.now();
}

/** A fresh unsigned 32-bit integer. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
