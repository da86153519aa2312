/** What `pronk bench` does and prints, for it and for what is measured beside it. */

/** Of the prompt whose reading is timed, and of the one before the timed decoding. */
export const PREFILL_TOKENS = 512;
export const DECODE_PROMPT_TOKENS = 13;
export const DECODE_STEPS = 128;
export const BENCH_CTX = 768;

/** 37 tokens with SmolLM2's template and its system message. */
export const COLD_QUESTION = "What is the capital of France?";

/** Samples of each figure, by its name. */
export type BenchSamples = Readonly<
  Record<"prefill_tps" | "decode_tps" | "cold_ttft_ms" | "rss_mb", readonly number[]>
>;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Valid ids without meaning; prompts that differ in `first` share no prefix. */
export function benchPrompt(length: number, vocab: number, first = 0): number[] {
  return Array.from({ length }, (_, i) => ((i === 0 ? first : 0) + 7919 * i + 13) % vocab);
}

/** At least one sample. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** What --json prints: `prefill_tps`, `prefill_tps_min`, `prefill_tps_max`, to three places. */
export function benchDocument(
  head: { peer: string; runtime: string; kernel: string; threads: number },
  figures: BenchSamples,
): Record<string, string | number> {
  const round = (value: number): number => Math.round(value * 1000) / 1000;
  const flat = Object.entries(figures).flatMap(([name, samples]) => {
    const { median, min, max } = spreadOf(samples);
    return [
      [name, round(median)],
      [`${name}_min`, round(min)],
      [`${name}_max`, round(max)],
    ];
  });
  return { ...head, ...Object.fromEntries(flat) };
}
