/** No timer of any runtime is longer. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Waits for what another request settles, with a timer of its own: Workers take a request that has nothing
 * pending for hung, and end it with 500.
 */
export async function heldOpen<T>(settledElsewhere: Promise<T>): Promise<T> {
  const timer = setTimeout(() => undefined, LONGEST_MS);
  try {
    return await settledElsewhere;
  } finally {
    clearTimeout(timer);
  }
}
