import { describe, expect, test } from "vitest";
import type { Batch } from "../../../src/backends/backend.ts";
import { checkBatch } from "../../../src/backends/check-batch.ts";

const runner = { vocab: 10, ctx: 8, slots: 2, maxRows: 4, maxLogits: 2 };
const sizes = { width: 2, masks: true };
const good: Batch = {
  ids: [1, 2, 3],
  spans: [
    { slot: 1, start: 6, count: 2 },
    { slot: 0, start: 0, count: 1 },
  ],
  logitsRows: [1, 2],
};

test("takes rows of several sequences up to the end of the context", () => {
  expect(() => checkBatch(good, runner, sizes)).not.toThrow();
});

describe("refuses", () => {
  const span = { slot: 0, start: 0, count: 3 };
  test.each([
    ["no rows", { ids: [], spans: [] }],
    ["more rows than the runner has", { ids: [1, 1, 1, 1, 1], spans: [{ ...span, count: 5 }] }],
    ["an id outside the vocabulary", { ids: [1, 2, 10] }],
    ["a negative id", { ids: [1, -1, 2] }],
    ["a fraction of an id", { ids: [1, 1.5, 2] }],
    ["a slot that does not exist", { spans: [{ ...span, slot: 2 }] }],
    [
      "a slot twice",
      {
        spans: [
          { ...span, count: 1 },
          { ...span, start: 1, count: 2 },
        ],
      },
    ],
    ["a span of no rows", { spans: [span, { slot: 1, start: 0, count: 0 }] }],
    ["a position before the first", { spans: [{ ...span, start: -1 }] }],
    ["a position beyond the context", { spans: [{ ...span, start: 6 }] }],
    ["spans that leave a row out", { spans: [{ ...span, count: 2 }] }],
    ["logits of a row that is not there", { logitsRows: [3] }],
    ["logits in descending order", { logitsRows: [1, 0] }],
    ["more logits than the runner has", { logitsRows: [0, 1, 2] }],
    ["embeddings of another size", { embeds: new Float32Array(5) }],
    ["positions of fewer rows", { spans: [{ ...span, positions: [0, 1] }] }],
    ["a rotary position beyond the context", { spans: [{ ...span, positions: [0, 1, 8] }] }],
    ["a mask of another size", { spans: [{ ...span, visible: new Uint8Array(8) }] }],
  ])("%s", (_, change) => {
    expect(() => checkBatch({ ...good, ...change }, runner, sizes)).toThrowError(
      expect.objectContaining({ code: "bad_request", message: expect.stringMatching(/^batch: /) }),
    );
  });
});

test("refuses a mask where the runner has no room for it", () => {
  const span = { slot: 0, start: 0, count: 3, visible: new Uint8Array(9) };
  expect(() => checkBatch({ ...good, spans: [span] }, runner, { width: 2, masks: false })).toThrow(
    "batch: slot 0: a mask, and the runner has no room for masks",
  );
});
