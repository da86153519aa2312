import { expect, test } from "vitest";
import type { WordPattern } from "../../../src/tokenizers/vocabulary.ts";
import { wordScanner } from "../../../src/tokenizers/word-patterns.ts";
import { randomSource } from "./vocabularies.ts";

/** The published patterns; \s written out, as JavaScript's differs from Oniguruma's. */
const S = "\\p{White_Space}";
const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|${S}+(?![^${S}])|${S}+`;
const LLAMA3 =
  "'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])" +
  "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" +
  `| ?[^${S}\\p{L}\\p{N}]+[\\r\\n]*|${S}*[\\r\\n]+|${S}+(?![^${S}])|${S}+`;

const byPattern = (source: string) => (text: string) => text.match(new RegExp(source, "gu")) ?? [];
const ORACLES: Record<WordPattern, (text: string) => string[]> = {
  "gpt-2": byPattern(GPT2),
  "llama-3": byPattern(LLAMA3),
  smollm: (text) => text.split(/(\p{N})/u).flatMap(byPattern(GPT2)),
};

function words(pattern: WordPattern, text: string): string[] {
  const scan = wordScanner(pattern);
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = scan(text, at, text.length);
    expect(end).toBeGreaterThan(at);
    found.push(text.slice(at, end));
    at = end;
  }
  return found;
}

const PATTERNS: WordPattern[] = ["gpt-2", "smollm", "llama-3"];

/** Each kind of character, those that decide alternatives several times. */
const ALPHABET = [
  ..."    \n\n\r\t'''abstmdrevlSTLREſK!.,-_0123459",
  ..."\u0085\u00a0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b\u001c\u180e",
  ..."éÅжñ中한\u0301\u0903²½Ⅻ٣\u{1d54f}\u{1d7d8}\u{1f600}\u{1f3fd}\u{e000}\u{10ffff}",
];

test.each(PATTERNS)("%s splits random text as the regular expression does", (pattern) => {
  const random = randomSource(7);
  for (let n = 0; n < 5000; n++) {
    const length = 1 + random(12);
    const text = Array.from({ length }, () => ALPHABET[random(ALPHABET.length)]).join("");
    const found = words(pattern, text);
    if (found.join("|") !== ORACLES[pattern](text).join("|")) {
      expect(found, JSON.stringify(text)).toEqual(ORACLES[pattern](text));
    }
  }
});

test.each(PATTERNS)("%s gives characters the class that the regular expression does", (p) => {
  // Behind a letter, a space and a number, as that is what classes change.
  for (let code = 0; code < 0x20000; code += code < 0x3000 ? 1 : 7) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    const text = `a${character} ${character}1`;
    const found = words(p, text).join("|");
    if (found !== ORACLES[p](text).join("|")) expect(found).toBe(ORACLES[p](text).join("|"));
  }
});

test("a lone surrogate is punctuation, and does not swallow its neighbour", () => {
  expect(words("gpt-2", "a\ud800b")).toEqual(["a", "\ud800", "b"]);
  expect(words("gpt-2", "a\udc00\ud800 b")).toEqual(["a", "\udc00\ud800", " b"]);
});

test.each(PATTERNS)("%s looks at nothing behind the given end", (pattern) => {
  const scan = wordScanner(pattern);
  const random = randomSource(9);
  for (let n = 0; n < 5000; n++) {
    const part = (): string =>
      Array.from({ length: 1 + random(4) }, () => ALPHABET[random(ALPHABET.length)]).join("");
    const text = part();
    expect(scan(text + part(), 0, text.length)).toBe(scan(text, 0, text.length));
  }
  expect(scan("'ll", 0, 2)).toBe(scan("'l", 0, 2));
  expect(scan("'s", 0, 1)).toBe(1);
});
