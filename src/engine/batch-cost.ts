/**
 * What a batch costs by its rows, in batches of one row: at first what the wasm kernels took on one
 * machine, then what is measured here while batches are run. Each is compared with the last few, whose
 * rows may be others, so that a machine whose speed wavers is measured against itself. Where clocks
 * stand still (Workers) the first figures stay.
 */
import { TILE_ROWS } from "../backends/wasm/activation-layout.ts";
import { FEW_ROWS } from "../backends/wasm/few-rows.ts";

/**
 * A few rows run one by one, or as tiles where that is cheaper: a batch of 13 costs about as much as one of 16.
 * SmolLM2-135M in 4 bits, Node 26, medians.
 */
const FEW_ROW_COST = 0.6;
const TILE_COST = 2.3;

/** Tiles beyond this many are one class. */
const CLASSES = 10;

/** The last batches, whose median says how fast the machine is now. */
const RECENT = 5;

/** Weight of the newest measurement: the first few make an average with what is known at first. */
const NEWEST = 0.05;
const KNOWN_COUNTS = 1;

/** A batch that took longer than expected was interrupted, most likely: it counts as this much longer. */
const LONGEST = 2;

/** After so many batches a measurement is old: what it says is tried again when it seems to pay. */
const FRESH = 512;

/** What was not measured is taken for a little cheaper than it looks, so that it is tried. */
const OPTIMISM = 0.9;

export class BatchCost {
  /** By class: measured by expected. That of one row is 1 by definition. */
  readonly #ratio = new Float64Array(CLASSES).fill(1);
  readonly #count = new Float64Array(CLASSES);
  readonly #measuredAt = new Float64Array(CLASSES);
  /** Milliseconds of the last batches by their cost. */
  readonly #recent: number[] = [];
  #batches = 0;

  /** A batch of `rows` rows, all with their logits, took `ms`; 0 where the clock stands still. */
  observe(rows: number, ms: number): void {
    this.#batches++;
    if (!(ms > 0)) return;
    const at = classOf(rows);
    if (at > 0 && this.#recent.length > 0) {
      const known = this.#ratio[at];
      const found = ms / (relativeCost(rows) * this.unitMs);
      const newest = Math.max(NEWEST, 1 / (KNOWN_COUNTS + ++this.#count[at]));
      this.#ratio[at] = known + newest * (Math.min(found, LONGEST * known) - known);
      this.#measuredAt[at] = this.#batches;
    }
    this.#recent.push(ms / (relativeCost(rows) * this.#ratio[at]));
    if (this.#recent.length > RECENT) this.#recent.shift();
  }

  /** Milliseconds of one row now; 0 where nothing was measured. */
  get unitMs(): number {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }

  /** In batches of one row. */
  of(rows: number): number {
    const at = classOf(rows);
    if (at === 0) return 1;
    if (this.#isFresh(at)) return relativeCost(rows) * this.#ratio[at];
    return relativeCost(rows) * this.#neighbourRatio(at) * OPTIMISM;
  }

  #isFresh(at: number): boolean {
    return this.#count[at] > 0 && this.#batches - this.#measuredAt[at] < FRESH;
  }

  /** Of the nearest class of several rows that is fresh. */
  #neighbourRatio(at: number): number {
    for (let away = 1; away < CLASSES; away++) {
      if (this.#isFresh(at - away)) return this.#ratio[at - away];
      if (this.#isFresh(at + away)) return this.#ratio[at + away];
    }
    return 1;
  }
}

/** In batches of one row, as measured elsewhere. */
export function relativeCost(rows: number): number {
  const tiles = TILE_COST * Math.ceil(rows / TILE_ROWS);
  return rows <= FEW_ROWS ? Math.min(1 + FEW_ROW_COST * (rows - 1), tiles) : tiles;
}

/** One row; then by tiles. */
function classOf(rows: number): number {
  return rows === 1 ? 0 : Math.min(CLASSES - 1, Math.ceil(rows / TILE_ROWS));
}
