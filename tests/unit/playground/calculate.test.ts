import { expect, test } from "vitest";
import { calculate } from "../../../src/playground/views/calculate.ts";

test.each([
  ["(23 + 19) * 7", 294],
  ["2 + 3 * 4", 14],
  ["10 - 4 - 3", 3],
  ["64 / 4 / 2", 8],
  ["2 ^ 3 ^ 2", 512],
  ["-2 ^ 2", -4],
  ["2 ** -1", 0.5],
  ["--3 + +1", 4],
  ["7 % 4", 3],
  ["0.1 + 0.2", 0.3],
  ["1.5e3 × 2 − .5", 2999.5],
])("%s is %d", (expression, value) => {
  expect(calculate(expression)).toBe(value);
});

test.each([
  ["", "nothing to calculate"],
  ["1 +", "expected a number at the end"],
  ["(1", "expected ) at the end"],
  ["1 2", "expected the end at 2"],
  ["1 / 0", "no finite number"],
  ["1.2.3", "expected the end at .3"],
  ["alert(1)", "expected a number at a"],
  ["constructor", "expected a number at c"],
  ["1".repeat(201), "longer than 200 characters"],
])("%s is refused: %s", (expression, message) => {
  expect(() => calculate(expression)).toThrow(message);
});

test("parentheses as deep as a text may be overflow nothing", () => {
  expect(calculate(`${"(".repeat(99)}1${")".repeat(99)}`)).toBe(1);
});
