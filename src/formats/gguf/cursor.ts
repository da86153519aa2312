/**
 * Reads a file from its start to wherever its header ends, in growing ranges.
 *
 * `need(n)` waits until n bytes lie in memory; the getters then read them without waiting. What has
 * been read is dropped, so memory holds one window. Every length is checked against the file's end
 * and the header limit before anything is allocated for it.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import type { PackedStringsBuilder } from "../packed-strings.ts";

/** Holds the whole header of a small model; most of a range's cost in storage is the round trip. */
const FIRST_WINDOW_BYTES = 64 * 1024;

/** Windows double up to this: a vocabulary of 8 MB takes a dozen reads. */
const MAX_WINDOW_BYTES = 1024 * 1024;

/**
 * The largest known headers, of vocabularies with 262,144 tokens, have about 15 MB.
 * It bounds what a hostile file can make us read and allocate.
 */
const MAX_HEADER_BYTES = 64 * 1024 * 1024;

export class HeaderCursor {
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  readonly #limit: number;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Next byte within the window. */
  #at = 0;
  /** Where the window starts in the file. */
  #start = 0;
  #windowBytes = FIRST_WINDOW_BYTES;
  /** What is being read, for messages: "key general.name". */
  place = "header";

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
    this.#limit = Math.min(source.size, MAX_HEADER_BYTES);
  }

  /** The next byte's offset in the file. */
  get position(): number {
    return this.#start + this.#at;
  }

  /** Bytes that the header may still have. */
  get left(): number {
    return this.#limit - this.position;
  }

  /** Bytes in memory from the position on. */
  get buffered(): number {
    return this.#window.length - this.#at;
  }

  bad(what: string): PronkError {
    return new PronkError("bad_format", `${this.#source.name}: ${this.place}: ${what}`);
  }

  unsupported(what: string): PronkError {
    return new PronkError("unsupported", `${this.#source.name}: ${this.place}: ${what}`);
  }

  /** @throws PronkError "bad_format" when the file or the header limit ends before `bytes` more. */
  check(bytes: number, what: string): void {
    if (bytes <= this.left) return;
    const found = `${what} needs ${bytes} bytes from ${this.position}`;
    if (this.position + bytes <= this.#source.size) {
      throw this.bad(`${found}, a header may have ${MAX_HEADER_BYTES}`);
    }
    throw this.bad(`${found}, the file ends at ${this.#source.size}`);
  }

  /** Brings the next `bytes` bytes into memory. */
  async need(bytes: number, what: string): Promise<void> {
    if (bytes <= this.buffered) return;
    this.check(bytes, what);
    const kept = this.buffered;
    const window = new Uint8Array(Math.min(Math.max(bytes, this.#windowBytes), this.left));
    this.#windowBytes = Math.min(this.#windowBytes * 2, MAX_WINDOW_BYTES);
    window.set(this.#window.subarray(this.#at));
    const start = this.position;
    await this.#source.readInto(window.subarray(kept), start + kept, this.#signal);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#start = start;
    this.#at = 0;
  }

  u8(): number {
    return this.#window[this.#at++]!;
  }

  i8(): number {
    return this.#view.getInt8(this.#skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#skip(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#skip(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#skip(8), true);
  }

  /** A number where that is exact, else a bigint. */
  u64(): number | bigint {
    const at = this.#skip(8);
    const high = this.#view.getUint32(at + 4, true);
    // A vocabulary has one length a string, so the usual case makes no bigint.
    if (high === 0) return this.#view.getUint32(at, true);
    return narrow(this.#view.getBigUint64(at, true));
  }

  i64(): number | bigint {
    return narrow(this.#view.getBigInt64(this.#skip(8), true));
  }

  /** A view of the next bytes, valid until the next `need`. */
  take(bytes: number): Uint8Array {
    const at = this.#skip(bytes);
    return this.#window.subarray(at, at + bytes);
  }

  /** Appends the next bytes, as one string. */
  takeInto(strings: PackedStringsBuilder, bytes: number): void {
    const at = this.#skip(bytes);
    strings.push(this.#window, at, at + bytes);
  }

  /** Copies the next `destination.length` bytes, without a window for those not yet in memory. */
  async copyInto(destination: Uint8Array): Promise<void> {
    const ready = Math.min(destination.length, this.buffered);
    destination.set(this.take(ready));
    if (ready === destination.length) return;
    const rest = destination.subarray(ready);
    const start = this.position;
    await this.#source.readInto(rest, start, this.#signal);
    this.#window = new Uint8Array(0);
    this.#view = new DataView(this.#window.buffer);
    this.#start = start + rest.length;
    this.#at = 0;
  }

  #skip(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
