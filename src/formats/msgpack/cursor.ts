/** Reads MessagePack's headers and short values in windows, and passes over arrays without reading them. */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";

/** Between two arrays lie some 100 bytes; in remote storage the round trip is what they cost. */
const WINDOW_BYTES = 4096;

export class MsgpackCursor {
  readonly source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  #window = new Uint8Array(0);
  #windowStart = 0;
  position = 0;

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.source = source;
    this.#signal = signal;
  }

  bad(what: string): PronkError {
    return new PronkError("bad_format", `${this.source.name}: byte ${this.position}: ${what}`);
  }

  /** The next bytes, at most a window's; valid until the next call. */
  async take(bytes: number): Promise<Uint8Array> {
    this.#check(bytes);
    const at = this.position - this.#windowStart;
    if (at < 0 || at + bytes > this.#window.length) {
      const length = Math.min(Math.max(bytes, WINDOW_BYTES), this.source.size - this.position);
      this.#window = new Uint8Array(length);
      this.#windowStart = this.position;
      await this.source.readInto(this.#window, this.position, this.#signal);
    }
    const from = this.position - this.#windowStart;
    this.position += bytes;
    return this.#window.subarray(from, from + bytes);
  }

  async u8(): Promise<number> {
    return (await this.take(1))[0]!;
  }

  /** Big-endian, of 1, 2, 4 or 8 bytes. */
  async unsigned(bytes: number): Promise<number> {
    let value = 0;
    for (const byte of await this.take(bytes)) value = value * 256 + byte;
    return value;
  }

  /** Passes over bytes without reading them. */
  skip(bytes: number): void {
    this.#check(bytes);
    this.position += bytes;
  }

  #check(bytes: number): void {
    if (bytes <= this.source.size - this.position) return;
    throw this.bad(`${bytes} bytes are needed, the file ends at ${this.source.size}`);
  }
}
