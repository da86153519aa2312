// The work of `pronk bench` for anything that generates: in pages and in Node.
import {
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
} from "../../../dist/src/cli/bench-workload.js";

/**
 * Prefill and decode in tokens a second, one sample a repetition; a first round warms up.
 *
 * A generator has `vocab` and `generate(ids, tokens)`, which resolves to `{ firstMs, restMs }`: the
 * time to the first token, and from it to the last.
 */
export async function measureGenerator({ vocab, generate }, reps) {
  const prefill = [];
  const decode = [];
  for (let rep = 0; rep <= reps; rep++) {
    const read = await generate(benchPrompt(PREFILL_TOKENS, vocab, rep), 1);
    const steps = await generate(benchPrompt(DECODE_PROMPT_TOKENS, vocab), DECODE_STEPS + 1);
    if (rep === 0) continue;
    prefill.push((PREFILL_TOKENS * 1000) / read.firstMs);
    decode.push((DECODE_STEPS * 1000) / steps.restMs);
  }
  return { prefill, decode };
}

/** Times tokens as they come: `token()` once for each, then `times()`. */
export function stopwatch(now = () => performance.now()) {
  const started = now();
  let first;
  let last;
  let count = 0;
  return {
    token() {
      last = now();
      first ??= last;
      count += 1;
    },
    /** @throws Error when there were others than so many tokens. */
    times(tokens) {
      if (count !== tokens) throw new Error(`${count} tokens came, ${tokens} were asked for`);
      return { firstMs: first - started, restMs: last - first };
    },
  };
}
