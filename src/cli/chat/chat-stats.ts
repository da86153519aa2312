/** The figures of an answer, for people: a line; and how full the context is, as a bar. */
import type { Timings } from "../../generate/request.ts";

const BAR_CHARS = 20;

export interface AnswerFigures {
  readonly timings: Timings;
  /** Tokens of the answer, and of all that was read for it. */
  readonly tokens: number;
  readonly promptTokens: number;
  /** From the message to the first text, in ms; undefined where there was none. */
  readonly firstMs: number | undefined;
  /** Ended by its limit, or by the context. */
  readonly isCut: boolean;
}

/** `41 tokens, 62.4 a second, the first after 120 ms; prompt 310, 280 of them cached` */
export function figuresLine(figures: AnswerFigures): string {
  const { timings, tokens, promptTokens, firstMs, isCut } = figures;
  const { predicted_n, predicted_ms, cached_n } = timings;
  const speed =
    predicted_ms > 0 ? `, ${((predicted_n * 1000) / predicted_ms).toFixed(1)} a second` : "";
  const first = firstMs === undefined ? "" : `, the first after ${firstMs.toFixed(0)} ms`;
  const cut = isCut ? " (ended by max_new_tokens or the context)" : "";
  const cached = cached_n > 0 ? `, ${count(cached_n)} of them cached` : "";
  return `${count(tokens)} tokens${cut}${speed}${first}; prompt ${count(promptTokens)}${cached}`;
}

/** `[####................] 351 of 2,048 tokens` */
export function contextBar(used: number, ctx: number): string {
  const full = Math.min(BAR_CHARS, Math.ceil((used / ctx) * BAR_CHARS));
  const bar = "#".repeat(full) + ".".repeat(BAR_CHARS - full);
  return `[${bar}] ${count(used)} of ${count(ctx)} tokens`;
}

/** With commas, whatever the system's language is. */
function count(n: number): string {
  return n.toLocaleString("en-US");
}
