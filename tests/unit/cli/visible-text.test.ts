import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { answerText, visibleText } from "../../../src/cli/terminal/visible-text.ts";

test.each([
  ["a clipboard that is written", "\u001b]52;c;cm0gLXJm\u0007", "\ufffd]52;c;cm0gLXJm\ufffd"],
  ["a screen that is cleared", "\u001b[2J\u009b1;1H", "\ufffd[2J\ufffd1;1H"],
  ["a line that is written over", "no\rok\b\b", "no\ufffdok\ufffd\ufffd"],
  ["text", "é 🙂\tone\ntwo", "é 🙂\tone\ntwo"],
])("%s", (_, text, shown) => expect(visibleText(text)).toBe(shown));

test("an answer is as it is, but on a terminal", () => {
  expect(answerText("\u001b[2J", { isOutTerminal: false })).toBe("\u001b[2J");
  expect(answerText("\u001b[2J", { isOutTerminal: true })).toBe("\ufffd[2J");
});

test("a chat shows answers so, whoever types", () => {
  // What `pronk run` shows is tried in tests/e2e/terminal.test.ts; no grammar makes a chat say this.
  expect(readFileSync("src/cli/chat.ts", "utf8")).toContain("= answerText(piece, cli);");
});
