/** This browser's storage, in memory: files with one handle at a time, locks, a quota. */
import type { Locks, StoredFiles } from "../../../../src/playground/tab/stored-files.ts";

export interface MemoryFiles extends StoredFiles {
  readonly bytes: Map<string, Uint8Array>;
  /** Bytes of all files at most. */
  quota: number;
}

export function memoryFiles(): MemoryFiles {
  const bytes = new Map<string, Uint8Array>();
  const opened = new Set<string>();
  const files: MemoryFiles = {
    bytes,
    quota: Number.POSITIVE_INFINITY,
    list: async () => new Map([...bytes].map(([name, { length }]) => [name, length])),
    async open(name) {
      if (opened.has(name)) throw new Error(`${name}: NoModificationAllowedError`);
      opened.add(name);
      if (!bytes.has(name)) bytes.set(name, new Uint8Array(0));
      const now = (): Uint8Array => bytes.get(name) as Uint8Array;
      return {
        getSize: () => now().length,
        read(destination, { at }) {
          const part = now().subarray(at, at + destination.length);
          destination.set(part);
          return part.length;
        },
        write(more, { at }) {
          const used = [...bytes.values()].reduce((sum, { length }) => sum + length, 0);
          const size = Math.max(now().length, at + more.length);
          if (used - now().length + size > files.quota) {
            throw new DOMException("no room", "QuotaExceededError");
          }
          const grown = new Uint8Array(size);
          grown.set(now());
          grown.set(more, at);
          bytes.set(name, grown);
          return more.length;
        },
        truncate: (size) => void bytes.set(name, now().slice(0, size)),
        flush: () => {},
        close: () => void opened.delete(name),
      };
    },
    async remove(name) {
      if (opened.has(name)) throw new Error(`${name}: NoModificationAllowedError`);
      bytes.delete(name);
    },
  };
  return files;
}

/** As `navigator.locks`: who asks waits for who has, and leaves the queue when the signal fires. */
export function memoryLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async request(name, { signal }, work) {
      const before = tails.get(name) ?? Promise.resolve();
      let free = (): void => {};
      const own = new Promise<void>((resolve) => {
        free = resolve;
      });
      tails.set(
        name,
        before.then(() => own),
      );
      let leave = (): void => {};
      const left = new Promise<never>((_, reject) => {
        leave = () => reject(signal?.reason);
      });
      signal?.addEventListener("abort", leave);
      left.catch(() => {});
      try {
        await Promise.race([before, left]);
        return await work();
      } finally {
        signal?.removeEventListener("abort", leave);
        free();
      }
    },
  };
}
