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
import { type Sleep, timerSleep } from "../../sources/sleep.ts";
import { readAll, type SourceFolder } from "../../sources/source.ts";
import type { Bucket } from "./bucket.ts";
import { inLanes, type Spare } from "./lanes.ts";
import { untilPruned } from "./prune-mark.ts";
import {
  type CurrentManifest,
  keepRelease,
  type Release,
  readReleases,
  replaceManifest,
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
  /** What waits for others. Default: timers. */
  readonly sleep?: Sleep;
}

/** @throws PronkError "corrupt" when a file of the pack is not what its name says; as the bucket does. */
export async function uploadPack(
  pack: SourceFolder,
  bucket: Bucket,
  {
    signal,
    settings,
    onProgress,
    at = new Date().toISOString(),
    sleep = timerSleep,
  }: UploadOptions,
): Promise<UploadResult> {
  const source = await pack.open(MANIFEST_NAME, signal);
  if (source.size > MAX_MANIFEST_BYTES) {
    throw new PronkError("bad_format", `${source.name}: ${source.size} bytes`);
  }
  const text = await readAll(source, signal);
  const manifest = parseManifest(text, pack.name);
  const release = manifest.checksum ?? (await manifestChecksum(manifest));
  await bucket.prepare(signal);
  await readReleases(bucket, signal); // What is no list of releases is said before anything is sent.

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
  };
  const storeOnce = async (
    object: PackedObject,
    spare: Spare,
    stop: AbortSignal,
  ): Promise<void> => {
    await store(object, spare, stop);
    loaded += object.bytes;
    onProgress?.({ loaded, total });
  };
  await inLanes(objects, bucket.lanes, storeOnce, signal);

  await keepRelease(bucket, release, text, signal, manifest.signature !== undefined);
  // Read again: others may have deployed while this was sent.
  const { current, list } = await readReleases(bucket, signal);
  const entry: Release = { checksum: release, name: manifest.name, at, settings };
  const switched = current?.checksum !== release;
  if (switched) {
    const older = current && list.length === 0 ? [await adopt(current, bucket, at, signal)] : list;
    await switchTo(bucket, text, [...older, entry], signal);
    if (bucket.asks) {
      await untilPruned(bucket, sleep, signal);
      await inLanes(objects, bucket.lanes, store, signal);
      await keepRelease(bucket, release, text, signal);
      await relist(bucket, entry, signal);
    }
  } else if (!isSame(current?.manifest.signature, manifest.signature)) {
    await replaceManifest(bucket, text, signal);
  }
  if (!switched && settings !== undefined && !isSame(list.at(-1)?.settings, settings)) {
    await writeList(bucket, [...list.slice(0, -1), entry], signal);
  }
  return { release, objects: objects.length, sent, sentBytes, switched };
}

/** Others that deployed meanwhile may have written their list over this one's, or stand behind it: they came before. */
async function relist(bucket: Bucket, entry: Release, signal: AbortSignal): Promise<void> {
  const { current, all } = await readReleases(bucket, signal);
  const { checksum } = entry;
  if (current?.checksum !== checksum || all.at(-1)?.checksum === checksum) return;
  await writeList(bucket, [...all.filter((one) => one.checksum !== checksum), entry], signal);
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

/** Equal shards are one object. */
function distinct(objects: readonly PackedObject[]): PackedObject[] {
  return [...new Map(objects.map((object) => [object.sha256, object])).values()];
}
