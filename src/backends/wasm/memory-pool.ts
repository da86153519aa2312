/**
 * One WebAssembly.Memory for loads that follow each other: where a load fails before anything was computed, the
 * next one fills the same memory. Engines free a memory late, and two do not fit an isolate.
 */

/** Of WebAssembly. */
const PAGE_BYTES = 65_536;

export class MemoryPool {
  #lent: WebAssembly.Memory | undefined;
  #idle: WebAssembly.Memory | undefined;

  /** A memory of so many pages, all zero: the one that was given back, if it is of this size. */
  take(pages: number): WebAssembly.Memory {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle?.buffer.byteLength === pages * PAGE_BYTES) {
      new Uint8Array(idle.buffer).fill(0);
      this.#lent = idle;
    } else {
      this.#lent = new WebAssembly.Memory({ initial: pages, maximum: pages });
    }
    return this.#lent;
  }

  /** Nobody uses what was taken last, and no kernel has failed on it. */
  giveBack(): void {
    this.#idle = this.#lent;
    this.#lent = undefined;
  }
}
