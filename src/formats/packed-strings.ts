/** Many strings in two arrays: a vocabulary of 128k tokens costs its bytes and 512 KiB of offsets. */
import type { PackedStrings } from "./model-file.ts";

/** Room to start with; it doubles when it is full. */
const FIRST_BYTES = 4096;

/** Collects strings of unknown total length. */
export class PackedStringsBuilder {
  #offsets: Uint32Array;
  #bytes = new Uint8Array(FIRST_BYTES);
  #used = 0;
  #count = 0;

  /** About `length` strings will be pushed. */
  constructor(length: number) {
    this.#offsets = new Uint32Array(length + 1);
  }

  /** Appends a copy of the UTF-8 in `from`[start, end) as the next string. */
  push(from: Uint8Array, start: number, end: number): void {
    let used = this.#used;
    const needed = used + end - start;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, used));
      this.#bytes = grown;
    }
    // A view and a call cost more than the few bytes of a token.
    for (let i = start; i < end; i++) this.#bytes[used++] = from[i]!;
    this.#used = used;
    if (++this.#count === this.#offsets.length) {
      const offsets = new Uint32Array(this.#count * 2);
      offsets.set(this.#offsets);
      this.#offsets = offsets;
    }
    this.#offsets[this.#count] = used;
  }

  /** What was pushed, in arrays of exactly its size. */
  build(): PackedStrings {
    return {
      bytes: this.#bytes.slice(0, this.#used),
      offsets: this.#offsets.slice(0, this.#count + 1),
      length: this.#count,
    };
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** String `index` of these; bytes that are not UTF-8 become U+FFFD. */
export function packedString(strings: PackedStrings, index: number): string {
  return decoder.decode(strings.bytes.subarray(strings.offsets[index], strings.offsets[index + 1]));
}

/** The strings as UTF-8, in two arrays. */
export function packStrings(strings: readonly string[]): PackedStrings {
  const encoder = new TextEncoder();
  const builder = new PackedStringsBuilder(strings.length);
  for (const text of strings) {
    const bytes = encoder.encode(text);
    builder.push(bytes, 0, bytes.length);
  }
  return builder.build();
}
