/**
 * The form of `torch.save` before PyTorch 1.6: five pickles (magic number, protocol, byte order, what
 * was saved, keys of the storages), then each storage as u64le elements and its bytes.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import { printable } from "../printable.ts";
import { torchGlobals } from "./globals.ts";
import { PickleDict, type PickleGlobal } from "./pickle-values.ts";
import type { TorchFile } from "./read-torch.ts";
import { MAX_PICKLE_BYTES, StorageTable } from "./storage-table.ts";
import { Unpickler } from "./unpickle.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** Holds the pickles of a small model; where it does not, four times as much is read. */
const FIRST_WINDOW_BYTES = 256 * 1024;

const COUNT_BYTES = 8;

/** Counts on their way at a time. */
const COUNTS_AT_ONCE = 16;

interface Pickles {
  readonly root: unknown;
  readonly keys: unknown;
  readonly storages: StorageTable;
  /** Offset behind the last. */
  readonly end: number;
}

/** @throws PronkError "bad_format"; "unsupported". */
export async function readLegacyFile(source: ByteSource, signal?: AbortSignal): Promise<TorchFile> {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${source.name}: ${what}`);
  const { root, keys, storages, end } = await readPickles(source, signal);
  if (!Array.isArray(keys)) throw bad("no list of storages");

  const starts = new Map<string, number>();
  const counts: { start: number; elements: number; key: string }[] = [];
  let at = end;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || starts.has(storage.key)) {
      throw bad(`a storage ${printable(String(key))} that no tensor uses, or twice`);
    }
    const bytes = storage.elements * storage.elementBytes;
    const start = at + COUNT_BYTES;
    if (start + bytes > source.size) {
      throw bad(
        `storage ${printable(storage.key)} needs ${bytes} bytes from ${start}, it ends at ${source.size}`,
      );
    }
    starts.set(storage.key, start);
    counts.push({ start: at, elements: storage.elements, key: storage.key });
    at = start + bytes;
  }
  for (let i = 0; i < counts.length; i += COUNTS_AT_ONCE) {
    await Promise.all(
      counts.slice(i, i + COUNTS_AT_ONCE).map(async ({ start, elements, key }) => {
        const bytes = new Uint8Array(COUNT_BYTES);
        await source.readInto(bytes, start, signal);
        const found = new DataView(bytes.buffer).getBigUint64(0, true);
        if (found === BigInt(elements)) return;
        throw bad(`storage ${printable(key)} has ${found} elements, its tensors say ${elements}`);
      }),
    );
  }
  return {
    root,
    locate(storage) {
      const start = starts.get(storage.key);
      if (start === undefined) throw bad(`storage ${printable(storage.key)} is missing`);
      return start;
    },
  };
}

async function readPickles(source: ByteSource, signal?: AbortSignal): Promise<Pickles> {
  const limit = Math.min(source.size, MAX_PICKLE_BYTES);
  for (let bytes = Math.min(FIRST_WINDOW_BYTES, limit); ; bytes = Math.min(bytes * 4, limit)) {
    const window = new Uint8Array(bytes);
    await source.readInto(window, 0, signal);
    const pickles = parsePickles(window, source.name, bytes === limit);
    if (pickles !== undefined) return pickles;
  }
}

/** Undefined when the window ends before the pickles do, and is not the `last`. */
function parsePickles(window: Uint8Array, file: string, last: boolean): Pickles | undefined {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${file}: ${what}`);
  const storages = new StorageTable(file);
  const rules = storages.rules(torchGlobals(file));
  const none: ReadonlyMap<string, PickleGlobal> = new Map();
  let at = 0;
  let pickle = new Unpickler(window, rules, at);
  const next = (globals = none): unknown => {
    pickle = new Unpickler(window, { ...rules, globals }, at);
    const value = pickle.run();
    at = pickle.end;
    return value;
  };
  try {
    if (next() !== MAGIC) throw bad("a pickle without PyTorch's magic number");
    const protocol = next();
    if (protocol !== PROTOCOL) throw bad(`protocol ${String(protocol)}, not ${PROTOCOL}`);
    const system = next();
    if (!(system instanceof PickleDict) || system.get("little_endian") !== true) {
      throw new PronkError("unsupported", `${file}: byte order is not little-endian`);
    }
    const root = next(rules.globals);
    const keys = next();
    return { root, keys, storages, end: at };
  } catch (error) {
    if (pickle.starved && !last) return undefined;
    throw error;
  }
}
