/** What decides every byte of the output, as one short hash. */
import { NUMBERS_VERSION } from "../backends/wasm/numbers-version.ts";
import { SAMPLER_VERSION } from "../generate/sampler.ts";
import { sha256 } from "../pack/digest.ts";
import type { OpenedModel } from "./opened-model.ts";

/** Hex digits of a fingerprint: 64 bits. */
const FINGERPRINT_LENGTH = 16;

/** What a model is, whatever runs it: hash(weights, configuration). */
export async function contentsHash(
  model: OpenedModel,
  shardHashes: readonly string[],
): Promise<string> {
  const facts = JSON.stringify([shardHashes, model.config, model.tensors]);
  return (await sha256(new TextEncoder().encode(facts))).slice(0, FINGERPRINT_LENGTH);
}

/**
 * The `system_fingerprint`: hash(weights, configuration, KV cache type, backend, version of the numbers,
 * sampler version). Kernel variants and threads are not in it: they give the same bytes. Of the webgpu backend the
 * shaders' version takes the place of the kernels'; GPUs give about the same numbers, not the same bytes.
 */
export async function fingerprint(
  model: OpenedModel,
  shardHashes: readonly string[],
  run: {
    readonly backend: string;
    readonly kv: string;
    /** Of what computes; default: the kernels'. */
    readonly version?: string;
  },
): Promise<string> {
  const facts = JSON.stringify([
    shardHashes,
    model.config,
    model.tensors,
    run.kv,
    run.backend,
    run.version ?? NUMBERS_VERSION,
    SAMPLER_VERSION,
  ]);
  const hash = await sha256(new TextEncoder().encode(facts));
  return `fp_${hash.slice(0, FINGERPRINT_LENGTH)}`;
}
