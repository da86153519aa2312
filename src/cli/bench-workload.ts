/** What `pronk bench` does and prints, for it and for what is measured beside it. */

/** Of the prompt whose reading is timed, and of the one before the timed decoding. */
export const PREFILL_TOKENS = 512;
export const DECODE_PROMPT_TOKENS = 13;
export const DECODE_STEPS = 128;
export const BENCH_CTX = 768;

/** Of --contexts: at each depth the prompt's last tokens are timed, then steps that end there. */
export const CONTEXT_CHUNK = 128;
export const CONTEXT_STEPS = 32;

/** 37 tokens with SmolLM2's template and its system message. */
export const COLD_QUESTION = "What is the capital of France?";

/** Samples of each figure, by its name. */
export type BenchSamples = Readonly<
  Record<"prefill_tps" | "decode_tps" | "cold_ttft_ms" | "rss_mb", readonly number[]> & {
    /** Of the processes of cold_ttft_ms; where the system tells. */
    cold_rss_mb?: readonly number[];
  }
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

/**
 * How one depth is measured: `fill` tokens that are not timed, a timed chunk, then CONTEXT_STEPS
 * steps, the last of which has `positions` tokens before it and itself.
 *
 * @param positions more than CONTEXT_STEPS.
 */
export function contextWork(positions: number): { fill: number; chunk: number } {
  const prompt = positions - CONTEXT_STEPS;
  const chunk = Math.min(CONTEXT_CHUNK, prompt);
  return { fill: prompt - chunk, chunk };
}

/** Prompts of all depths and repetitions are the same up to their timed chunk, and differ from there. */
export function contextPrompt(positions: number, vocab: number, rep: number): number[] {
  const { fill, chunk } = contextWork(positions);
  const ids = benchPrompt(fill + chunk, vocab);
  ids[fill] = (ids[fill] + 1 + rep) % vocab;
  return ids;
}

/** Who measured: the fields that every document of a bench begins with. */
export interface BenchHead {
  readonly peer: string;
  readonly runtime: string;
  readonly kernel: string;
  /** Why these kernels, where they were chosen. */
  readonly kernel_reason?: string | undefined;
  /** Of decoding, at the end. */
  readonly threads: number;
  /** Why so many, where several were asked for. */
  readonly threads_reason?: string | undefined;
}

type Figures = Record<string, string | number>;

/** What --json prints: `prefill_tps`, `prefill_tps_min`, `prefill_tps_max`, to three places. */
export function benchDocument(head: BenchHead, figures: BenchSamples): Figures {
  return { ...head, ...flatFigures(figures) } as Figures;
}

/** What --contexts prints: of each depth the samples of its chunk and steps, likewise. */
export function contextsDocument(
  head: BenchHead,
  contexts: readonly { positions: number; prefill_tps: number[]; decode_tps: number[] }[],
): BenchHead & { contexts: Figures[] } {
  const flat = contexts.map(({ positions, ...figures }) => ({
    positions,
    ...flatFigures(figures),
  }));
  return { ...head, contexts: flat };
}

function flatFigures(figures: Readonly<Record<string, readonly number[]>>): Figures {
  const round = (value: number): number => Math.round(value * 1000) / 1000;
  const flat = Object.entries(figures).flatMap(([name, samples]) => {
    const { median, min, max } = spreadOf(samples);
    return [
      [name, round(median)],
      [`${name}_min`, round(min)],
      [`${name}_max`, round(max)],
    ];
  });
  return Object.fromEntries(flat);
}
