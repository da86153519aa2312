/**
 * Which packs a prefix has held, in the order in which they became current: `releases.json`, beside manifest.json. What
 * stands behind the current one was begun and never finished, or was rolled back: it does not count.
 */
import { PronkError } from "../../errors.ts";
import { parseBoundedJson } from "../../formats/bounded-json.ts";
import { sha256 } from "../../pack/digest.ts";
import { MANIFEST_NAME, type Manifest } from "../../pack/manifest.ts";
import { manifestChecksum, parseManifest } from "../../pack/manifest-check.ts";
import { releaseName } from "../../pack/release.ts";
import { objectName } from "../../pack/shards.ts";
import type { Bucket } from "./bucket.ts";

const RELEASES_NAME = "releases.json";

/** What one goes back to seldom lies further behind. */
const MAX_RELEASES = 50;

const MAX_BYTES = 2 ** 20;

export interface Release {
  /** The manifest's checksum. */
  readonly checksum: string;
  /** The model's name. */
  readonly name: string;
  /** ISO 8601. */
  readonly at: string;
  /** How the Worker ran it: its configuration is written anew from this. Absent where none was deployed. */
  readonly settings?: unknown;
}

export interface Releases {
  /** The manifest that readers find now; undefined: none. */
  readonly current: CurrentManifest | undefined;
  /** Up to the current one, the oldest first. */
  readonly list: readonly Release[];
  /** As it is in the bucket: others may stand behind the current one, or it may be missing, where several deploy at once. */
  readonly all: readonly Release[];
}

export interface CurrentManifest {
  readonly manifest: Manifest;
  /** manifest.json as it is. */
  readonly bytes: Uint8Array;
  readonly checksum: string;
}

/** @throws PronkError "bad_format" when the objects are something else; as the bucket does. */
export async function readReleases(bucket: Bucket, signal: AbortSignal): Promise<Releases> {
  const bytes = await bucket.read(MANIFEST_NAME, signal);
  if (!bytes) return { current: undefined, list: [], all: [] };
  const text = await bucket.read(RELEASES_NAME, signal);
  const manifest = parseManifest(bytes, bucket.name);
  const checksum = manifest.checksum ?? (await manifestChecksum(manifest));
  bucket.know?.(objectsOf(manifest));
  const known = text ? parseReleases(text, bucket.name) : [];
  const at = known.findLastIndex((release) => release.checksum === checksum);
  const current = { manifest, bytes, checksum };
  if (at !== -1) return { current, list: known.slice(0, at + 1), all: known };
  // Two deployments at once: the list is one's, the pointer the other's. What was before is not lost for that.
  const last = known.at(-1);
  const list = last === undefined ? [] : [...known, { checksum, name: manifest.name, at: last.at }];
  return { current, list, all: known };
}

export function objectsOf({ shards, tokenizer }: Manifest): string[] {
  return [...shards, ...(tokenizer ? [tokenizer] : [])].map(objectName);
}

/** Makes the last release of a list the current one: first the list, then, as the last write of all, manifest.json. */
export async function switchTo(
  bucket: Bucket,
  manifest: Uint8Array,
  list: readonly Release[],
  signal: AbortSignal,
): Promise<void> {
  await writeList(bucket, list, signal);
  await write(bucket, MANIFEST_NAME, manifest, false, signal);
}

export function writeList(
  bucket: Bucket,
  list: readonly Release[],
  signal: AbortSignal,
): Promise<void> {
  return write(bucket, RELEASES_NAME, toJson(list.slice(-MAX_RELEASES)), false, signal);
}

/**
 * Goes back to the release before the current one: manifest.json first, so that whatever ends it, the list leads to
 * what is current.
 *
 * @throws PronkError "not_found" where there is none, or it is no longer whole.
 */
export async function rollBack(bucket: Bucket, signal: AbortSignal): Promise<RolledBack> {
  const { current, list } = await readReleases(bucket, signal);
  const missing = (what: string): PronkError =>
    new PronkError("not_found", `${bucket.name}: ${what}`);
  if (!current) throw missing(`no ${MANIFEST_NAME}: nothing is deployed`);
  const to = list.at(-2);
  if (!to) throw missing(`${current.checksum} is the first release: none is before it`);
  const bytes = await bucket.read(releaseName(to.checksum), signal);
  if (!bytes) throw missing(`${releaseName(to.checksum)} has gone`);
  const manifest = parseManifest(bytes, bucket.name);
  // It was kept when all of it was there; storage that can be asked is.
  bucket.know?.(objectsOf(manifest));
  for (const object of [...manifest.shards, ...(manifest.tokenizer ? [manifest.tokenizer] : [])]) {
    if (await bucket.has(objectName(object), object.bytes, signal)) continue;
    const what = `${objectName(object)} of release ${to.checksum} has gone`;
    throw missing(`${what}; deploy that model again`);
  }
  await write(bucket, MANIFEST_NAME, bytes, false, signal);
  await writeList(bucket, list.slice(0, -1), signal);
  return { from: current.checksum, to, bytes };
}

export interface RolledBack {
  /** The checksum that was current. */
  readonly from: string;
  readonly to: Release;
  /** Its manifest. */
  readonly bytes: Uint8Array;
}

/** Keeps a manifest for good; @returns whether it had to be written: a signature may have come since. */
export async function keepRelease(
  bucket: Bucket,
  checksum: string,
  manifest: Uint8Array,
  signal: AbortSignal,
  isSigned = false,
): Promise<boolean> {
  if (!isSigned && (await bucket.has(releaseName(checksum), manifest.length, signal))) return false;
  await write(bucket, releaseName(checksum), manifest, true, signal);
  return true;
}

/** The same pack with another signature. */
export function replaceManifest(
  bucket: Bucket,
  manifest: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  return write(bucket, MANIFEST_NAME, manifest, false, signal);
}

async function write(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  immutable: boolean,
  signal: AbortSignal,
): Promise<void> {
  const contentType = "application/json";
  await bucket.write({ key, bytes, sha256: await sha256(bytes), contentType, immutable }, signal);
}

function toJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`);
}

function parseReleases(bytes: Uint8Array, where: string): Release[] {
  const bad = (why: string): PronkError =>
    new PronkError("bad_format", `${where}: ${RELEASES_NAME}: ${why}`);
  if (bytes.length > MAX_BYTES) throw bad(`${bytes.length} bytes, at most ${MAX_BYTES}`);
  const value = parseBoundedJson(bytes, bad);
  const isRelease = (entry: unknown): entry is Release => {
    const { checksum, name, at } = (entry ?? {}) as Partial<Record<keyof Release, unknown>>;
    const isHash = typeof checksum === "string" && /^[0-9a-f]{64}$/.test(checksum);
    return isHash && typeof name === "string" && typeof at === "string";
  };
  if (!Array.isArray(value) || !value.every(isRelease)) throw bad("not a list of releases");
  return value;
}
