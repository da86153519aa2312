import { expect, test } from "vitest";
import { wantedSpans } from "../../../src/backends/wanted-spans.ts";

const SPANS = [
  { slot: 2, start: 10, count: 3 },
  { slot: 0, start: 0, count: 1 },
  { slot: 1, start: 7, count: 4 },
];

test.each([
  ["none", [], []],
  ["all", [0, 1, 2, 3, 4, 5, 6, 7], SPANS],
  [
    "each span's last",
    [2, 3, 7],
    [
      { slot: 2, start: 12, count: 1 },
      { slot: 0, start: 0, count: 1 },
      { slot: 1, start: 10, count: 1 },
    ],
  ],
  [
    "neighbours together, others apart",
    [1, 4, 6, 7],
    [
      { slot: 2, start: 11, count: 1 },
      { slot: 1, start: 7, count: 1 },
      { slot: 1, start: 9, count: 2 },
    ],
  ],
  [
    "neighbours of two spans",
    [2, 3, 4],
    [
      { slot: 2, start: 12, count: 1 },
      { slot: 0, start: 0, count: 1 },
      { slot: 1, start: 7, count: 1 },
    ],
  ],
])("%s of the rows keep their slots and positions", (_, rows, expected) => {
  expect(wantedSpans(SPANS, rows)).toEqual(expected);
});
