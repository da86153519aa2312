/**
 * One hash over a model's logits: 700 prompt positions, then 16 greedy steps. The same on every
 * runtime, kernel, chunk and batch size, or something is not exact.
 */
import type { Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";

/** Positions of the prompt unless told otherwise, and greedy steps after it. */
export const HASH_PROMPT_TOKENS = 700;
export const HASH_STEPS = 16;

/** The smallest context that the run fits in: a multiple of the kernels' tile of 8. */
export const HASH_CTX = 720;

/**
 * Tokens of a batch of the verified steps, and how many of the proposals in it are right: each batch
 * takes the next of them, in turns. The others are written to the cache and have to leave no trace.
 */
const VERIFIED_ROWS = 6;
const RIGHT_PROPOSALS = [0, 5, 2, 1, 4, 3];

/** Positions behind the prompt for them. */
const VERIFIED_POSITIONS = HASH_CTX - HASH_PROMPT_TOKENS;

/** Rows, and rows of logits, that a runner needs for these options. */
export function hashRows(
  options: Pick<LogitsHashOptions, "chunk" | "batch" | "speculate">,
): number {
  const { chunk, batch, speculate } = options;
  return batch * Math.max(chunk, speculate ? VERIFIED_ROWS : 1);
}

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
  /** Of the prompt: 1 to 700, which is the default. Each has a hash of its own. */
  readonly positions?: number;
  /** Positions of the prompt in a batch. */
  readonly chunk: number;
  /** Copies of the sequence in one batch, in as many slots; all must be equal. */
  readonly batch: number;
  /** Run the greedy steps ahead in batches, with right and wrong proposals. */
  readonly speculate: boolean;
  readonly yieldTask: () => Promise<void>;
  readonly signal?: AbortSignal;
}

/**
 * SHA-256 over the little-endian f32 logits. Needs a runner with HASH_CTX positions, `batch` slots,
 * and hashRows rows and rows of logits.
 *
 * @throws PronkError "engine_failed" when copies of the sequence differ; "aborted".
 */
export async function hashLogits(
  runner: Runner,
  hasher: Hasher,
  options: LogitsHashOptions,
): Promise<LogitsHash> {
  const { positions = HASH_PROMPT_TOKENS, chunk, batch, speculate, signal } = options;
  const prompt = Array.from({ length: positions }, (_, i) => (7919 * i + 13) % runner.vocab);

  /** The same tokens in every slot; hashes the first slot's first `hashed` rows of logits. */
  const run = async (
    ids: readonly number[],
    start: number,
    hashed: number = ids.length,
  ): Promise<void> => {
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
      if (i < hashed) await hasher.update(logits);
    }
    signal?.throwIfAborted();
    await options.yieldTask();
  };

  let last = 0;
  for (let start = 0; start < positions; start += chunk) {
    const ids = prompt.slice(start, start + chunk);
    await run(ids, start);
    last = ids.length - 1;
  }
  const ids = [runner.argmax(last)];
  /** Runs steps one by one; without `hashed`, only to know their tokens. */
  const steps = async (hashed: boolean): Promise<void> => {
    for (let step = 0; step < HASH_STEPS; step++) {
      await run(ids.slice(step, step + 1), positions + step, hashed ? 1 : 0);
      if (ids.length < HASH_STEPS) ids.push(runner.argmax(0));
    }
  };
  await steps(!speculate);
  if (speculate) await verifySteps(ids, positions, runner.vocab, run);
  return { logits_sha256: await hasher.digest(), ids };
}

/** The steps once more, over a cache that holds wrong tokens: in batches of proposals. */
async function verifySteps(
  known: readonly number[],
  first: number,
  vocab: number,
  run: (ids: readonly number[], start: number, hashed: number) => Promise<void>,
): Promise<void> {
  const wrong = (id: number): number => (id + 1) % vocab;
  for (let at = 0; at < VERIFIED_POSITIONS; at += VERIFIED_ROWS) {
    const count = Math.min(VERIFIED_ROWS, VERIFIED_POSITIONS - at);
    await run(
      Array.from({ length: count }, (_, i) => wrong(i)),
      first + at,
      0,
    );
  }
  for (let step = 0, batch = 0; step < HASH_STEPS; batch++) {
    const right = 1 + RIGHT_PROPOSALS[batch % RIGHT_PROPOSALS.length];
    const rows = Math.min(VERIFIED_ROWS, VERIFIED_POSITIONS - step);
    const ids = Array.from({ length: rows }, (_, i) => {
      const id = known[step + i] ?? 0;
      return i < right ? id : wrong(id);
    });
    const accepted = Math.min(right, HASH_STEPS - step, rows);
    await run(ids, first + step, accepted);
    step += accepted;
  }
}

function bytesOf(logits: Float32Array): Uint8Array {
  return new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
