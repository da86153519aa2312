import { expect, test } from "vitest";
import type { Span } from "../../../../src/backends/backend.ts";
import {
  shareOf,
  shareOfAttention,
  shareOfRows,
} from "../../../../src/backends/wasm/threads/part.ts";

const COUNTS = [1, 2, 3, 5, 8];

function partsOf<Share>(count: number, share: (part: { index: number; count: number }) => Share) {
  return Array.from({ length: count }, (_, index) => share({ index, count }));
}

test("shares cover everything once, in order, and differ by one at most", () => {
  for (const count of COUNTS) {
    for (const total of [0, 1, 2, 7, 36, 3072]) {
      const shares = partsOf(count, (part) => shareOf(total, part));
      expect(shares[0].from).toBe(0);
      expect(shares.at(-1)?.to).toBe(total);
      shares.slice(1).forEach(({ from }, i) => {
        expect(from).toBe(shares[i].to);
      });
      const sizes = shares.map(({ from, to }) => to - from);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  }
});

test("rows are shared by whole tiles of four", () => {
  for (const count of COUNTS) {
    for (const rows of [1, 3, 4, 5, 33, 64]) {
      const shares = partsOf(count, (part) => shareOfRows(rows, part));
      expect(shares.map(({ from }) => from % 4 === 0 || from === rows)).not.toContain(false);
      const covered = shares.flatMap(({ from, to }) =>
        Array.from({ length: to - from }, (_, i) => from + i),
      );
      expect(covered).toEqual(Array.from({ length: rows }, (_, i) => i));
    }
  }
});

const BATCHES: Span[][] = [
  [{ slot: 0, start: 700, count: 1 }],
  [{ slot: 2, start: 0, count: 64 }],
  [
    { slot: 0, start: 5, count: 1 },
    { slot: 3, start: 90, count: 33 },
    { slot: 1, start: 0, count: 2 },
  ],
];

test.each([
  [9, 3],
  [6, 6],
  [8, 1],
  [5, 1],
  [64, 1],
])("attention of %i heads over %i is computed once for every query and head", (heads, kvHeads) => {
  for (const spans of BATCHES) {
    const rows = spans.reduce((sum, { count }) => sum + count, 0);
    for (const count of COUNTS) {
      const times = new Map<string, number>();
      for (const pieces of partsOf(count, (p) => shareOfAttention(spans, heads, kvHeads, p))) {
        for (const piece of pieces) {
          expect(piece.kvHead).toBe(Math.floor((piece.to - 1) / (heads / kvHeads)));
          expect(piece.kvHead).toBe(Math.floor(piece.from / (heads / kvHeads)));
          for (let row = piece.row; row < piece.row + piece.rows; row++) {
            expect(positionOf(spans, row)).toEqual({
              slot: piece.slot,
              position: piece.position + row - piece.row,
            });
            for (let head = piece.from; head < piece.to; head++) {
              const key = `${row} ${head}`;
              times.set(key, (times.get(key) ?? 0) + 1);
            }
          }
        }
      }
      expect(times.size).toBe(rows * heads);
      expect(new Set(times.values())).toEqual(new Set([1]));
    }
  }
});

test("attention of a prompt costs two threads about the same", () => {
  const spans = [{ slot: 0, start: 448, count: 64 }];
  const costs = partsOf(2, (part) =>
    shareOfAttention(spans, 9, 3, part).reduce(
      (sum, { rows, from, to, position }) => sum + rows * (to - from) * (position + rows / 2),
      0,
    ),
  );
  expect(Math.max(...costs) / Math.min(...costs)).toBeLessThan(1.1);
});

function positionOf(spans: readonly Span[], row: number) {
  let first = 0;
  for (const { slot, start, count } of spans) {
    if (row < first + count) return { slot, position: start + row - first };
    first += count;
  }
  return undefined;
}
