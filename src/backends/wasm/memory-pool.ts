/**
 * One WebAssembly.Memory for loads that follow each other: where a load fails, or a kernel traps later, the next one fills
 * the same memory, all zero as a new one is, with another instance of the kernels. Engines free a memory late, and two do
 * not fit an isolate.
 */

/** Of WebAssembly. */
const PAGE_BYTES = 65_536;

export class MemoryPool {
  #idle: WebAssembly.Memory | undefined;

  /** A memory of so many pages, all zero: the one that was given back, if it is of this size. */
  take(pages: number): WebAssembly.Memory {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle?.buffer.byteLength === pages * PAGE_BYTES) {
      new Uint8Array(idle.buffer).fill(0);
      return idle;
    }
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  }

  /** Nothing reads or writes it any more. */
  giveBack(memory: WebAssembly.Memory): void {
    this.#idle = memory;
  }
}
