import { describe, expect, test } from "vitest";
import type { Batch, Chooser, RowChoice } from "../../../src/backends/backend.ts";
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

describe("choices", () => {
  const nothing = (): never => {
    throw new Error("not read here");
  };
  const chooser: Chooser = { ahead: 3, most: 5, chosen: nothing, largest: nothing };
  const draw: RowChoice = { kind: "draw", temperature: 0.5, seed: 1n, index: 0 };
  const ahead: Batch = {
    ids: [1, 2],
    spans: [
      { slot: 1, start: 5, count: 1 },
      { slot: 0, start: 0, count: 1 },
    ],
    logitsRows: [0, 1],
    choices: [{ kind: "argmax" }, draw],
    ahead: 3,
  };
  const check = (batch: Batch, has: Chooser | undefined = chooser): void =>
    checkBatch(batch, { ...runner, chooser: has }, sizes);

  test("of every kind are taken, and tokens ahead up to the end of the context", () => {
    expect(() => check(ahead)).not.toThrow();
    const largest: RowChoice = { kind: "largest", count: 5, temperature: 2 };
    for (const choices of [
      [largest, undefined],
      [undefined, draw],
      [draw, largest],
    ]) {
      expect(() => check({ ...good, choices })).not.toThrow();
    }
    expect(() => check({ ...good, choices: [{ ...draw, logits: true }, draw] })).not.toThrow();
  });

  const other = (change: object): readonly RowChoice[] => [{ ...draw, ...change }, draw];
  const span = ahead.spans[0];
  test.each<[string, object]>([
    ["for fewer rows than have logits", { choices: [draw] }],
    ["of states", { states: true }],
    ["at a temperature of 0", { choices: other({ temperature: 0 }) }],
    ["at an endless temperature", { choices: other({ temperature: Number.POSITIVE_INFINITY }) }],
    ["at no temperature", { choices: other({ temperature: Number.NaN }) }],
    ["before the first token", { choices: other({ index: -1 }) }],
    ["by a seed below 0", { choices: other({ seed: -1n }) }],
    ["by a seed of 65 bits", { choices: other({ seed: 1n << 64n }) }],
    ["for none of the largest", { ahead: 1, choices: [draw, { kind: "largest", count: 0 }] }],
    ["for too many of the largest", { ahead: 1, choices: [draw, { kind: "largest", count: 6 }] }],
    ["no token ahead", { ahead: 0 }],
    ["half a token ahead", { ahead: 1.5 }],
    ["too many tokens ahead", { ahead: 4 }],
    ["tokens ahead without choices", { choices: undefined }],
    ["tokens ahead of logits", { choices: [draw, undefined] }],
    ["tokens ahead of a draw with logits", { choices: other({ logits: true }) }],
    ["tokens ahead of the largest", { choices: [draw, { kind: "largest", count: 1 }] }],
    ["tokens ahead of embeddings", { embeds: new Float32Array(4) }],
    ["tokens ahead beyond the context", { spans: [{ ...span, start: 6 }, ahead.spans[1]] }],
    ["tokens ahead at other places", { spans: [{ ...span, positions: [0] }, ahead.spans[1]] }],
    [
      "tokens ahead under a mask",
      { spans: [{ ...span, visible: new Uint8Array(6) }, ahead.spans[1]] },
    ],
    [
      "tokens ahead of two rows",
      { ids: [1, 2, 3], logitsRows: [1, 2], spans: [{ ...span, count: 2 }, ahead.spans[1]] },
    ],
  ])("refuses them %s", (_, change) => {
    expect(() => check({ ...ahead, ...change })).toThrowError(
      expect.objectContaining({ code: "bad_request", message: expect.stringMatching(/^batch: /) }),
    );
  });

  test("are refused where the runner has no chooser", () => {
    const { ahead: _, ...batch } = ahead;
    expect(() => checkBatch(batch, runner, sizes)).toThrow("the runner does not choose");
    expect(() => checkBatch({ ...good, ahead: 2 }, runner, sizes)).toThrow("ahead: 2, not 1 to 1");
  });
});
