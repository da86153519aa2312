/** How prefill and decode slow down with depth: the same chunk and steps at chosen positions. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { CONTEXT_STEPS, contextPrompt, contextWork } from "./bench-workload.ts";

/** Samples at one depth. */
export interface ContextSamples {
  readonly positions: number;
  readonly prefill_tps: number[];
  readonly decode_tps: number[];
}

/**
 * Fills the cache once, depth by depth; each repetition reads its depth's last chunk and decodes.
 *
 * @param engine of one slot, so that a prompt finds the cache of the one before it.
 * @param depths positions, ascending.
 * @param onRound before each of depths x (reps + 1) rounds, outside of what is timed.
 */
export async function measureContexts(
  engine: Engine,
  depths: readonly number[],
  reps: number,
  signal: AbortSignal,
  onRound?: () => void,
): Promise<ContextSamples[]> {
  const samples: ContextSamples[] = [];
  for (const positions of depths) {
    const { fill, chunk } = contextWork(positions);
    const at: ContextSamples = { positions, prefill_tps: [], decode_tps: [] };
    // The first round fills the cache, and is the engine's compiler's.
    for (let rep = 0; rep <= reps; rep++) {
      onRound?.();
      const prompt_ids = contextPrompt(positions, engine.info.vocab, rep);
      const cached = engine.stats().cached_tokens;
      const { chunkMs, stepsMs } = await time(engine, prompt_ids, signal);
      if (rep === 0) continue;
      const reused = engine.stats().cached_tokens - cached;
      if (reused !== fill) {
        throw new PronkError(
          "engine_failed",
          `bench: ${reused} tokens of ${fill} were in the cache`,
        );
      }
      at.prefill_tps.push((chunk * 1000) / chunkMs);
      at.decode_tps.push((CONTEXT_STEPS * 1000) / stepsMs);
    }
    samples.push(at);
  }
  return samples;
}

/** Milliseconds to the first token, and of the steps after it. */
async function time(
  engine: Engine,
  prompt_ids: number[],
  signal: AbortSignal,
): Promise<{ chunkMs: number; stepsMs: number }> {
  const request = { prompt_ids, max_tokens: CONTEXT_STEPS + 1, temperature: 0, ignore_eos: true };
  const started = performance.now();
  let first = 0;
  let last = 0;
  for await (const _ of engine.stream(request, { signal })) {
    last = performance.now();
    first ||= last;
  }
  return { chunkMs: first - started, stepsMs: last - first };
}
