/**
 * What a batch costs by its rows, measured while it is used. Where clocks stand still (Workers) or
 * nothing was measured yet, what the wasm kernels took on one machine stands in, relative to one row.
 */

/** Rows of a tile: a batch of 5 costs about as much as one of 8. */
const TILE_ROWS = 4;

/**
 * Batches of more than one row run through matrix products of tiles: in rows of a batch of one,
 * which runs through matrix-vector products. SmolLM2-135M in 4 bits, Node 20 and 24, medians.
 */
const MANY_ROWS_COST = 1.4;
const TILE_COST = 2.1;

/** Tiles beyond this many are one class. */
const CLASSES = 10;

/**
 * Weight of the newest measurement: of the first few an average, together with what the neighbouring
 * classes say; then slow, since a machine's speed wavers from moment to moment.
 */
const NEWEST = 0.04;
const NEIGHBOURS_COUNT = 3;

/** A batch that took longer than expected was interrupted, most likely: it counts as this much longer. */
const LONGEST = 2;

/** After so many batches a measurement is old: what it says is tried again when it seems to pay. */
const FRESH = 512;

/** What was not measured is taken for a little cheaper than it looks, so that it is tried. */
const OPTIMISM = 0.85;

export class BatchCost {
  /** Milliseconds by `relativeCost`, by class; 0: not measured. */
  readonly #unit = new Float64Array(CLASSES);
  readonly #measuredAt = new Float64Array(CLASSES);
  readonly #measured = new Float64Array(CLASSES);
  #batches = 0;

  /** A batch of `rows` rows, all with their logits, took `ms`; 0 where the clock stands still. */
  observe(rows: number, ms: number): void {
    this.#batches++;
    if (!(ms > 0)) return;
    const at = classOf(rows);
    const unit = ms / relativeCost(rows);
    const known = this.#unit[at] || this.#likelyUnit(at);
    this.#measuredAt[at] = this.#batches;
    const count = ++this.#measured[at];
    const newest = Math.max(NEWEST, 1 / (NEIGHBOURS_COUNT + count));
    this.#unit[at] =
      known === undefined ? unit : known + newest * (Math.min(unit, LONGEST * known) - known);
  }

  /** In one and the same unit for all numbers of rows: milliseconds once anything was measured. */
  of(rows: number): number {
    const at = classOf(rows);
    if (this.#isFresh(at)) return relativeCost(rows) * this.#unit[at];
    const unit = this.#likelyUnit(at) ?? 1;
    return relativeCost(rows) * unit * (at === 0 ? 1 : OPTIMISM);
  }

  #isFresh(at: number): boolean {
    return this.#unit[at] > 0 && this.#batches - this.#measuredAt[at] < FRESH;
  }

  /** Of the nearest class that is fresh, else its own old one, if any. */
  #likelyUnit(at: number): number | undefined {
    for (let away = 1; away < CLASSES; away++) {
      if (this.#isFresh(at - away)) return this.#unit[at - away];
      if (this.#isFresh(at + away)) return this.#unit[at + away];
    }
    return this.#unit[at] || undefined;
  }
}

/** In batches of one row. */
export function relativeCost(rows: number): number {
  return rows === 1 ? 1 : MANY_ROWS_COST + TILE_COST * Math.ceil(rows / TILE_ROWS);
}

/** One row; then by tiles. */
function classOf(rows: number): number {
  return rows === 1 ? 0 : Math.min(CLASSES - 1, Math.ceil(rows / TILE_ROWS));
}
