/** How tokens are written, said and coloured. */
import { describe, expect, test } from "vitest";
import { parseSchema } from "../../../src/playground/views/parse-schema.ts";
import { sharedCharacters } from "../../../src/playground/views/piece-groups.ts";
import { percent, surpriseLevel } from "../../../src/playground/views/probability.ts";
import { shownToken, spokenToken, visibleToken } from "../../../src/playground/views/token-text.ts";

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];

describe("a token", () => {
  test.each([
    [" week", "␣week", "space week"],
    ["\n", "↵", "line end"],
    ["\t\n", "⇥↵", "tab, line end"],
    ["", "(no text)", "no text"],
    ["a\u200bb", "aU+200Bb", "a\u200bb"],
    ["\u0000", "U+0000", "\u0000"],
    ["\ufeff", "U+FEFF", "blank"],
    ["🙂", "🙂", "🙂"],
  ])("%j is written %s and said %s", (text, written, said) => {
    expect(visibleToken(bytes(text))).toBe(written);
    expect(spokenToken(bytes(text))).toBe(said);
    expect(shownToken(bytes(text))).toEqual({ text, isPartial: false });
  });

  test("of some bytes of a character is those bytes", () => {
    const part = bytes("🙂").slice(0, 2);
    expect(shownToken(part)).toEqual({ text: "F0 9F", isPartial: true });
    expect(visibleToken(part)).toBe("bytes F0 9F");
    expect(spokenToken(part)).toBe("part of a character, bytes F0 9F");
  });
});

test("tokens that share a character know it, and which part they are", () => {
  const [first, second, third] = [[32, 0xf0, 0x9f], [0x99], [0x82]];
  const pieces = [bytes("a"), first, second, third, bytes(" b"), [0xff]].map((some) => ({
    bytes: some as number[],
    special: false,
  }));
  const part = (of: number) => ({ text: " 🙂", part: of, parts: 3 });
  expect(sharedCharacters(pieces)).toEqual([
    undefined,
    part(1),
    part(2),
    part(3),
    undefined,
    undefined,
  ]);
});

test.each([
  [1, "100 %", 0],
  [0.9999, "> 99.9 %", 0],
  [0.9, "90.0 %", 0],
  [0.6, "60.0 %", 1],
  [0.31, "31.0 %", 2],
  [0.1001, "10.0 %", 3],
  [0.0999, "10.0 %", 4],
  [0.0001, "< 0.1 %", 4],
])("a probability of %d is written %s, at level %d", (probability, written, level) => {
  expect(percent(Math.log(probability))).toBe(written);
  expect(surpriseLevel(Math.log(probability))).toBe(level);
});

describe("a schema as it is typed", () => {
  test.each([`{"type":"object"}`, "true"])("%s is one", (text) => {
    expect(parseSchema(text)).toEqual({ value: JSON.parse(text) });
  });

  test("that is no JSON is refused by its line", () => {
    const { error } = parseSchema('{\n  "type": object\n}');
    expect(error).toBe("The schema is not JSON: line 2, column 11: expected a value, found object");
  });

  test.each(["[]", "null", "7", '"a"'])("%s is none", (text) => {
    expect(parseSchema(text)).toEqual({ error: "The schema is no object" });
  });
});
