/** CPU, memory, bandwidth, disk: what the machine has for models. */
import { readdir, stat, statfs } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { now } from "../../platform/clock.ts";
import { cacheFolder, type Environment } from "../../platform/host/cache-folder.ts";
import { freeBytes } from "../../platform/host/free-memory.ts";
import type { Check } from "./check.ts";

const PAGE_BYTES = 65_536;

/** Sizes of WASM memories that are tried, the largest first; 4 GiB is all that wasm32 has. */
const WASM_GIB = [4, 3.5, 3, 2, 1, 0.5, 0.25, 0.125];

/** The default model in its default form: what a token reads, and what a server of it takes. */
const MODEL_BYTES = 92_000_000;
const MODEL_MEMORY_BYTES = 300_000_000;

/** Larger than the last cache of most CPUs, so that memory is what is measured. */
const COPY_BYTES = 64 * 2 ** 20;
const COPY_MS = 700;

/** A pack and its source, and room for another. */
const WANTED_DISK_BYTES = 1e9;

/** Files that are looked at in the cache: it may hold a whole hub. */
const MAX_FILES = 20_000;

export function cpuCheck(): Check {
  const [first] = cpus();
  const model = first?.model.replace(/\s+/g, " ").trim() || "unknown";
  return {
    name: "cpu",
    status: "ok",
    found: `${model}, ${cpus().length} in all`,
    facts: { cpu: model, cpus: cpus().length },
  };
}

export function memoryCheck(): Check {
  const free = freeBytes();
  const gib = WASM_GIB.find(canAllocate) ?? 0;
  const found = `${gigabytes(free)} of ${gigabytes(totalmem())} GB free; one WebAssembly memory may have ${gib} GiB`;
  const facts = {
    memory_free_bytes: free,
    memory_bytes: totalmem(),
    wasm_memory_bytes: gib * 2 ** 30,
  };
  if (gib * 2 ** 30 < MODEL_MEMORY_BYTES) {
    const change = "ulimit -v, or the container's limit, is too low for any model";
    return { name: "memory", status: "fail", found, facts, change };
  }
  if (free < MODEL_MEMORY_BYTES) {
    return {
      name: "memory",
      status: "warn",
      found,
      facts,
      change: "--budget 128MB takes the smallest form",
    };
  }
  return { name: "memory", status: "ok", found, facts };
}

/** Only address space: pages are given when they are written. */
function canAllocate(gib: number): boolean {
  const pages = (gib * 2 ** 30) / PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer.byteLength > 0;
  } catch {
    return false;
  }
}

/** Copies for a moment, on one thread; every token reads all weights, so this bounds their rate. */
export function bandwidthCheck(): Check {
  const from = new Uint8Array(COPY_BYTES).fill(1);
  const to = new Uint8Array(COPY_BYTES).fill(2);
  let best = Number.POSITIVE_INFINITY;
  const started = now();
  while (now() - started < COPY_MS) {
    const before = now();
    to.set(from);
    best = Math.min(best, now() - before);
  }
  // Read and written.
  const bytesPerSecond = (2 * COPY_BYTES * 1000) / best;
  const most = Math.round(bytesPerSecond / MODEL_BYTES);
  return {
    name: "bandwidth",
    status: "ok",
    found: `${(bytesPerSecond / 1e9).toFixed(1)} GB/s on one thread: at most ${most} tokens/s of a model of ${MODEL_BYTES / 1e6} MB`,
    facts: { bandwidth_bytes_per_second: Math.round(bytesPerSecond) },
  };
}

export async function cacheCheck(env: Environment): Promise<Check> {
  const folder = cacheFolder(env);
  const { bytes, files } = await sizeOf(folder);
  const free = await freeDisk(folder);
  const held = files === 0 ? "empty" : `${(bytes / 1e6).toFixed(1)} MB in ${files} files`;
  const room = free === undefined ? "" : `; ${gigabytes(free)} GB of the disk are free`;
  const facts = {
    cache: folder,
    cache_bytes: bytes,
    cache_files: files,
    disk_free_bytes: free ?? null,
  };
  const isFull = free !== undefined && free < WANTED_DISK_BYTES;
  return {
    name: "cache",
    status: isFull ? "warn" : "ok",
    found: `${folder}: ${held}${room}`,
    facts,
    ...(isFull && { change: "PRONK_CACHE=DIR on another disk, or remove what is not needed" }),
  };
}

async function sizeOf(folder: string): Promise<{ bytes: number; files: number }> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  let [bytes, files] = [0, 0];
  for (const entry of entries.slice(0, MAX_FILES)) {
    if (!entry.isFile()) continue;
    const parent = (entry as { parentPath?: string; path?: string }).parentPath ?? entry.path;
    const found = await stat(join(parent, entry.name)).catch(() => undefined);
    bytes += found?.size ?? 0;
    files += found ? 1 : 0;
  }
  return { bytes, files };
}

/** Of the first folder above that is there; undefined where the system does not tell. */
async function freeDisk(folder: string): Promise<number | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch {
      if (dirname(at) === at) return undefined;
    }
  }
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
