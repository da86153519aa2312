/**
 * Writes a pack: shards in image order, the tokenizer, the manifest last, so that a folder with a
 * manifest is a whole pack. Memory: one shard and the packer's two pieces.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { type Digest, sha256 } from "./digest.ts";
import { type PackEntry, planImage } from "./image-plan.ts";
import {
  MANIFEST_NAME,
  MAX_SHARD_BYTES,
  type Manifest,
  PACK_FORMAT,
  PACK_VERSION,
  type PackedObject,
} from "./manifest.ts";
import { checkManifest, manifestChecksum } from "./manifest-check.ts";
import { type PackProgress, packTensors } from "./packer.ts";
import { objectName, planShards } from "./shards.ts";
import { publicKeyOf, signManifest } from "./signature.ts";
import type { WritableFolder } from "./writable-folder.ts";

/** What a manifest says beyond what packing finds out by itself. */
export type ManifestFields = Pick<
  Manifest,
  "name" | "license" | "config" | "generation_config" | "chat_template" | "quantization" | "source"
>;

export interface WritePackOptions {
  readonly entries: readonly PackEntry[];
  readonly manifest: ManifestFields;
  /** The compiled tokenizer, as the loader will get it back. */
  readonly tokenizer: Uint8Array | null;
  readonly target: WritableFolder;
  /** A multiple of 32. Default and limit: 16 MiB. */
  readonly shardBytes?: number;
  /** Who vouches for it: an Ed25519 key as PKCS #8 in PEM. Default: nobody. */
  readonly signingKey?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PackProgress) => void;
  /** Default: WebCrypto. */
  readonly digest?: Digest;
}

/**
 * Packs the tensors into `target`. Objects that are there already are not written again; objects of
 * an older pack stay, for readers that have its manifest.
 *
 * @throws PronkError as packTensors; "bad_request" on a shard size or tokenizer that does not fit;
 *   "bad_format" when the fields do not make a manifest; and what `target` throws.
 */
export async function writePack(options: WritePackOptions): Promise<Manifest> {
  const { entries, manifest: fields, tokenizer, target, signal, onProgress } = options;
  const { shardBytes = MAX_SHARD_BYTES, digest, signingKey } = options;
  if (signingKey !== undefined) await publicKeyOf(signingKey); // Shows a wrong one before hours of packing.
  if (tokenizer && tokenizer.length > MAX_SHARD_BYTES) {
    throw new PronkError(
      "bad_request",
      `pack: a tokenizer of ${tokenizer.length} bytes, at most ${MAX_SHARD_BYTES}`,
    );
  }
  const plan = planImage(entries);
  const ends = planShards(plan, shardBytes);

  const store = async (bytes: Uint8Array): Promise<PackedObject> => {
    const object: PackedObject = { sha256: await sha256(bytes, digest), bytes: bytes.length };
    const name = objectName(object);
    if (!(await target.exists(name, signal))) await target.write(name, bytes, signal);
    throwIfAborted(signal);
    return object;
  };
  const assemble = (shards: PackedObject[], blob: PackedObject | null): Manifest => ({
    format: PACK_FORMAT,
    version: PACK_VERSION,
    name: fields.name,
    license: fields.license,
    config: fields.config,
    generation_config: fields.generation_config,
    chat_template: fields.chat_template,
    quantization: fields.quantization,
    weight_bytes: plan.weightBytes,
    tensors: plan.tensors,
    shards,
    tokenizer: blob,
    source: fields.source,
  });
  // A manifest that no reader would take is refused before hours of packing, not after.
  checkManifest(assemble(placeholders(ends), null), `${target.name}: ${MANIFEST_NAME}`);

  const shards: PackedObject[] = [];
  const shard = new Uint8Array(Math.min(shardBytes, plan.weightBytes));
  let start = 0;
  await packTensors(
    entries,
    async (offset, bytes) => {
      for (let done = 0; done < bytes.length; ) {
        const end = ends[shards.length];
        const at = offset + done;
        const part = bytes.subarray(done, done + end - at);
        shard.set(part, at - start);
        done += part.length;
        if (at + part.length < end) continue;
        shards.push(await store(shard.subarray(0, end - start)));
        start = end;
      }
    },
    { signal, onProgress },
  );
  const blob = tokenizer && (await store(tokenizer));
  const content = assemble(shards, blob);
  const named = { ...content, checksum: await manifestChecksum(content, digest) };
  const manifest = signingKey === undefined ? named : await signManifest(named, signingKey);
  const json = new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`);
  await target.write(MANIFEST_NAME, json, signal);
  return manifest;
}

/** Shards of the right sizes, for the check of a manifest whose hashes are not known yet. */
function placeholders(ends: readonly number[]): PackedObject[] {
  return ends.map((end, i) => ({ sha256: "0".repeat(64), bytes: end - (ends[i - 1] ?? 0) }));
}
