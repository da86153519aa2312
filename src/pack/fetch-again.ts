/** A second fetch of what came wrong the first time. */
import { type ErrorCode, PronkError } from "../errors.ts";

/**
 * What another fetch, from the start and with nothing remembered, may not meet: bits that flipped on the way or in a
 * cache, an answer that was another object's or a page of a proxy's, an object replaced in the middle of the read,
 * credentials that ran out. More than one would not help.
 */
const MAY_HEAL: readonly ErrorCode[] = ["corrupt", "bad_format", "unsupported", "source_failed"];

/** @throws what `fetch` does the second time; at once what was tried often enough or is not there. */
export async function fetchAgain<Value>(fetch: () => Promise<Value>): Promise<Value> {
  try {
    return await fetch();
  } catch (error) {
    if (!(error instanceof PronkError) || !MAY_HEAL.includes(error.code)) throw error;
    // Failures that may pass have had their tries.
    if (error.retryAfterMs !== undefined) throw error;
  }
  try {
    return await fetch();
  } catch (error) {
    if (!(error instanceof PronkError) || error.code === "aborted") throw error;
    const { code, message, retryAfterMs } = error;
    const options = { cause: error, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    throw new PronkError(code, `${message}, also when fetched again`, options);
  }
}
