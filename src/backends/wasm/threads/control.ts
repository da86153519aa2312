/**
 * How threads talk: words in the shared memory, one cache line each, so that none disturbs another.
 * A waiting thread spins first (a barrier between running threads takes 0.2 us) and then sleeps,
 * which costs the one who wakes it 30 us but gives the processor to others.
 */
import { PronkError } from "../../../errors.ts";
import type { Span } from "../../backend.ts";
import type { RunnerOptions } from "../../runner-options.ts";

/** A cache line, in words. */
const LINE = 16;

/** Words, by line. */
const ARRIVED = 0;
const GENERATION = LINE;
const SLEEPERS = 2 * LINE;
const STATE = 3 * LINE;
const BATCH = 4 * LINE;
const TEXT = 5 * LINE;
const TEXT_WORDS = 4 * LINE;
const COMMANDS = TEXT + TEXT_WORDS;

const SPAN_WORDS = 3;

export const ThreadState = { running: 0, stopped: 1, failed: 2 } as const;

/** What of a batch the threads need; ids lie in the plan's own memory. */
export interface Command {
  /** Threads that take part. */
  readonly count: number;
  readonly rows: number;
  /** Rows whose logits are wanted, gathered by the caller. */
  readonly logits: number;
  readonly spans: readonly Span[];
}

/** A batch has one span a slot at most, the rows whose logits are wanted one each at most. */
export function mostSpans({ slots, maxLogits }: RunnerOptions): number {
  return Math.max(slots, maxLogits);
}

/** Bytes of the words for so many threads and spans. */
export function controlBytes(threads: number, spans: number): number {
  return (COMMANDS + threads * LINE + spans * SPAN_WORDS) * 4;
}

export interface WaitOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Whether this thread may sleep; a page's main thread may not. */
  readonly maySleep: boolean;
  /** Milliseconds without an answer after which a barrier gives up. */
  readonly timeoutMs: number;
}

/** Above the cost of falling asleep and being woken, so that waiting costs at most twice its best. */
const SPIN_MS = 0.1;

/** Looks between two looks at the clock: a look takes 1 to 2 ns, the clock 50. */
const SPINS = 500;

/** Where the clock stands still. */
const MAX_SPIN_ROUNDS = 4096;

/** A sleeper looks around so often: a host may only be able to end it then. */
const SLEEP_MS = 1000;

/** Whether this thread may sleep in Atomics.wait. */
export function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

export class Control {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #threads: number;
  readonly #options: WaitOptions;

  /** `address` in bytes, of `controlBytes(threads, spans)`. */
  constructor(
    memory: WebAssembly.Memory,
    address: number,
    threads: number,
    spans: number,
    options: WaitOptions,
  ) {
    const words = controlBytes(threads, spans) / 4;
    this.#words = new Int32Array(memory.buffer, address, words);
    this.#bytes = new Uint8Array(memory.buffer, address, words * 4);
    this.#threads = threads;
    this.#options = options;
  }

