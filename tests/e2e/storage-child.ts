/**
 * Loads from storage, on the runtime that runs this: each line that comes in is a case, each that goes out is what came of
 * it. Run by storage-runtimes.test.ts.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadKernels } from "../../src/platform/host/kernels.ts";
import { httpFolder } from "../../src/sources/http.ts";
import { s3Folder } from "../../src/sources/s3.ts";
import { type Loaded, loadImage, loadPack } from "./storage-load.ts";

export interface StorageCase {
  /** Of the proxy. */
  readonly url: string;
  readonly bucket: string;
  readonly prefix: string;
  /** undefined: by plain HTTP. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly limitMs: number;
  /** Whether a model is made of it, and asked. */
  readonly isAsked?: boolean;
  /** Only weights, into memory that is there: what is measured is the peak. */
  readonly isMeasured?: boolean;
}

export interface StorageOutcome extends Loaded {
  /** What the process grew by at most, from what a collection leaves; null where the system does not say. */
  readonly grownBytes: number | null;
}

const kernels = await loadKernels({ readFile: async (url) => readFileSync(url) });
const runtime = {
  kernels,
  yieldTask: () => new Promise<void>((resolve) => setTimeout(resolve, 0)),
  now: () => performance.now(),
  wallClock: () => Date.now(),
  randomSeed: () => 1,
};

/** In place, as hosts do it: WebCrypto copies a shard first. */
const digest = async (bytes: Uint8Array): Promise<ArrayBuffer> =>
  new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;

/** Where a measured case puts its weights, so that they are no part of what is measured. */
let image = new Uint8Array(0);

for await (const line of createInterface({ input: process.stdin })) {
  const { url, bucket, prefix, credentials, limitMs, isAsked, isMeasured }: StorageCase =
    JSON.parse(line);
  const limits = { fetch, connectTimeoutMs: limitMs, stallTimeoutMs: limitMs };
  const folder = credentials
    ? s3Folder({ endpoint: url, bucket, prefix, credentials, ...limits })
    : httpFolder(`${url}/${prefix}`, limits);
  if (isMeasured) image = image.length > 0 ? image : new Uint8Array(64 * 1024 * 1024).fill(1);
  const before = collected();
  const loaded = isMeasured
    ? await loadImage(folder, image, digest)
    : await loadPack(folder, isAsked ? runtime : undefined);
  const outcome: StorageOutcome = { ...loaded, grownBytes: residentBytes("VmHWM") - before };
  console.log(JSON.stringify(outcome));
}

/** Resident bytes without what nobody holds any more, where it can be told so; the peak is counted from here. */
function collected(): number {
  (globalThis as { gc?: () => void }).gc?.();
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    return Number.NaN;
  }
  return residentBytes("VmRSS");
}

function residentBytes(name: "VmHWM" | "VmRSS"): number {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
