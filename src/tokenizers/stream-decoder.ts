/** Tokens to text, one by one. */
import type { StreamDecoder } from "./tokenizer.ts";
import { decodeUtf8, incompleteTail, type Repair } from "./utf8.ts";

const EMPTY = new Uint8Array(0);

/**
 * A token that ends inside a character is held back as a whole, as Hugging Face's DecodeStream
 * does; but never more bytes than this, so that no sequence of tokens is held back for ever.
 */
const MAX_HELD_BYTES = 64;

export class Utf8StreamDecoder implements StreamDecoder {
  readonly #bytesOf: (id: number) => Uint8Array;
  readonly #repair: Repair;
  /** Drop one space at the start of the text, which has not begun yet. */
  #dropSpace: boolean;
  /** Bytes not emitted yet; they end inside a character. */
  #pending: Uint8Array = EMPTY;

  constructor(bytesOf: (id: number) => Uint8Array, repair: Repair, dropSpace: boolean) {
    this.#bytesOf = bytesOf;
    this.#repair = repair;
    this.#dropSpace = dropSpace;
  }

  push(id: number): string {
    const added = this.#bytesOf(id);
    if (added.length === 0) return "";
    let bytes = added;
    if (this.#pending.length > 0) {
      bytes = new Uint8Array(this.#pending.length + added.length);
      bytes.set(this.#pending);
      bytes.set(added, this.#pending.length);
    }
    const tail = incompleteTail(bytes);
    const ready = tail > 0 && bytes.length <= MAX_HELD_BYTES ? 0 : bytes.length - tail;
    this.#pending = bytes.subarray(ready);
    return this.#emit(bytes.subarray(0, ready));
  }

  flush(): string {
    const rest = this.#pending;
    this.#pending = EMPTY;
    return this.#emit(rest);
  }

  #emit(bytes: Uint8Array): string {
    const text = decodeUtf8(bytes, this.#repair);
    if (!this.#dropSpace || text === "") return text;
    this.#dropSpace = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }
}