  get state(): number {
    return Atomics.load(this.#words, STATE);
  }

  /** What the thread that failed said. */
  get failure(): string {
    const text = this.#bytes.slice(TEXT * 4, (TEXT + TEXT_WORDS) * 4);
    const end = text.indexOf(0);
    return new TextDecoder().decode(text.subarray(0, end < 0 ? text.length : end));
  }

  /** Starts a batch in threads 1 to count - 1. */
  start({ count, rows, logits, spans }: Command): void {
    const words = this.#words;
    words[BATCH] = count;
    words[BATCH + 1] = rows;
    words[BATCH + 2] = logits;
    this.spans = spans;
    for (let index = 1; index < count; index++) this.#signal(index);
  }

  /** The next command for a thread; undefined when it is to end. `seen` is how many it had. */
  next(index: number, seen: number): Command | undefined {
    const word = COMMANDS + index * LINE;
    this.#wait(word, seen, word + 1, Number.POSITIVE_INFINITY);
    if (this.state !== ThreadState.running) return undefined;
    const words = this.#words;
    const [count, rows, logits] = words.subarray(BATCH, BATCH + 3);
    return { count, rows, logits, spans: this.spans };
  }

  /** Of the rows that are run, as last set before a signal or a barrier. */
  get spans(): readonly Span[] {
    const words = this.#words;
    let at = COMMANDS + this.#threads * LINE;
    return Array.from({ length: words[BATCH + 3] }, () => {
      const span = { slot: words[at], start: words[at + 1], count: words[at + 2] };
      at += SPAN_WORDS;
      return span;
    });
  }

  set spans(spans: readonly Span[]) {
    const words = this.#words;
    words[BATCH + 3] = spans.length;
    let at = COMMANDS + this.#threads * LINE;
    for (const { slot, start, count } of spans) {
      words[at++] = slot;
      words[at++] = start;
      words[at++] = count;
    }
  }

  /**
   * Waits until `count` threads are here.
   *
   * @throws PronkError "engine_failed" when one has failed or does not come.
   */
  barrier(count: number): void {
    const generation = Atomics.load(this.#words, GENERATION);
    if (this.arrive(count)) return;
    this.#wait(GENERATION, generation, SLEEPERS, this.#options.timeoutMs);
    if (this.state !== ThreadState.running) this.#throwFailure();
  }

  /** Comes to a barrier without waiting; true for the last one, who opens it. */
  arrive(count: number): boolean {
    const words = this.#words;
    if (Atomics.add(words, ARRIVED, 1) !== count - 1) return false;
    Atomics.store(words, ARRIVED, 0);
    Atomics.add(words, GENERATION, 1);
    if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, GENERATION);
    return true;
  }

  /** Ends the threads: what they wait for will not come. */
  stop(): void {
    this.#end(ThreadState.stopped);
  }

  /** Ends the threads, saying why. */
  fail(why: string): void {
    if (this.state !== ThreadState.running) return;
    const text = new TextEncoder().encode(why).subarray(0, TEXT_WORDS * 4);
    this.#bytes.set(text, TEXT * 4);
    this.#end(ThreadState.failed);
  }

  #end(state: number): void {
    const words = this.#words;
    Atomics.compareExchange(words, STATE, ThreadState.running, state);
    Atomics.notify(words, GENERATION);
    for (let index = 1; index < this.#threads; index++) this.#signal(index);
  }

  #signal(index: number): void {
    const word = COMMANDS + index * LINE;
    Atomics.add(this.#words, word, 1);
    if (Atomics.load(this.#words, word + 1) > 0) Atomics.notify(this.#words, word);
  }

  /** Until the word is no longer `value`, or the threads are to end. */
  #wait(word: number, value: number, sleepers: number, timeoutMs: number): void {
    const words = this.#words;
    const { now, maySleep } = this.#options;
    const started = now();
    for (let round = 0; round < MAX_SPIN_ROUNDS; round++) {
      if (spin(words, word, value)) return;
      if (now() - started > SPIN_MS) break;
    }
    const isOver = (): boolean =>
      Atomics.load(words, word) !== value || this.state !== ThreadState.running;
    if (maySleep) Atomics.add(words, sleepers, 1);
    try {
      while (!isOver()) {
        if (now() - started > timeoutMs) {
          this.fail(`a thread did not answer in ${timeoutMs} ms`);
          return;
        }
        if (maySleep) Atomics.wait(words, word, value, Math.min(SLEEP_MS, timeoutMs));
        else spin(words, word, value);
      }
    } finally {
      if (maySleep) Atomics.sub(words, sleepers, 1);
    }
  }

  #throwFailure(): never {
    const why = this.state === ThreadState.failed ? this.failure : "the threads were stopped";
    throw new PronkError("engine_failed", `threads: ${why}`);
  }
}

function spin(words: Int32Array, word: number, value: number): boolean {
  for (let i = 0; i < SPINS; i++) if (Atomics.load(words, word) !== value) return true;
  return false;
}
