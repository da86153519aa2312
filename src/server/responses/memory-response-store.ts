/** Responses in this process's memory: gone with it, and with those that were used least recently. */
import type { ResponseStore } from "./response-store.ts";

export interface MemoryStoreOptions {
  /** How many at most. Default 1,000. */
  readonly maxResponses?: number;
  /** Of memory at most, counting two bytes for each character. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

const MAX_RESPONSES = 1000;
/** About a thousand conversations that fill a context of 2,048 tokens. */
const MAX_BYTES = 16 * 2 ** 20;

interface Entry {
  readonly text: string;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** One of these belongs to one server. A response larger than the whole store is not kept. */
export function memoryResponseStore(options: MemoryStoreOptions = {}): ResponseStore {
  const { maxResponses = MAX_RESPONSES, maxBytes = MAX_BYTES, now = () => Date.now() } = options;
  /** In order of use, the oldest first: a Map lists its keys as they were set. */
  const entries = new Map<string, Entry>();
  let bytes = 0;

  const drop = (id: string): void => {
    bytes -= entries.get(id)?.bytes ?? 0;
    entries.delete(id);
  };
  return {
    async get(id) {
      const entry = entries.get(id);
      if (entry === undefined) return undefined;
      drop(id);
      if (entry.expiresAt <= now()) return undefined;
      entries.set(id, entry);
      bytes += entry.bytes;
      return entry.text;
    },
    async put(id, text, expiresAt) {
      drop(id);
      const entry = { text, bytes: 2 * (id.length + text.length), expiresAt };
      if (entry.bytes > maxBytes) return;
      entries.set(id, entry);
      bytes += entry.bytes;
      for (const oldest of entries.keys()) {
        if (entries.size <= maxResponses && bytes <= maxBytes) break;
        drop(oldest);
      }
    },
    async delete(id) {
      drop(id);
    },
  };
}
