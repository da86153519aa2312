/**
 * How work is divided among threads: whole panels, heads or tiles, in contiguous ranges. Each output
 * element has one owner, who computes it as a single thread would, so its bits cannot differ.
 */
import type { Span } from "../../backend.ts";
import { TILE_ROWS } from "../activation-layout.ts";

/** One of `count` threads that run a plan together; index 0 is the caller's own. */
export interface Part {
  readonly index: number;
  readonly count: number;
}

/** A single thread's part: all of it. */
export const WHOLE: Part = { index: 0, count: 1 };

/** Half-open. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** This thread's share of `total` things of equal cost: shares differ by one at most. */
export function shareOf(total: number, { index, count }: Part): Range {
  const bound = (i: number): number => Math.floor((total * i) / count);
  return { from: bound(index), to: bound(index + 1) };
}

/** This thread's rows of a batch: whole tiles, since activations are stored by tiles. */
export function shareOfRows(rows: number, part: Part): Range {
  const tiles = shareOf(Math.ceil(rows / TILE_ROWS), part);
  return {
    from: Math.min(rows, tiles.from * TILE_ROWS),
    to: Math.min(rows, tiles.to * TILE_ROWS),
  };
}

/** One call of an attention kernel: some heads of one K/V head's group, some queries of a span. */
export interface AttentionPiece {
  readonly slot: number;
  /** Of the first query. */
  readonly position: number;
  /** The first query's row in the batch, and how many queries. */
  readonly row: number;
  readonly rows: number;
  readonly kvHead: number;
  /** Query heads [from, to), counted over all groups. */
  readonly from: number;
  readonly to: number;
}

/** Rows (a query of one head each) that share a pass over K and V: ROWS_MAX of wasm/attention.h. */
const PASS_ROWS = 48;

/**
 * This thread's attention: the whole of it cut into units of about a kernel's pass, ordered by span
 * and K/V head, and divided by their cost, which is the number of keys that they see.
 */
export function shareOfAttention(
  spans: readonly Span[],
  heads: number,
  kvHeads: number,
  part: Part,
): AttentionPiece[] {
  const group = heads / kvHeads;
  const units: { piece: AttentionPiece; cost: number }[] = [];
  let first = 0;
  for (const span of spans) {
    // A single query is divided by its heads, several by blocks of queries.
    const unitRows = span.count === 1 ? 1 : Math.max(1, Math.floor(PASS_ROWS / group));
    const unitHeads = span.count === 1 ? 1 : group;
    for (let head = 0; head < heads; head += unitHeads) {
      for (let row = 0; row < span.count; row += unitRows) {
        const rows = Math.min(unitRows, span.count - row);
        units.push({
          piece: {
            slot: span.slot,
            position: span.start + row,
            row: first + row,
            rows,
            kvHead: Math.floor(head / group),
            from: head,
            to: head + unitHeads,
          },
          cost: unitHeads * rows * (span.start + row + (rows + 1) / 2),
        });
      }
    }
    first += span.count;
  }
  const total = units.reduce((sum, { cost }) => sum + cost, 0);
  const own: AttentionPiece[] = [];
  let before = 0;
  for (const { piece, cost } of units) {
    const owner = Math.floor(((before + cost / 2) / total) * part.count);
    before += cost;
    if (owner !== part.index) continue;
    const last = own.at(-1);
    const merged = last && merge(last, piece);
    if (merged) own[own.length - 1] = merged;
    else own.push(piece);
  }
  return own;
}

/** Two neighbours as one call, where they are of one K/V head and make a rectangle. */
function merge(a: AttentionPiece, b: AttentionPiece): AttentionPiece | undefined {
  if (a.slot !== b.slot || a.kvHead !== b.kvHead) return undefined;
  const follows = a.row + a.rows === b.row && a.position + a.rows === b.position;
  if (a.from === b.from && follows) return { ...a, rows: a.rows + b.rows };
  if (a.row === b.row && a.rows === b.rows && a.to === b.from) return { ...a, to: b.to };
  return undefined;
}
