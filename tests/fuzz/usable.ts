/**
 * What a reader has accepted must be usable: an error in here, though it may be a PronkError, comes too late and is
 * a finding.
 */
export async function usable<T>(what: string, use: () => T | Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (cause) {
    const { message } = cause as Error;
    throw new Error(`${what} was accepted and then failed: ${message}`, { cause });
  }
}
