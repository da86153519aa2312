/** What decides every byte of the output, as one short hash. */
import { KERNEL_VERSION } from "../backends/wasm/kernels.gen.ts";
import { SAMPLER_VERSION } from "../generate/sampler.ts";
import { sha256 } from "../pack/digest.ts";
import type { OpenedModel } from "./opened-model.ts";

/** Hex digits of a fingerprint: 64 bits. */
const FINGERPRINT_LENGTH = 16;

/**
 * The `system_fingerprint`: hash(weights, configuration, KV cache type, backend, kernel version,
 * sampler version). Kernel variants and threads are not in it: they give the same bytes.
 */
export async function fingerprint(
  model: OpenedModel,
  shardHashes: readonly string[],
  run: { readonly backend: string; readonly kv: string },
): Promise<string> {
  const facts = JSON.stringify([
    shardHashes,
    model.config,
    model.tensors,
    run.kv,
    run.backend,
    KERNEL_VERSION,
    SAMPLER_VERSION,
  ]);
  const hash = await sha256(new TextEncoder().encode(facts));
  return `fp_${hash.slice(0, FINGERPRINT_LENGTH)}`;
}
