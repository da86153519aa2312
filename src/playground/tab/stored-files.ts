/**
 * A folder of files that outlives the page, as far as it is used here: the origin private file system, by its access
 * handles, which read and write in place. Of one file there is one open handle at a time.
 */
export interface StoredFiles {
  /** Names with their bytes. */
  list(): Promise<ReadonlyMap<string, number>>;
  /** Made where it is missing. Its owner closes it. */
  open(name: string): Promise<StoredFile>;
  /** Nothing happens where there is none. */
  remove(name: string): Promise<void>;
}

/** What is used of a FileSystemSyncAccessHandle, whose type is that of workers alone. */
export interface StoredFile {
  getSize(): number;
  /** @returns bytes read. */
  read(destination: Uint8Array, options: { readonly at: number }): number;
  /** @returns bytes written. @throws DOMException QuotaExceededError. */
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

/** What is used of `navigator.locks`: who works on a name, in any tab, works on it alone. */
export interface Locks {
  request<Value>(
    name: string,
    options: { readonly signal?: AbortSignal },
    work: () => Promise<Value>,
  ): Promise<Value>;
}
