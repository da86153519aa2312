import { expect, test } from "vitest";
import { strftime } from "../../../src/templates/strftime.ts";

test.each([
  ["%Y-%m-%d", "2024-01-07"],
  ["%d %b %Y", "07 Jan 2024"],
  ["%A, %d %B %y", "Sunday, 07 January 24"],
  ["%H:%M:%S", "00:03:09"],
  ["%I %p", "12 AM"],
  ["100%% %a", "100% Sun"],
  ["%Q stays", "%Q stays"],
])("%s is %s", (format, expected) => {
  expect(strftime(new Date(Date.UTC(2024, 0, 7, 0, 3, 9)), format)).toBe(expected);
});

test("the afternoon is PM, and noon is 12", () => {
  expect(strftime(new Date(Date.UTC(2024, 0, 7, 12)), "%I %p")).toBe("12 PM");
  expect(strftime(new Date(Date.UTC(2024, 0, 7, 15)), "%I %p")).toBe("03 PM");
});
