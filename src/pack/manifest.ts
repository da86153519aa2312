/**
 * The deployable form of a model: `manifest.json`, and shards named by their SHA-256.
 *
 * The tensors form one image, in the kernels' own layout; shards are its consecutive slices, so
 * loading is a copy. Other data (the compiled tokenizer) are blobs of their own.
 * Described by docs/pack-format.md and docs/pack-manifest.schema.json.
 */
import type { WeightForm } from "./forms.ts";

export const PACK_FORMAT = "pronk-pack";
export const PACK_VERSION = 1;
export const MANIFEST_NAME = "manifest.json";

/** Fits every object store, Workers' Static Assets (25 MiB) among them. */
export const MAX_SHARD_BYTES: number = 16 * 1024 * 1024;

export interface PackedObject {
  /** Lower-case hex; the object's name is this with `.bin` behind it. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface PackedTensor {
  /** Hugging Face's name: `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  readonly form: WeightForm;
  /** [rows, cols], or [length] of a vector. */
  readonly shape: readonly number[];
  /** Where it starts in the image. */
  readonly offset: number;
  readonly bytes: number;
  /** Of a form that keeps every value: the 16-bit type that the source had, where the form has 32. */
  readonly dtype?: "F16" | "BF16";
}

export interface Manifest {
  readonly format: typeof PACK_FORMAT;
  readonly version: typeof PACK_VERSION;
  /** What the model is called: `smollm2-135m-instruct`. */
  readonly name: string;
  /** SPDX expression or the file's own words; null when the source does not say. */
  readonly license: string | null;
  /** Hugging Face's config.json, as data. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Hugging Face's generation_config.json, as data: eos_token_id and the like. */
  readonly generation_config: Readonly<Record<string, unknown>>;
  /** Jinja source; null when the source file has none. */
  readonly chat_template: string | null;
  readonly quantization: {
    /** What was asked: auto, none, q4, q8, f16, f32. */
    readonly requested: string;
    /** default, or small (6-bit head, 8-bit KV cache). */
    readonly profile: "default" | "small";
    /** The KV cache type that this form was measured with. */
    readonly kv: "int16" | "int8" | "bf16" | "f32";
  };
  /** Bytes of the image. */
  readonly weight_bytes: number;
  /** In image order. */
  readonly tensors: readonly PackedTensor[];
  /** Consecutive slices of the image. */
  readonly shards: readonly PackedObject[];
  readonly tokenizer: PackedObject | null;
  readonly source: {
    /** File name only, never a path. */
    readonly name: string;
    readonly bytes: number;
    readonly sha256: string | null;
  };
  /**
   * SHA-256, in lower-case hex, of this manifest without this field and the next, as JSON.stringify writes it.
   * Names the pack: it changes with every byte of weights, tokenizer and configuration. Absent in
   * manifests that were edited by hand.
   */
  readonly checksum?: string;
  /** Who vouches for all of it; absent where nobody does. */
  readonly signature?: PackSignature;
}

/** Ed25519, over the checksum. */
export interface PackSignature {
  /** Whose: `ed25519:` and 32 bytes in base64url. */
  readonly public_key: string;
  /** 64 bytes in base64url. */
  readonly value: string;
}
