/**
 * Pack to memory. Loading is a copy: each shard is read straight into its place and verified there,
 * two at a time, so that memory grows by nothing but what the source needs to read.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { readAll, type SourceFolder } from "../sources/source.ts";
import type { Digest } from "./digest.ts";
import { fetchAgain } from "./fetch-again.ts";
import { fetchObject } from "./fetch-object.ts";
import type { ImageDestination } from "./image-pieces.ts";
import { type ImageRange, imageTarget } from "./image-target.ts";
import { MANIFEST_NAME, type Manifest, type PackedObject } from "./manifest.ts";
import { MAX_MANIFEST_BYTES, manifestChecksum, parseManifest } from "./manifest-check.ts";

/** One shard arrives while another is verified; more buy little and cost connections. */
const CONCURRENCY = 2;

export interface LoadProgress {
  /** Bytes in memory, those not yet verified included; less again when a shard is fetched again. */
  readonly loaded: number;
  /** Bytes of all shards that are fetched. */
  readonly total: number;
  /** The shard that this is about, from 0: its place in the manifest. */
  readonly shard: number;
  readonly phase: "read" | "verify" | "done";
}

export interface LoadWeightsOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Shards under way at a time. Default 2. */
  readonly concurrency?: number;
  /** Default: WebCrypto. */
  readonly digest?: Digest;
  /** The part of the image to load. Default: all of it. */
  readonly range?: ImageRange;
}

/**
 * Reads and checks a pack's manifest, a second time where what came was no manifest, or one that was replaced meanwhile.
 *
 * @throws PronkError "bad_format" naming the field and what was found; "corrupt" when its checksum
 *   differs; "unsupported" on another version; "not_found"; "source_failed"; "aborted".
 */
export function readManifest(
  folder: SourceFolder,
  signal?: AbortSignal,
  digest?: Digest,
): Promise<Manifest> {
  return fetchAgain(() => readOnce(folder, signal, digest));
}

async function readOnce(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
  digest: Digest | undefined,
): Promise<Manifest> {
  const source = await folder.open(MANIFEST_NAME, signal);
  if (source.size > MAX_MANIFEST_BYTES) {
    throw new PronkError(
      "bad_format",
      `${folder.name}: ${MANIFEST_NAME}: ${source.size} bytes, at most ${MAX_MANIFEST_BYTES}`,
    );
  }
  const manifest = parseManifest(await readAll(source, signal), folder.name);
  const checksum = await manifestChecksum(manifest, digest);
  if (manifest.checksum !== undefined && manifest.checksum !== checksum) {
    throw new PronkError(
      "corrupt",
      `${folder.name}: ${MANIFEST_NAME}: states the checksum ${manifest.checksum}, its content has ${checksum}`,
    );
  }
  return manifest;
}

/**
 * Fills `destination` with the image, or with `range` of it: byte `range.start` comes first. Of several pieces each gets
 * its slice; shards of which no piece has a byte are not fetched.
 *
 * Shards that do not lie in one piece, and all shards where the destination is a sink or shared memory
 * (which WebCrypto does not read), pass through a buffer of their size, one for each under way.
 *
 * After an error memory holds unverified bytes: drop it. Nothing is written to it any more. A sink gets only
 * verified bytes, of the range alone.
 *
 * @throws PronkError naming the shard: "corrupt" when it is cut off or altered, also when fetched
 *   again; "not_found"; "source_failed"; "aborted"; "bad_request" when the sizes do not fit.
 */
export async function loadWeights(
  folder: SourceFolder,
  manifest: Manifest,
  destination: ImageDestination,
  options: LoadWeightsOptions = {},
): Promise<void> {
  const { signal, onProgress, concurrency = CONCURRENCY, digest } = options;
  const target = imageTarget(destination, options.range, manifest, folder.name);
  const shards = shardsIn(manifest, target.ranges);
  const total = shards.reduce((sum, { object }) => sum + object.bytes, 0);
  let loaded = 0;

  // The first failure stops the other lanes, and they have ended before it is reported.
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();

  /** `spare` is the lane's buffer for shards that are not read in place. */
  const load = async (
    { object, index, start }: PlacedShard,
    spare: { bytes: Uint8Array },
  ): Promise<void> => {
    throwIfAborted(stop.signal);
    const end = start + object.bytes;
    let read = 0;
    const report = (phase: LoadProgress["phase"], bytes: number): void => {
      loaded += bytes - read;
      read = bytes;
      onProgress?.({ loaded, total, shard: index, phase });
    };
    report("read", 0);
    const inside = target.placeOf(start, end);
    const inPlace = inside !== undefined && isUnshared(inside);
    if (!inPlace && spare.bytes.length < object.bytes) spare.bytes = new Uint8Array(object.bytes);
    const place = inPlace ? inside : spare.bytes.subarray(0, object.bytes);
    await fetchObject(folder, object, place, `shard ${index + 1} of ${manifest.shards.length}`, {
      digest,
      signal: stop.signal,
      onProgress: (bytes) => report(bytes < object.bytes ? "read" : "verify", bytes),
    });
    if (!inPlace) await target.put(start, place);
    report("done", object.bytes);
  };

  const queue = shards.values();
  const lane = async (): Promise<void> => {
    const spare = { bytes: new Uint8Array(0) };
    try {
      // The lanes share one iterator, so each shard has one taker.
      for (const shard of queue) await load(shard, spare);
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  };
  const lanes = Array.from({ length: Math.max(1, Math.min(concurrency, shards.length)) }, lane);
  const results = await Promise.allSettled(lanes);
  signal?.removeEventListener("abort", abort);
  throwIfAborted(signal);
  const failures = results.flatMap((r) => (r.status === "rejected" ? [r.reason] : []));
  // Lanes that the first failure stopped say "aborted".
  const isCause = (e: unknown): boolean => !(e instanceof PronkError && e.code === "aborted");
  if (failures.length > 0) throw failures.find(isCause) ?? failures[0];
}

/**
 * Reads an object that is not part of the image (the tokenizer) into new memory, verified.
 *
 * @throws PronkError as loadWeights.
 */
export async function loadBlob(
  folder: SourceFolder,
  object: PackedObject,
  options: Pick<LoadWeightsOptions, "signal" | "digest"> = {},
): Promise<Uint8Array> {
  const { signal, digest } = options;
  const bytes = new Uint8Array(object.bytes);
  await fetchObject(folder, object, bytes, "object", { digest, signal });
  return bytes;
}

interface PlacedShard {
  readonly object: PackedObject;
  /** Its place in the manifest, from 0. */
  readonly index: number;
  /** Where it starts in the image. */
  readonly start: number;
}

/** The shards that hold any byte of the ranges. */
function shardsIn(manifest: Manifest, ranges: readonly ImageRange[]): PlacedShard[] {
  let start = 0;
  return manifest.shards
    .map((object, index) => {
      const placed = { object, index, start };
      start += object.bytes;
      return placed;
    })
    .filter((s) =>
      ranges.some(({ start, end }) => s.start < end && s.start + s.object.bytes > start),
    );
}

/** Whether WebCrypto may read this memory in place. */
function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}
