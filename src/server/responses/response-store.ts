/** Where answered responses are kept, so that a later request goes on from them. */

/**
 * A place for texts under ids. Platforms have their own: memory here, files on Node, Deno and Bun, R2 or KV
 * on Cloudflare. What a store throws is logged, and the request is answered as if there were no store, or
 * refused where it needs what is kept. A text may stay longer than asked: its reader looks at its time again.
 */
export interface ResponseStore {
  /** undefined when there is none of this id, or no longer. */
  get(id: string): Promise<string | undefined>;
  /**
   * @param id of letters, digits and `_`, at most 80 of them.
   * @param expiresAt milliseconds since 1970; it may go any time after.
   */
  put(id: string, text: string, expiresAt: number): Promise<void>;
  /** Of what is not there, too. */
  delete(id: string): Promise<void>;
}

export interface ResponsesOptions {
  /**
   * Default: memoryResponseStore(). false: nothing is kept, `previous_response_id` and references to items
   * are refused, and answers say `store: false`.
   */
  readonly store?: ResponseStore | false;
  /** How long a response is kept. Default: 30 days, as at OpenAI. */
  readonly ttlSeconds?: number;
}
