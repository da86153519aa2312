/**
 * A generation's consumer side: parts that wait to be read, readers that wait for parts, and the
 * result. The scheduler only adds to it; `deliver` is called in the consumer's own context, because
 * Workers cancels what is resumed from another request's.
 */
import { PronkError } from "../errors.ts";
import type { GenerateResult, TokenPart } from "../generate/request.ts";
import type { Generation } from "./engine.ts";

/** What the scheduler wants to hear. */
export interface OutletListener {
  /** A part was read; `buffered` are left. */
  read(buffered: number): void;
  /** The consumer wants no more. */
  cancel(): void;
}

interface Reader {
  resolve(result: IteratorResult<TokenPart, undefined>): void;
  reject(error: unknown): void;
}

type End = { readonly result: GenerateResult } | { readonly error: unknown };

const DONE: IteratorResult<TokenPart, undefined> = { done: true, value: undefined };

export class Outlet implements Generation {
  readonly result: Promise<GenerateResult>;
  listener: OutletListener | undefined;
  #settle!: { resolve(result: GenerateResult): void; reject(error: unknown): void };
  #parts: TokenPart[] = [];
  #readers: Reader[] = [];
  #end: End | undefined;
  /** The error was thrown to a reader, or need not be. */
  #closed = false;
  #iterator: AsyncIterator<TokenPart, undefined> | undefined;

  constructor() {
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Who only iterates learns of errors there; nobody has to look at `result`.
    this.result.catch(() => {});
  }

  /** Somebody iterates: parts that are not read are a reason to pause. */
  get iterated(): boolean {
    return this.#iterator !== undefined;
  }

  get buffered(): number {
    return this.#parts.length;
  }

  push(part: TokenPart): void {
    this.#parts.push(part);
  }

  /** Ends it; parts that are buffered can still be read. The first end counts. */
  finish(result: GenerateResult): void {
    this.#end ??= { result };
  }

  /** Ends it with an error, thrown after the parts that are buffered. The first end counts. */
  fail(error: unknown): void {
    this.#end ??= { error };
  }

  /** Drops what is buffered: for a consumer that asked to stop. */
  clear(): void {
    this.#parts = [];
  }

  /** Hands out what there is: parts to waiting readers, the end to `result` and to them. */
  deliver(): void {
    while (this.#readers.length > 0 && this.#parts.length > 0) {
      this.#readers.shift()!.resolve({ done: false, value: this.#parts.shift()! });
    }
    if (this.#end === undefined) return;
    if ("error" in this.#end) this.#settle.reject(this.#end.error);
    else this.#settle.resolve(this.#end.result);
    for (const reader of this.#readers.splice(0)) this.#readEnd(reader);
  }

  /** One iterator, shared by all who ask, as of an async generator. */
  [Symbol.asyncIterator](): AsyncIterator<TokenPart, undefined> {
    this.#iterator ??= {
      next: () =>
        new Promise((resolve, reject) => {
          this.#next({ resolve, reject });
        }),
      return: () => {
        this.#stop();
        return Promise.resolve(DONE);
      },
    };
    return this.#iterator;
  }

  #next(reader: Reader): void {
    if (this.#parts.length > 0 && this.#readers.length === 0) {
      reader.resolve({ done: false, value: this.#parts.shift()! });
    } else if (this.#end !== undefined) {
      this.#readEnd(reader);
    } else {
      this.#readers.push(reader);
    }
    this.listener?.read(this.#parts.length);
  }

  #readEnd(reader: Reader): void {
    if (!this.#closed && this.#end !== undefined && "error" in this.#end) {
      this.#closed = true;
      reader.reject(this.#end.error);
    } else {
      reader.resolve(DONE);
    }
  }

  #stop(): void {
    this.#closed = true;
    this.clear();
    this.listener?.cancel();
    this.fail(new PronkError("aborted", "generation: the consumer stopped reading"));
    this.deliver();
  }
}
