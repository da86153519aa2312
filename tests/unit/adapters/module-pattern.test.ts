/** Patterns name modules as Python's re.fullmatch does; expected values are Python's. */
import { expect, test } from "vitest";
import { modulePattern } from "../../../src/adapters/module-pattern.ts";

const NAME = "model.layers.12.self_attn.q_proj";

test.each([
  [".*q_proj", NAME, true],
  ["q_proj", NAME, false],
  [".*\\.(q|v)_proj$", NAME, true],
  ["model\\.layers\\.(1[0-5]|2)\\.self_attn\\.[qkvo]_proj", NAME, true],
  ["model\\.layers\\.\\d\\.self_attn\\.[qkvo]_proj", NAME, false],
  ["^(?!.*mlp).*proj$", NAME, true],
  ["^(?!.*self_attn).*proj$", NAME, false],
  ["(?:.*?)(?P<name>q_proj|k_proj)", NAME, true],
  [".*layers\\.\\d{2}\\..*", NAME, true],
  [".*layers\\.\\d{3,}\\..*", NAME, false],
  [".*(?=q_proj)q.*", NAME, true],
  [".*[^a-p]_proj", NAME, true],
  [".*\\bself_attn\\b.*", NAME, true],
  [".*\\bself\\b.*", NAME, false],
  ["[a-z]+\\.[^.]*\\.[\\d]+\\.\\w+\\.\\w+\\Z", NAME, true],
  ["(a|ab)(c|bcd)d?", "abcd", true],
  ["(a*)*b", "aaaa", false],
  ["x{,3}", "xx", true],
  ["x{2}", "xxx", false],
  ["a{", "a{", true],
  ["[]a]+", "]a", true],
  ["", "", true],
])("%s on %s: %s", (pattern, text, expected) => {
  expect(modulePattern(pattern, "test")(text)).toBe(expected);
});

test("nested repeats take no longer than their length allows", () => {
  const matches = modulePattern("((((a*)*)*)*)*b", "test");
  const started = performance.now();
  expect(matches("a".repeat(60))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});

test("a pattern that takes too many steps is refused", () => {
  const pattern = `${"(?:(?=.*.*.*).?){0,60}".repeat(50)}`;
  expect(() => modulePattern(pattern, "test")("x".repeat(200))).toThrowError(/steps/);
});

test.each([
  ["(?<=a)b", "unsupported"],
  ["(a)\\1", "unsupported"],
  ["(?i)a", "unsupported"],
  ["a{9999}", "unsupported"],
  ["(".repeat(100), "unsupported"],
  ["(a", "bad_format"],
  ["a)", "bad_format"],
  ["*a", "bad_format"],
  ["a**", "bad_format"],
  ["[a", "bad_format"],
  ["[z-a]", "bad_format"],
  ["a\\", "bad_format"],
])("%s is refused as %s", (pattern, code) => {
  expect(() => modulePattern(pattern, "test")).toThrowError(expect.objectContaining({ code }));
});
