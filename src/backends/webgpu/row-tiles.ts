/**
 * How many rows a workgroup takes: of a matrix product, whose weights are read and unpacked once for them, and of
 * attention, whose rows are of one slot.
 */
import type { Span } from "../backend.ts";
import { alignTo } from "./align.ts";

/** Of the products' kernels. */
export const ROW_TILES = [32, 64] as const;

export type RowTile = (typeof ROW_TILES)[number];

/** Fewer rows leave most of a tile of 32 empty. */
const FEWEST = 9;

/** From here on what the last tile of 64 has too much does not count. */
const MANY = 256;

/** The tile for so many rows; undefined: the kernel of single rows. */
export function rowTileFor(rows: number): RowTile | undefined {
  if (rows < FEWEST) return undefined;
  return rows >= MANY || alignTo(rows, 64) === alignTo(rows, 32) ? 64 : 32;
}

/** Rows that a buffer has room for, so that each tile of up to `rows` is whole. */
export function roomForRows(rows: number): number {
  return rows < FEWEST ? rows : alignTo(rows, 64);
}

/** Rows of a tile of wgsl/attention_tile.wgsl. */
const ATTENTION_ROWS = 32;

/** With fewer rows a tile, on average, attention of single rows does less that nobody wants. */
const FEWEST_ATTENTION_ROWS = 4;

/** (first row, rows, slot, position of the first) of each tile; none where single rows are better. */
export function attentionTiles(spans: readonly Span[]): number[][] {
  const tiles: number[][] = [];
  let row = 0;
  for (const { slot, start, count } of spans) {
    for (let r = 0; r < count; r += ATTENTION_ROWS) {
      tiles.push([row + r, Math.min(ATTENTION_ROWS, count - r), slot, start + r]);
    }
    row += count;
  }
  return row < FEWEST_ATTENTION_ROWS * tiles.length ? [] : tiles;
}

/** Behind a table of rows there is room for as many tiles: the first one's place in it. */
export function tilesPlace(rows: GPUBuffer): number {
  return rows.size / (2 * 4 * TILE_WORDS);
}

const TILE_WORDS = 4;

/** A table of rows, and behind it the tiles of their attention. */
export function writeRows(
  queue: GPUQueue,
  to: GPUBuffer,
  table: Uint32Array<ArrayBuffer>,
  spans: readonly Span[],
): void {
  queue.writeBuffer(to, 0, table);
  const tiles = attentionTiles(spans).flat();
  if (tiles.length > 0) queue.writeBuffer(to, to.size / 2, new Uint32Array(tiles));
}
