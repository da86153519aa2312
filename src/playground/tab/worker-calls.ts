/**
 * The page's side of the calls: a worker that is started when it is first needed, and again after it has died.
 *
 * A worker that traps answers with an error and lives on. One whose script cannot be loaded, that throws outside of any
 * call, or that says nothing for a minute is given up: every call that waits for it fails, and the next call starts
 * another.
 */
import { PronkError } from "../../errors.ts";
import { type AnswerMessage, type CallMessage, fromErrorMessage } from "./worker-messages.ts";

/** What is used of a Worker. */
export interface WorkerLike {
  postMessage(message: CallMessage, transfer?: never[]): void;
  terminate(): void;
  addEventListener(type: string, listener: (event: never) => void): void;
}

export interface WorkerCallsOptions {
  readonly spawn: () => WorkerLike;
  /** Called when a worker was given up, with why. */
  readonly onDeath?: (error: PronkError) => void;
  /** Without any sign of life, while it is asked something. Default 60 s. */
  readonly silenceMs?: number;
}

/** Between two batches a worker answers at once; a batch of the largest model takes seconds on a phone. */
const SILENCE_MS = 60_000;

/** A worker that is asked something says something this often, be it only that it lives. */
const LIFE_SIGN_MS = 5_000;

/** The method that is asked for a sign of life. */
export const PING = "ping";

interface Waiting {
  part(part: unknown): void;
  end(value: unknown): void;
  fail(error: unknown): void;
}

export class WorkerCalls {
  readonly #options: WorkerCallsOptions;
  readonly #waiting: Map<number, Waiting> = new Map();
  #worker: WorkerLike | undefined;
  #last = 0;
  #heard = 0;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: WorkerCallsOptions) {
    this.#options = options;
  }

  /** @throws PronkError: what the method throws; "aborted"; "engine_failed" when the worker dies. */
  call<Value>(method: string, argument?: unknown, signal?: AbortSignal): Promise<Value> {
    return this.withParts(method, argument, () => {}, signal);
  }

  /** As call(), told each part as it comes. */
  withParts<Value>(
    method: string,
    argument: unknown,
    onPart: (part: never) => void,
    signal?: AbortSignal,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new PronkError("aborted", "aborted"));
      const worker = this.#started();
      const call = ++this.#last;
      const cancel = (): void => worker.postMessage({ cancel: call });
      const leave = (): void => {
        signal?.removeEventListener("abort", cancel);
        this.#waiting.delete(call);
        if (this.#waiting.size === 0) this.#rest();
      };
      this.#waiting.set(call, {
        part: onPart as (part: unknown) => void,
        end: (value) => {
          leave();
          resolve(value as Value);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      });
      signal?.addEventListener("abort", cancel, { once: true });
      this.#wake();
      worker.postMessage({ call, method, argument });
    });
  }

  /** The parts one after the other. Left early, the call is cancelled. */
  async *stream<Part>(
    method: string,
    argument: unknown,
    signal?: AbortSignal,
  ): AsyncGenerator<Part, void, undefined> {
    const parts: Part[] = [];
    let news = (): void => {};
    let end: { readonly error?: unknown } | undefined;
    const abort = new AbortController();
    const leave = (): void => abort.abort();
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave, { once: true });
    const onPart = (part: Part): void => {
      parts.push(part);
      news();
    };
    this.withParts(method, argument, onPart as (part: never) => void, abort.signal).then(
      () => {
        end = {};
        news();
      },
      (error) => {
        end = { error };
        news();
      },
    );
    try {
      for (;;) {
        while (parts.length > 0) yield parts.shift() as Part;
        if (end !== undefined) break;
        await new Promise<void>((resolve) => {
          news = resolve;
        });
      }
      if ("error" in end) throw end.error;
    } finally {
      signal?.removeEventListener("abort", leave);
      leave();
    }
  }

  /** Ends the worker; what waits for it fails with "aborted". The next call starts another. */
  terminate(): void {
    this.#end(new PronkError("aborted", "worker: ended"));
  }

  #started(): WorkerLike {
    if (this.#worker !== undefined) return this.#worker;
    const worker = this.#options.spawn();
    this.#worker = worker;
    const die = (why: string): void => {
      if (this.#worker === worker) this.#die(why);
    };
    worker.addEventListener("message", ({ data }: { data: AnswerMessage }) => {
      if (this.#worker === worker) this.#take(data);
    });
    worker.addEventListener("messageerror", () => die("an answer could not be read"));
    worker.addEventListener("error", (event: { message?: string; preventDefault?(): void }) => {
      event.preventDefault?.();
      die(event.message || "its script could not be loaded");
    });
    return worker;
  }

  #take(message: AnswerMessage): void {
    this.#heard = performance.now();
    if ("ready" in message) return;
    const waiting = this.#waiting.get(message.call);
    if ("part" in message) waiting?.part(message.part);
    else if ("error" in message) waiting?.fail(fromErrorMessage(message.error));
    else waiting?.end(message.end);
  }

  /** Asks for signs of life while anything is waited for. */
  #wake(): void {
    if (this.#watch !== undefined) return;
    const { silenceMs = SILENCE_MS } = this.#options;
    this.#heard = performance.now();
    this.#watch = setInterval(
      () => {
        const silent = performance.now() - this.#heard;
        if (silent > silenceMs) this.#die(`no sign of life for ${Math.round(silent / 1000)} s`);
        else this.#worker?.postMessage({ call: 0, method: PING, argument: undefined });
      },
      Math.min(LIFE_SIGN_MS, silenceMs / 2),
    );
  }

  #rest(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #die(why: string): void {
    const error = new PronkError("engine_failed", `worker: ${why}; it can be started again`, {
      retryAfterMs: 0,
    });
    this.#end(error);
    this.#options.onDeath?.(error);
  }

  #end(error: PronkError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#rest();
    for (const waiting of [...this.#waiting.values()]) waiting.fail(error);
  }
}
