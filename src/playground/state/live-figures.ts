/** How fast an answer comes, while it does: by this page's clock, as a person waits. */
import { type Signal, signal } from "@preact/signals";
import type { LlmPart } from "../engine.ts";

/** A rate of fewer tokens says more of the clock than of the model. */
const MIN_TOKENS = 5;

/** How often the rate is shown anew: figures that change faster cannot be read. */
const SHOWN_MS = 250;

export class LiveFigures {
  /** Milliseconds from the question to the first part of the answer. */
  readonly firstTokenMs: Signal<number | undefined> = signal(undefined);
  /** Since the first of them; a part is a token, but for those that wait for the rest of a character. */
  readonly perSecond: Signal<number | undefined> = signal(undefined);
  #begunMs = 0;
  #firstMs = 0;
  #shownMs = 0;
  #tokens = 0;

  begin(): void {
    this.#begunMs = performance.now();
    this.#tokens = 0;
    this.#shownMs = 0;
    this.firstTokenMs.value = undefined;
    this.perSecond.value = undefined;
  }

  count({ logprobs }: LlmPart): void {
    const now = performance.now();
    if (this.#tokens === 0) {
      this.#firstMs = now;
      this.firstTokenMs.value = now - this.#begunMs;
    }
    this.#tokens += logprobs?.length ?? 1;
    if (this.#tokens < MIN_TOKENS || now - this.#shownMs < SHOWN_MS) return;
    this.#shownMs = now;
    this.perSecond.value = ((this.#tokens - 1) / Math.max(now - this.#firstMs, 1)) * 1000;
  }

  /** Of all of the answer; undefined where it was too short. */
  end(): number | undefined {
    this.perSecond.value = undefined;
    if (this.#tokens < MIN_TOKENS) return undefined;
    return ((this.#tokens - 1) / Math.max(performance.now() - this.#firstMs, 1)) * 1000;
  }
}
