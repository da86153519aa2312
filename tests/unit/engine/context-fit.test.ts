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
    [
      "an asked context over the budget, saying what would fit",
      64,
      1639,
      "out_of_memory",
      "plan: ctx 64 needs 1640 bytes, the budget is 1639: 56 positions fit",
    ],
    [
      "an asked context where not even 8 positions fit",
      64,
      1079,
      "out_of_memory",
      "plan: 1080 bytes for 8 positions, the budget is 1079",
    ],
    ["an asked context over the model's", 101, 9999, "bad_request", "the model has 100 positions"],
    ["no context", 0, 9999, "bad_request", "ctx 0"],
    ["half a position", 8.5, 9999, "bad_request", "ctx 8.5"],
  ])("%s", (_, asked, budget, code, message) => {
    expect(() => fitContext(asked, 100, budget, total)).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

describe("without a budget, refuses what 32-bit addresses do not reach", () => {
  const gigabytes = (count: number) => (ctx: number) => count * 1e9 + 1e5 * ctx;

  test("a context, with the largest that fits", () => {
    expect(() => fitContext(32_768, 131_072, 2 ** 32, gigabytes(2))).toThrowError(
      "plan: ctx 32768 needs 5276800000 bytes (4.91 GiB), wasm32 holds 4 GiB: 22944 positions fit",
    );
  });

  test("a model", () => {
    expect(() => fitContext(undefined, 131_072, 2 ** 32, gigabytes(5))).toThrowError(
      "plan: 5000800000 bytes (4.66 GiB) for 8 positions, wasm32 holds 4 GiB",
    );
  });
});
