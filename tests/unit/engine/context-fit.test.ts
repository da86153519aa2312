import { describe, expect, test } from "vitest";
import { fitContext } from "../../../src/engine/context-fit.ts";

/** 1,000 bytes and 10 a position. */
const total = (ctx: number): number => 1000 + 10 * ctx;

test("takes the model's context when it fits, in tiles of 8", () => {
  expect(fitContext(undefined, 100, 10_000, total)).toBe(104);
});

test.each([1080, 1081, 1159])("takes the largest context that fits %i bytes", (budget) => {
  expect(fitContext(undefined, 100, budget, total)).toBe(8);
});

test("grows with the budget to the last byte", () => {
  expect(fitContext(undefined, 2048, 1000 + 10 * 512, total)).toBe(512);
  expect(fitContext(undefined, 2048, 1000 + 10 * 512 - 1, total)).toBe(504);
});

test("an asked context is rounded up to a tile", () => {
  expect(fitContext(9, 100, 10_000, total)).toBe(16);
});

describe("refuses", () => {
  test.each([
    ["a budget under 8 positions", undefined, 1079, "out_of_memory", "1080 bytes for 8 positions"],
    ["an asked context over the budget", 64, 1639, "out_of_memory", "needs 1640 bytes"],
    ["an asked context over the model's", 101, 9999, "bad_request", "the model has 100 positions"],
    ["no context", 0, 9999, "bad_request", "ctx 0"],
    ["half a position", 8.5, 9999, "bad_request", "ctx 8.5"],
  ])("%s", (_, asked, budget, code, message) => {
    expect(() => fitContext(asked, 100, budget, total)).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
