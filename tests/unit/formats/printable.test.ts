import { expect, test } from "vitest";
import { printable } from "../../../src/formats/printable.ts";

test.each([
  ["blk.0.attn_q.weight", "blk.0.attn_q.weight"],
  ["größe 🦙", "größe 🦙"],
  ["a\nb\0", "a\\u{a}b\\u{0}"],
  ["\u001b[31m\u202e\u2028", "\\u{1b}[31m\\u{202e}\\u{2028}"],
  ["x".repeat(96), "x".repeat(96)],
  ["x".repeat(97), `${"x".repeat(96)}…`],
  ["\n".repeat(90), `${"\\u{a}".repeat(20).slice(0, 96)}…`],
])("%j is shown as %j", (name, shown) => {
  expect(printable(name)).toBe(shown);
});
