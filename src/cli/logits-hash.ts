/**
 * One hash over a model's logits: 700 prompt positions, then 16 greedy steps. The same on every
 * runtime, kernel, chunk and batch size, or something is not exact.
 */
import type { Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";

/** Positions of the prompt, and greedy steps after it. */
export const HASH_PROMPT_TOKENS = 700;
export const HASH_STEPS = 16;

/** The smallest context that the run fits in: a multiple of the kernels' tile of 8. */
export const HASH_CTX = 720;

/** An incremental SHA-256: node:crypto, or DigestStream in Workers. */
export interface Hasher {
  /** `bytes` may change once the promise has settled. */
  update(bytes: Uint8Array): void | Promise<void>;
  /** Lower-case hex. */
  digest(): Promise<string>;
}

export interface LogitsHash {
  readonly logits_sha256: string;
  /** The greedy tokens. */
  readonly ids: number[];
}

export interface LogitsHashOptions {
  /** Positions of the prompt in a batch. */
  readonly chunk: number;
  /** Copies of the sequence in one batch, in as many slots; all must be equal. */
  readonly batch: number;
  readonly yieldTask: () => Promise<void>;
  readonly signal?: AbortSignal;
}

/**
 * SHA-256 over the little-endian f32 logits. Needs a runner with HASH_CTX positions, `batch` slots,
 * and batch * chunk rows and rows of logits.
 *
 * @throws PronkError "engine_failed" when copies of the sequence differ; "aborted".
 */
export async function hashLogits(
  runner: Runner,
  hasher: Hasher,
  options: LogitsHashOptions,
): Promise<LogitsHash> {
  const { chunk, batch, signal } = options;
  const prompt = Array.from(
    { length: HASH_PROMPT_TOKENS },
    (_, i) => (7919 * i + 13) % runner.vocab,
  );

  /** The same tokens in every slot; hashes the first slot's logits. */
  const run = async (ids: readonly number[], start: number): Promise<void> => {
    const count = ids.length;
    const rows = batch * count;
    await runner.forward({
      ids: Array.from({ length: rows }, (_, row) => ids[row % count]),
      spans: Array.from({ length: batch }, (_, slot) => ({ slot, start, count })),
      logitsRows: Array.from({ length: rows }, (_, row) => row),
    });
    for (let i = 0; i < count; i++) {
      const logits = bytesOf(runner.logits(i));
      for (let slot = 1; slot < batch; slot++) {
        if (!isEqual(logits, bytesOf(runner.logits(slot * count + i)))) {
          const where = `slot ${slot} at position ${start + i}`;
          throw new PronkError(
            "engine_failed",
            `hash: the logits of ${where} differ from slot 0's`,
          );
        }
      }
      await hasher.update(logits);
    }
    signal?.throwIfAborted();
    await options.yieldTask();
  };

  let last = 0;
  for (let start = 0; start < HASH_PROMPT_TOKENS; start += chunk) {
    const ids = prompt.slice(start, start + chunk);
    await run(ids, start);
    last = ids.length - 1;
  }
  const ids: number[] = [];
  for (let step = 0; step < HASH_STEPS; step++) {
    ids.push(runner.argmax(step === 0 ? last : 0));
    await run(ids.slice(-1), HASH_PROMPT_TOKENS + step);
  }
  return { logits_sha256: await hasher.digest(), ids };
}

function bytesOf(logits: Float32Array): Uint8Array {
  return new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
