/** How many tokens a submit may give a sequence: as many as keep a GPU busy without keeping readers waiting. */
import type { Batch } from "../backend.ts";

/** A submit of so many milliseconds hides what coming back costs, and text still flows. */
const SUBMIT_MS = 25;

const MOST_AHEAD = 32;

/** Of a new figure in the mean. */
const WEIGHT = 0.3;

export class RunAhead {
  #tokenMs: number | undefined;
  #tokens = 1;

  get tokens(): number {
    return this.#tokens;
  }

  /** A submit of so many tokens took so long: the number of the next ones follows, step by step. */
  record(ms: number, tokens: number): void {
    const own = ms / tokens;
    this.#tokenMs =
      this.#tokenMs === undefined ? own : this.#tokenMs + WEIGHT * (own - this.#tokenMs);
    const most = Math.max(1, Math.floor(SUBMIT_MS / this.#tokenMs));
    this.#tokens = Math.min(most, MOST_AHEAD, 2 * this.#tokens);
  }
}

/** The batch of the token that was chosen `step` tokens behind the first. */
export function batchBehind(
  batch: Batch,
  tokens: readonly (readonly number[])[],
  step: number,
): Batch {
  return {
    ids: tokens.map((row) => row[step - 1]),
    spans: batch.spans.map((span) => ({ ...span, start: span.start + step })),
    logitsRows: batch.logitsRows,
    ...(batch.choices && {
      choices: batch.choices.map((choice) =>
        choice?.kind === "draw" ? { ...choice, index: choice.index + step } : choice,
      ),
    }),
  };
}
