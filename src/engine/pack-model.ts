/** From a GGUF model or a checkpoint to a pack. */
import type { KvType } from "../backends/backend.ts";
import type { Profile, Quantization } from "../pack/form-choice.ts";
import { checkUsesImportance, type Importance, withImportance } from "../pack/importance.ts";
import type { Manifest } from "../pack/manifest.ts";
import type { PackProgress } from "../pack/packer.ts";
import type { WritableFolder } from "../pack/writable-folder.ts";
import { writePack } from "../pack/write-pack.ts";
import { openSourceInput } from "./open-source-input.ts";
import type { SourceInput } from "./opened-model.ts";

export interface PackOptions {
  readonly id?: string;
  readonly quantization?: Quantization;
  readonly profile?: Profile;
  /** The KV cache that the pack asks for. Default: what belongs to its form. */
  readonly kv?: KvType;
  /** A multiple of 32; at most 16 MiB, the default. */
  readonly shardBytes?: number;
  /** SHA-256 of the source file, for the manifest, when it is known. */
  readonly sourceSha256?: string;
  /** SPDX expression, when the file does not say. */
  readonly license?: string;
  /** Guides what is quantized anew to 4 or 6 bits; called when there is such a matrix. */
  readonly importance?: () => Promise<Importance>;
  /** Who vouches for the pack: an Ed25519 key as PKCS #8 in PEM. Default: nobody. */
  readonly signingKey?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PackProgress) => void;
}

/**
 * Writes a GGUF model or a checkpoint as a pack.
 *
 * @throws PronkError as planModel; "bad_request" for importance that nothing would use; and what the
 *   target throws.
 */
export async function packModel(
  input: SourceInput,
  target: WritableFolder,
  options: PackOptions = {},
): Promise<Manifest> {
  const { quantization = "auto", profile = "default", signal, onProgress, shardBytes } = options;
  const model = await openSourceInput(input, { quantization, profile, id: options.id }, signal);
  const { facts } = model;
  let { entries } = model;
  if (options.importance) {
    checkUsesImportance(entries);
    entries = withImportance(entries, await options.importance());
  }
  return writePack({
    entries,
    manifest: {
      ...facts,
      quantization: { ...facts.quantization, ...(options.kv && { kv: options.kv }) },
      license: facts.license ?? options.license ?? null,
      config: model.manifestConfig,
      source: { ...facts.source, sha256: options.sourceSha256 ?? null },
    },
    tokenizer: await model.compileTokenizer(signal),
    target,
    shardBytes,
    ...(options.signingKey !== undefined && { signingKey: options.signingKey }),
    signal,
    onProgress,
  });
}
