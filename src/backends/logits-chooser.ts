/** The chooser of a runner that has all logits at hand: what those that do not are compared with. */
import { PronkError } from "../errors.ts";
import type { Batch, Chooser, LargestLogits, RowChoice } from "./backend.ts";
import { argmaxOf, drawToken, largestLogits } from "./row-choices.ts";

export class LogitsChooser implements Chooser {
  readonly ahead: number;
  readonly most: number;
  readonly #logits: (index: number) => Float32Array;
  #choices: readonly (RowChoice | undefined)[] = [];
  /** Of each row. */
  #chosen: number[][] = [];

  /** @param logits of all rows of the batch that `run` is at. */
  constructor(
    logits: (index: number) => Float32Array,
    { ahead, most }: Pick<Chooser, "ahead" | "most">,
  ) {
    this.#logits = logits;
    this.ahead = ahead;
    this.most = most;
  }

  /** A batch, checked, and what it runs ahead, each by a batch of its own. */
  run(batch: Batch, forward: (batch: Batch) => void): void {
    const { choices = [], ahead = 1, logitsRows } = batch;
    this.#choices = choices;
    this.#chosen = choices.map(() => []);
    forward(batch);
    this.#choose(0);
    for (let step = 1; step < ahead; step++) {
      const ids = this.#chosen.map((tokens) => tokens[step - 1]);
      const spans = batch.spans.map((span) => ({ ...span, start: span.start + step }));
      forward({ ids, spans, logitsRows });
      this.#choose(step);
    }
  }

  /** Tokens, where they are asked for: `step` behind the first. */
  #choose(step: number): void {
    for (const [i, choice] of this.#choices.entries()) {
      if (choice === undefined || choice.kind === "largest") continue;
      const logits = this.#logits(i);
      const token =
        choice.kind === "argmax"
          ? argmaxOf(logits)
          : drawToken(logits, { ...choice, index: choice.index + step });
      this.#chosen[i].push(token);
    }
  }

  chosen(index: number): readonly number[] {
    const chosen = this.#chosen[index] ?? [];
    if (chosen.length > 0) return chosen;
    throw new PronkError("bad_request", `choice ${index}: no token was asked`);
  }

  largest(index: number): LargestLogits {
    const choice = this.#choices[index];
    if (choice?.kind === "largest") return largestLogits(this.#logits(index), choice);
    throw new PronkError("bad_request", `choice ${index}: no largest were asked`);
  }

  /** @throws PronkError "bad_request" where something else was asked: others do not have them then. */
  checkLogits(index: number): void {
    const choice = this.#choices[index];
    if (choice === undefined || (choice.kind === "draw" && choice.logits)) return;
    throw new PronkError("bad_request", `logits ${index}: a choice was asked`);
  }
}
