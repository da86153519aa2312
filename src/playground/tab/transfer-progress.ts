/** Where a download stands, for people: bytes, how fast they come, and how long the rest takes. */

export interface TransferProgress {
  /** Bytes in place, those that were here before included. */
  readonly loaded: number;
  readonly total: number;
  /** Of the last seconds; undefined until there is something to go by. */
  readonly bytesPerSecond?: number | undefined;
  readonly remainingMs?: number | undefined;
}

/** What the rate is taken over: long beside a stutter, short beside a change of network. */
const WINDOW_MS = 5_000;

/** Before that a rate says little. */
const LEAST_MS = 500;

export class TransferMeter {
  readonly #now: () => number;
  readonly #samples: { at: number; bytes: number }[] = [];
  #fetched = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#samples.push({ at: now(), bytes: 0 });
  }

  /** Bytes that came over the network; those that were here before are no measure of it. */
  add(bytes: number): void {
    this.#fetched += bytes;
  }

  at(loaded: number, total: number): TransferProgress {
    const now = this.#now();
    this.#samples.push({ at: now, bytes: this.#fetched });
    while (this.#samples.length > 2 && this.#samples[1]!.at < now - WINDOW_MS)
      this.#samples.shift();
    const [first] = this.#samples;
    const ms = now - first!.at;
    if (ms < LEAST_MS) return { loaded, total };
    const bytesPerSecond = ((this.#fetched - first!.bytes) / ms) * 1000;
    if (bytesPerSecond === 0) return { loaded, total, bytesPerSecond };
    const remainingMs = ((total - loaded) / bytesPerSecond) * 1000;
    return { loaded, total, bytesPerSecond, remainingMs };
  }
}
