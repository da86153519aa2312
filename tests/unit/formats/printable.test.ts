import { expect, test } from "vitest";
import { printable, shown } from "../../../src/formats/printable.ts";

test.each([
  ["blk.0.attn_q.weight", "blk.0.attn_q.weight"],
  ["größe 🦙", "größe 🦙"],
  ["a\nb\0", "a\\u{a}b\\u{0}"],
  ["\u001b[31m\u202e\u2028", "\\u{1b}[31m\\u{202e}\\u{2028}"],
  ["x".repeat(96), "x".repeat(96)],
  ["x".repeat(97), `${"x".repeat(96)}…`],
  ["\n".repeat(90), `${"\\u{a}".repeat(20).slice(0, 96)}…`],
])("%j is shown as %j", (name, text) => {
  expect(printable(name)).toBe(text);
});

test.each([
  [undefined, "nothing"],
  [null, "null"],
  [1.5, "1.5"],
  [Number.NaN, "NaN"],
  [2n ** 63n, "9223372036854775808"],
  ["llama", '"llama"'],
  ["\u001b[31m\u202e", '"\\u001b[31m\\u{202e}"'],
  ["x".repeat(1000), `"${"x".repeat(95)}…`],
  [[1, [2]], "a list of 2"],
  [Float32Array.of(1, 2), "a list of 2"],
  [{ toString: 1, valueOf: 1 }, "an object"],
])("the value %o of a file is shown as %s", (value, text) => {
  expect(shown(value)).toBe(text);
});
