/**
 * A pack into a bucket: objects that are missing, several at a time; its manifest under its checksum; then the list of
 * releases; manifest.json last. Whenever it ends before, readers go on with the pack that was there, and the next
 * run sends what is missing.
 */
import { PronkError } from "../../errors.ts";
import { fetchObject } from "../../pack/fetch-object.ts";
import { MANIFEST_NAME, type PackedObject } from "../../pack/manifest.ts";
import { MAX_MANIFEST_BYTES, manifestChecksum, parseManifest } from "../../pack/manifest-check.ts";
import { objectName } from "../../pack/shards.ts";
import { readAll, type SourceFolder } from "../../sources/source.ts";
import type { Bucket } from "./bucket.ts";
import {
  type CurrentManifest,
  keepRelease,
  type Release,
  readReleases,
  switchTo,
  writeList,
} from "./releases.ts";

export interface UploadProgress {
  /** Bytes that are in the bucket, those that were there included. */
  readonly loaded: number;
  readonly total: number;
}

export interface UploadResult {
  readonly release: string;
  /** Of shards and the tokenizer. */
  readonly objects: number;
  readonly sent: number;
  readonly sentBytes: number;
  /** Whether manifest.json was written: false where it was this one already. */
  readonly switched: boolean;
}

export interface UploadOptions {
  readonly signal: AbortSignal;
  /** Kept with the release; undefined: those that are kept stay. */
  readonly settings?: unknown;
  readonly onProgress?: (progress: UploadProgress) => void;
  /** ISO 8601; default: now. */
  readonly at?: string;
}

/** @throws PronkError "corrupt" when a file of the pack is not what its name says; as the bucket does. */
export async function uploadPack(
  pack: SourceFolder,
  bucket: Bucket,
  { signal, settings, onProgress, at = new Date().toISOString() }: UploadOptions,
): Promise<UploadResult> {
  const source = await pack.open(MANIFEST_NAME, signal);
  if (source.size > MAX_MANIFEST_BYTES) {
    throw new PronkError("bad_format", `${source.name}: ${source.size} bytes`);
  }
  const text = await readAll(source, signal);
  const manifest = parseManifest(text, pack.name);
  const release = manifest.checksum ?? (await manifestChecksum(manifest));
  await bucket.prepare(signal);
  const before = await readReleases(bucket, signal);

  const objects = distinct([
    ...manifest.shards,
    ...(manifest.tokenizer ? [manifest.tokenizer] : []),
  ]);
  const total = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  let [loaded, sent, sentBytes] = [0, 0, 0];
  onProgress?.({ loaded, total });
  const store = async (object: PackedObject, spare: Spare, stop: AbortSignal): Promise<void> => {
    const key = objectName(object);
    if (!(await bucket.has(key, object.bytes, stop))) {
      if (spare.bytes.length < object.bytes) spare.bytes = new Uint8Array(object.bytes);
      const bytes = spare.bytes.subarray(0, object.bytes);
      await fetchObject(pack, object, bytes, "object", { signal: stop });
      const contentType = "application/octet-stream";
      const { sha256 } = object;
      await bucket.write({ key, bytes, sha256, contentType, immutable: true }, stop);
      sent += 1;
      sentBytes += object.bytes;
    }
    loaded += object.bytes;
    onProgress?.({ loaded, total });
  };
  await inLanes(objects, bucket.lanes, store, signal);

  await keepRelease(bucket, release, text, signal);
  const { current, list } = before;
  const entry: Release = { checksum: release, name: manifest.name, at, settings };
  const switched = current?.checksum !== release;
  if (switched) {
    const older = current && list.length === 0 ? [await adopt(current, bucket, at, signal)] : list;
    await switchTo(bucket, text, [...older, entry], signal);
  } else if (settings !== undefined && !isSame(list.at(-1)?.settings, settings)) {
    await writeList(bucket, [...list.slice(0, -1), entry], signal);
  }
  return { release, objects: objects.length, sent, sentBytes, switched };
}

/** A pack that was put there by other means becomes a release, so that one can go back to it. */
async function adopt(
  { manifest, bytes, checksum }: CurrentManifest,
  bucket: Bucket,
  at: string,
  signal: AbortSignal,
): Promise<Release> {
  await keepRelease(bucket, checksum, bytes, signal);
  return { checksum, name: manifest.name, at };
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A lane's buffer. */
interface Spare {
  bytes: Uint8Array;
}

/** The first failure stops the other lanes, and they have ended before it is reported. */
async function inLanes<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item, spare: Spare, stop: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const queue = items.values();
  let failure: unknown;
  const lane = async (): Promise<void> => {
    const spare = { bytes: new Uint8Array(0) };
    try {
      for (const item of queue) {
        if (either.aborted) return;
        await work(item, spare, either);
      }
    } catch (error) {
      failure ??= error;
      stop.abort();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(lanes, items.length)) }, lane));
  if (signal.aborted) throw new PronkError("aborted", "aborted", { cause: signal.reason });
  if (failure !== undefined) throw failure;
}

/** Equal shards are one object. */
function distinct(objects: readonly PackedObject[]): PackedObject[] {
  return [...new Map(objects.map((object) => [object.sha256, object])).values()];
}
