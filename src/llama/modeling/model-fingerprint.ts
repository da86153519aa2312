/** What tells whether keys and values of one model are those of another. */
import type { Runner } from "../../backends/backend.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { sha256 } from "../../pack/digest.ts";

/** Weights are hashed in pieces: WebCrypto copies what it hashes. */
const HASHED_BYTES = 16 * 1024 * 1024;

/** Weights of a runner do not change once they are loaded, but for a padding token's row. */
const known = new WeakMap<Runner, string>();

/** SHA-256 of all that keys and values follow from: weights, configuration, backend, type of the cache. */
export async function modelFingerprint(runner: Runner, config: LlamaConfig): Promise<string> {
  const found = known.get(runner);
  if (found !== undefined) return found;
  const { backend, kv, weights } = runner;
  // The vocabulary's size is the weights'.
  const { vocab_size: _, ...others } = config;
  const facts = [JSON.stringify(others), backend, kv];
  for (let at = 0; at < weights.length; at += HASHED_BYTES) {
    facts.push(await sha256(weights.subarray(at, at + HASHED_BYTES)));
  }
  const fingerprint = await sha256(new TextEncoder().encode(facts.join("\n")));
  known.set(runner, fingerprint);
  return fingerprint;
}
