/**
 * Where a plan that threads run together needs a barrier: before a call that touches what another
 * thread has touched since the last one, when one of the two writes. Derived from what calls read
 * and write, the same in every thread, so that all of them meet at the same barriers.
 */

/** Columns [from, to) of a buffer, and how they are divided among the threads. */
export interface Access {
  readonly buffer: string;
  readonly from: number;
  readonly to: number;
  /**
   * Two accesses of the same buffer that are divided alike keep each thread to its own part.
   * Different names mean that any thread may touch what belongs to another.
   */
  readonly division: string;
}

/** Every thread touches all of it. */
export const SHARED = "shared";

/** All columns of a buffer. */
export function whole(buffer: string, division: string): Access {
  return { buffer, from: 0, to: Number.POSITIVE_INFINITY, division };
}

export class Dependencies {
  #reads: Access[] = [];
  #writes: Access[] = [];

  /** Notes a call's accesses; says whether a barrier must come before it. */
  next(reads: readonly Access[], writes: readonly Access[]): boolean {
    const waits =
      reads.some((read) => this.#writes.some((write) => conflict(read, write))) ||
      writes.some((write) =>
        [...this.#reads, ...this.#writes].some((earlier) => conflict(write, earlier)),
      );
    if (waits) {
      this.#reads = [];
      this.#writes = [];
    }
    this.#reads.push(...reads);
    this.#writes.push(...writes);
    return waits;
  }
}

function conflict(a: Access, b: Access): boolean {
  const overlap = a.buffer === b.buffer && a.from < b.to && b.from < a.to;
  return overlap && (a.division !== b.division || a.division === SHARED);
}
