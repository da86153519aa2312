/**
 * A pull parser over the bytes of JSON, for files whose largest parts must not become objects: a
 * vocabulary of 128,000 tokens takes 30 MB as a JavaScript object and 2 MB as bytes.
 *
 * Small parts are cut out and given to JSON.parse. Grammar: RFC 8259.
 */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";

/** Parts that become objects; the largest known, a thousand added tokens, has 0.3 MB. */
const MAX_PART_BYTES = 4 << 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

const encoder = new TextEncoder();

/** Bytes of a string: `bytes`[start, end), escapes resolved. */
export interface StringBytes {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at = 0;

  /** `name` is for messages. */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  /** Reads an object; `onEntry` consumes the value of each key. */
  object(onEntry: (key: StringBytes) => void): void {
    this.#list(0x7b, 0x7d, () => {
      const key = this.string();
      this.#expect(COLON);
      onEntry(key);
    });
  }

  /** Reads an array; `onItem` consumes each item. */
  array(onItem: () => void): void {
    this.#list(0x5b, 0x5d, onItem);
  }

  #list(open: number, close: number, onItem: () => void): void {
    this.#expect(open);
    if (this.peek() === close) {
      this.#at++;
      return;
    }
    for (;;) {
      onItem();
      const next = this.peek();
      this.#at++;
      if (next === close) return;
      if (next !== COMMA) throw this.bad("no comma between two values");
    }
  }

  /** Reads a string. */
  string(): StringBytes {
    this.#expect(QUOTE);
    const start = this.#at;
    const escaped = this.#skipString();
    const end = this.#at - 1;
    if (!escaped) return { bytes: this.#bytes, start, end };
    const text = this.#parse(start - 1, end + 1) as string;
    const bytes = encoder.encode(text);
    return { bytes, start: 0, end: bytes.length };
  }

  /** Reads a whole number from 0 to 2^32 - 1. */
  integer(): number {
    this.peek();
    const start = this.#at;
    let value = 0;
    for (; isDigit(this.#bytes[this.#at]); this.#at++) {
      value = value * 10 + this.#bytes[this.#at]! - 0x30;
      if (value > 0xffffffff) break;
    }
    if (this.#at === start || value > 0xffffffff) throw this.bad("not an id");
    return value;
  }

  /** Reads any value into an object. */
  value(): unknown {
    this.peek();
    const start = this.#at;
    this.skip();
    return this.#parse(start, this.#at);
  }

  /** Passes a value, without a look at what is inside it. */
  skip(): void {
    let depth = 0;
    do {
      const byte = this.peek();
      this.#at++;
      if (byte === QUOTE) this.#skipString();
      else if (byte === 0x7b || byte === 0x5b) depth++;
      else if (byte === 0x7d || byte === 0x5d) depth--;
      else if (byte !== COMMA && byte !== COLON) {
        while (isScalarByte(this.#bytes[this.#at])) this.#at++;
      }
    } while (depth > 0);
    if (depth < 0) throw this.bad("a value is missing");
  }

  /** The first byte of what comes next, behind white space. */
  peek(): number {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte === undefined) throw this.bad("ends early");
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at++;
    }
  }

  /** @throws unless only white space is left. */
  end(): void {
    while (this.#at < this.#bytes.length) {
      const byte = this.peek();
      throw this.bad(`byte ${byte} behind the end`);
    }
  }

  bad(why: string): PronkError {
    return new PronkError("bad_format", `${this.#name}: ${why}, at byte ${this.#at}`);
  }

  #expect(byte: number): void {
    if (this.peek() !== byte) throw this.bad(`no ${String.fromCharCode(byte)}`);
    this.#at++;
  }

  /** To behind the closing quote; returns whether there was an escape. */
  #skipString(): boolean {
    const bytes = this.#bytes;
    let escaped = false;
    for (let at = this.#at; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return escaped;
      }
      if (byte === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    throw this.bad("a string without an end");
  }

  #parse(start: number, end: number): unknown {
    if (end - start > MAX_PART_BYTES) throw this.bad(`a part of ${end - start} bytes`);
    return parseBoundedJson(
      this.#bytes.subarray(start, end),
      (why, cause) =>
        new PronkError("bad_format", `${this.#name}: what begins at byte ${start} ${why}`, {
          cause,
        }),
    );
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** Of numbers, true, false and null. */
function isScalarByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  if (isDigit(byte) || (letter >= 0x61 && letter <= 0x7a)) return true;
  return byte === 0x2b || byte === 0x2d || byte === 0x2e;
}

/** The text of a string. */
export function textOf({ bytes, start, end }: StringBytes): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(start, end));
}
