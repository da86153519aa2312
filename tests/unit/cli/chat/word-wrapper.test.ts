import { expect, test } from "vitest";
import { WordWrapper } from "../../../../src/cli/chat/word-wrapper.ts";

function wrapped(text: string, columns: number, column = 0): string {
  const words = new WordWrapper(() => columns, column);
  // As a model streams: a letter at a time is the hardest.
  return [...text].map((letter) => words.write(letter)).join("") + words.end();
}

test.each([
  ["one two three", 9, "one two\nthree"],
  ["one two three", 7, "one two\nthree"],
  ["  indented code", 80, "  indented code"],
  ["- a\n- b\n\n```js\nlet x;\n```", 80, "- a\n- b\n\n```js\nlet x;\n```"],
  ["abcdefghij k", 4, "abcdefghij k"], // a word longer than a line is the terminal's to break
  ["日本 日本 日本", 9, "日本 日本\n日本"], // two columns a letter
  ["e\u0301e\u0301 e\u0301e\u0301", 5, "e\u0301e\u0301 e\u0301e\u0301"], // one, with its accent
  ["a\tb c", 10, "a\tb\nc"],
  ["one\r\ntwo", 80, "one\ntwo"],
])("%j in %i columns", (text, columns, expected) => {
  expect(wrapped(text, columns)).toBe(expected);
});

test("the first line is shorter by what stands before it", () => {
  expect(wrapped("one two", 9, 4)).toBe("one\ntwo");
});

test("nothing that a model writes is a command to the terminal", () => {
  expect(wrapped("a\x1b[31mb\x07\x9bc", 80)).toBe("a\ufffd[31mb\ufffd\ufffdc");
});

test("a piece is written as soon as its word has ended", () => {
  const words = new WordWrapper(() => 80);
  expect(words.write("one tw")).toBe("one");
  expect(words.write("o ")).toBe(" two");
  expect(words.end()).toBe("");
});
