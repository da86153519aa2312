/**
 * The threads beside the caller's, from their start to their end. A thread that does not start, or
 * ends between two batches, costs speed only: the rest runs on one. One that ends within a batch
 * leaves memory half written: that batch fails, and the runner with it.
 */
import { PronkError } from "../../../errors.ts";
import type { Span, ThreadUse } from "../../backend.ts";
import type { LoweringInput } from "../lower.ts";
import { Control, maySleep, mostSpans, ThreadState } from "./control.ts";
import type { ThreadAnswer, ThreadStart } from "./serve-thread.ts";
import { ThreadChoice } from "./thread-choice.ts";
import type { Thread, ThreadHost } from "./thread-host.ts";
import { lowerPart, runPart, type ThreadProgram } from "./thread-program.ts";

/** A thread starts in 50 ms; on a machine at its limit, in seconds. */
const START_TIMEOUT_MS = 20_000;

/**
 * Between two barriers lies one product at most, a few milliseconds: what takes longer than this has
 * died, and a batch that waits for it must not hang.
 */
const BARRIER_TIMEOUT_MS = 60_000;

export interface ThreadOptions {
  /** All of them for every batch, whether that pays or not. Default: as measured. */
  readonly fixed?: boolean | undefined;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly startTimeoutMs?: number | undefined;
  readonly barrierTimeoutMs?: number | undefined;
}

export class ThreadPool {
  /** Settles when all threads listen, or it is known that they will not; never rejects. */
  readonly ready: Promise<void>;

  readonly #threads: number;
  readonly #control: Control;
  readonly #choice: ThreadChoice | undefined;
  readonly #now: () => number;
  readonly #running: Thread[] = [];
  readonly #input: LoweringInput;
  readonly #programs = new Map<number, ThreadProgram>();
  #isReady = false;
  #isOver = false;
  /** Why one thread is all there is. */
  #lost: string | undefined;

  constructor(
    host: ThreadHost,
    input: LoweringInput,
    start: Omit<ThreadStart, "index" | "threads" | "timeoutMs">,
    options: ThreadOptions,
  ) {
    const { fixed, now, startTimeoutMs = START_TIMEOUT_MS } = options;
    const { barrierTimeoutMs: timeoutMs = BARRIER_TIMEOUT_MS } = options;
    const { layout, memory } = start;
    this.#threads = layout.threads.length + 1;
    this.#input = input;
    this.#choice = fixed ? undefined : new ThreadChoice(this.#threads);
    this.#now = now;
    this.#control = new Control(memory, layout.control, this.#threads, mostSpans(start.options), {
      now,
      maySleep: maySleep(),
      timeoutMs,
    });
    this.ready = this.#start(host, { ...start, threads: this.#threads, timeoutMs }, startTimeoutMs);
  }

  /** Threads for a batch of so many rows. */
  next(rows: number): number {
    if (!this.#isReady || this.#lost !== undefined) return 1;
    return this.#choice ? this.#choice.next(rows) : this.#threads;
  }

  /**
   * Runs the plan's steps on `count` threads, and its head over the `wanted` rows, if any, which
   * `gather` moves to the front in between.
   *
   * @throws PronkError "engine_failed"; what a kernel throws. The threads have ended then.
   */
  run(
    count: number,
    rows: number,
    spans: readonly Span[],
    wanted: readonly Span[],
    gather: () => void,
  ): void {
    const control = this.#control;
    const { steps, head } = this.#program(count);
    const part = { index: 0, count };
    try {
      const logits = wanted.reduce((sum, span) => sum + span.count, 0);
      control.start({ count, rows, logits, spans });
      runPart(steps, rows, spans, part);
      if (logits > 0) {
        control.barrier(count);
        gather();
        control.spans = wanted;
        control.barrier(count);
        runPart(head, logits, wanted, part);
      }
      control.barrier(count);
    } catch (error) {
      control.fail(String(error));
      this.#end();
      throw error;
    }
  }

  /** Measures `work`, which ran on `count` threads. */
  timed(rows: number, count: number, work: () => void): void {
    if (!this.#choice || !this.#isReady || this.#lost !== undefined) {
      work();
      return;
    }
    const started = this.#now();
    work();
    this.#choice.record(rows, count, this.#now() - started);
  }

  get use(): ThreadUse {
    if (this.#lost !== undefined) return { asked: this.#threads, used: 1, reason: this.#lost };
    const { decoding = this.#threads, reason = "as asked for" } = this.#choice ?? {};
    return { asked: this.#threads, used: this.#isReady ? decoding : 1, reason };
  }

  dispose(): void {
    this.#control.stop();
    this.#end();
    this.#lost ??= "disposed";
  }

  async #start(
    host: ThreadHost,
    start: Omit<ThreadStart, "index">,
    timeoutMs: number,
  ): Promise<void> {
    let late: ReturnType<typeof setTimeout> | undefined;
    try {
      const limit = new Promise<never>((_, reject) => {
        const error = new PronkError("engine_failed", `not started in ${timeoutMs} ms`);
        late = setTimeout(() => reject(error), timeoutMs);
      });
      const starting = Array.from({ length: this.#threads - 1 }, (_, i) =>
        this.#spawn(host, { ...start, index: i + 1 }),
      );
      await Promise.race([Promise.all(starting), limit]);
      for (const thread of this.#running) thread.unref?.();
      this.#isReady = true;
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(late);
    }
  }

  /** Resolves when it listens. */
  #spawn(host: ThreadHost, start: ThreadStart): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (why: string): void => {
        const reason = `thread ${start.index}: ${why}`;
        reject(new Error(reason));
        if (!this.#isOver) this.#lose(reason);
      };
      const thread = host.spawn({
        onMessage: (message) => {
          const answer = message as ThreadAnswer;
          if ("ready" in answer) return resolve();
          // It is done; a host may keep its process for it.
          thread.terminate();
          ended(answer.ended);
        },
        onEnd: ended,
      });
      this.#running.push(thread);
      thread.post(start);
    });
  }

  /** Goes on with one thread. */
  #lose(why: string): void {
    this.#lost ??= why;
    if (this.#control.state === ThreadState.running) this.#control.fail(why);
    this.#end();
  }

  /** They end by themselves; where one cannot any more, the host does it. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const thread of this.#running) if (!this.#isReady) thread.terminate();
  }

  #program(count: number): ThreadProgram {
    let program = this.#programs.get(count);
    if (!program) {
      const barrier = (): void => this.#control.barrier(count);
      program = lowerPart(this.#input, { index: 0, count }, barrier);
      this.#programs.set(count, program);
    }
    return program;
  }
}
