/**
 * Old releases go: the newest few stay, the current one and the one that --rollback leads to among them; of the others what
 * no kept release has is deleted. What no release names (an upload that was not finished, other files) is left alone.
 */
import { PronkError } from "../../errors.ts";
import type { Manifest } from "../../pack/manifest.ts";
import { parseManifest } from "../../pack/manifest-check.ts";
import { releaseName } from "../../pack/release.ts";
import { objectName } from "../../pack/shards.ts";
import type { Bucket } from "./bucket.ts";
import { inLanes } from "./lanes.ts";
import { withPruneMark } from "./prune-mark.ts";
import { objectsOf, type Release, readReleases, writeList } from "./releases.ts";

/** The current one, the one before, and one more to go back to. */
export const DEFAULT_KEPT = 3;

/** --rollback has to have where to go. */
export const LEAST_KEPT = 2;

const RELEASE_KEY = /^releases\/([0-9a-f]{64})\.json$/;

export interface DroppedRelease {
  readonly checksum: string;
  readonly name: string;
}

export interface Prune {
  /** As releases.json lists them then. */
  readonly kept: readonly Release[];
  readonly dropped: readonly DroppedRelease[];
  /** Shards and tokenizers that only dropped releases have. */
  readonly keys: readonly string[];
  /** Of them. */
  readonly bytes: number;
  /** Of each. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Of releases, as it was asked for. */
  readonly keep: number;
}

/** A release that is about to be the current one. */
export interface NextRelease {
  readonly checksum: string;
  readonly manifest: Manifest;
}

/**
 * What would be deleted. Reads only.
 *
 * @param keep releases, at least LEAST_KEPT.
 * @param next as if it were current already.
 * @throws PronkError "not_found" where a kept release has no manifest: nothing is known to be of no use then.
 */
export async function planPrune(
  bucket: Bucket,
  keep: number,
  signal: AbortSignal,
  next?: NextRelease,
): Promise<Prune> {
  const { current, list } = await readReleases(bucket, signal);
  const entries: { readonly checksum: string }[] = [...list];
  const manifests = new Map<string, Manifest>();
  for (const one of [current, next]) {
    if (!one) continue;
    manifests.set(one.checksum, one.manifest);
    if (entries.at(-1)?.checksum !== one.checksum) entries.push(one);
  }
  const start = keptFrom(entries, keep);
  const kept = new Set(entries.slice(start).map(({ checksum }) => checksum));
  const used = new Set<string>();
  for (const checksum of kept) {
    const manifest = manifests.get(checksum) ?? (await readManifest(bucket, checksum, signal));
    if (!manifest) {
      throw new PronkError("not_found", `${bucket.name}: ${releaseName(checksum)} has gone`);
    }
    for (const key of objectsOf(manifest)) used.add(key);
  }
  const there = new Set(await bucket.keys(signal));
  const dropped: DroppedRelease[] = [];
  const sizes = new Map<string, number>();
  for (const key of there) {
    const checksum = RELEASE_KEY.exec(key)?.[1];
    if (checksum === undefined || kept.has(checksum)) continue;
    const manifest = await readManifest(bucket, checksum, signal);
    if (!manifest) continue;
    dropped.push({ checksum, name: manifest.name });
    const { shards, tokenizer } = manifest;
    for (const object of [...shards, ...(tokenizer ? [tokenizer] : [])]) {
      const name = objectName(object);
      if (there.has(name) && !used.has(name)) sizes.set(name, object.bytes);
    }
  }
  return {
    kept: list.slice(start),
    dropped,
    keys: [...sizes.keys()],
    bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    sizes,
    keep,
  };
}

/**
 * First nobody is led to what goes, then it goes, and its manifests last: who ends it in between is gone on from. What
 * somebody else has deployed since it was planned stays.
 *
 * @returns what was deleted.
 */
export async function prune(bucket: Bucket, plan: Prune, signal: AbortSignal): Promise<Prune> {
  if (plan.dropped.length === 0) return plan;
  return withPruneMark(bucket, () => pruneMarked(bucket, plan, signal), signal);
}

async function pruneMarked(bucket: Bucket, plan: Prune, signal: AbortSignal): Promise<Prune> {
  const now = bucket.asks ? await planPrune(bucket, plan.keep, signal) : plan;
  const keys = now.keys.filter((key) => plan.keys.includes(key));
  const isPlanned = ({ checksum }: DroppedRelease): boolean =>
    plan.dropped.some((planned) => planned.checksum === checksum);
  const dropped = now.dropped.filter(isPlanned);
  if (dropped.length > 0 && now.kept.length > 0) await writeList(bucket, now.kept, signal);
  const remove = (key: string, _: unknown, stop: AbortSignal): Promise<void> =>
    bucket.remove(key, stop);
  await inLanes(keys, bucket.lanes, remove, signal);
  const manifests = dropped.map(({ checksum }) => releaseName(checksum));
  await inLanes(manifests, bucket.lanes, remove, signal);
  const bytes = keys.reduce((sum, key) => sum + (now.sizes.get(key) ?? 0), 0);
  return { ...now, dropped, keys, bytes };
}

/** Where the last `keep` different releases begin. */
function keptFrom(entries: readonly { readonly checksum: string }[], keep: number): number {
  const kept = new Set<string>();
  let start = entries.length;
  for (; start > 0; start--) {
    const { checksum } = entries[start - 1];
    if (!kept.has(checksum) && kept.size === keep) break;
    kept.add(checksum);
  }
  return start;
}

/** undefined: it is not there, or is none. */
async function readManifest(
  bucket: Bucket,
  checksum: string,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const bytes = await bucket.read(releaseName(checksum), signal);
  try {
    return bytes && parseManifest(bytes, bucket.name);
  } catch (error) {
    if (error instanceof PronkError && error.code === "bad_format") return undefined;
    throw error;
  }
}
