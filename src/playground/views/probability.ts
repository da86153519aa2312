/** Log-probabilities as people read them. */

/** Ranges of probability, from likely to surprising, and where each begins; the page colours by them. */
const LEVELS = [0.9, 0.6, 0.3, 0.1] as const;

/** 0, as good as certain, to 4, surprising. */
export function surpriseLevel(logprob: number): number {
  const probability = Math.exp(logprob);
  const level = LEVELS.findIndex((least) => probability >= least);
  return level === -1 ? LEVELS.length : level;
}

/** What a level's tokens have, for the legend. */
export const LEVEL_NAMES: readonly string[] = ["≥ 90 %", "≥ 60 %", "≥ 30 %", "≥ 10 %", "< 10 %"];

/** `93.4 %`; never 0 or 100 for what is neither. */
export function percent(logprob: number): string {
  const value = 100 * Math.exp(logprob);
  if (value >= 99.95) return logprob === 0 ? "100 %" : "> 99.9 %";
  if (value < 0.05) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}
