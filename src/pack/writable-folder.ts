/** Where a pack is written: a directory, a bucket prefix, memory. */
export interface WritableFolder {
  /** For error messages; never a credential. */
  readonly name: string;
  /** Whether an object of this name is there, whole. */
  exists(name: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Writes an object so that it is there whole or not at all, replacing one of the same name.
   * `bytes` may change once the promise has settled.
   */
  write(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}
