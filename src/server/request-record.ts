/** What is known of a request while it is answered: for its log line, its quota and the metrics. */
import type { WorkBudget } from "../engine/work-budget.ts";
import { ANYBODY, type Caller } from "./auth.ts";

export class RequestRecord {
  readonly id: string;
  /** By the monotonic clock. */
  readonly startedMs: number;
  /** Milliseconds since 1970. */
  readonly arrivedMs: number;
  /** As OpenAPI writes it; undefined where no route was found. */
  route: string | undefined;
  caller: Caller = ANYBODY;
  /** What may be computed for it; undefined: anything. */
  work: WorkBudget | undefined;
  promptTokens = 0;
  cachedTokens = 0;
  generatedTokens = 0;
  /** From the request's arrival to its first token. */
  firstTokenMs: number | undefined;
  /** What a stream failed with after it began. */
  error: unknown;
  #isHeld = false;
  #onEnd: (() => void) | undefined;
  readonly #prompts = new Set<readonly number[]>();

  constructor(id: string, startedMs: number, arrivedMs: number) {
    this.id = id;
    this.startedMs = startedMs;
    this.arrivedMs = arrivedMs;
  }

  /** The answer goes on after its handler: it ends with end(). */
  hold(): void {
    this.#isHeld = true;
  }

  /** Calls `run` when the answer has ended. */
  whenEnded(run: () => void): void {
    if (this.#isHeld) this.#onEnd = run;
    else run();
  }

  /** The held answer has ended; again: nothing. */
  end(): void {
    const run = this.#onEnd;
    this.#isHeld = false;
    this.#onEnd = undefined;
    run?.();
  }

  /** Tokens of a prompt, which counts once however many choices it has. */
  addPrompt(ids: readonly number[], cached: number): number {
    if (this.#prompts.has(ids)) return 0;
    this.#prompts.add(ids);
    this.promptTokens += ids.length;
    this.cachedTokens += cached;
    return ids.length;
  }
}
