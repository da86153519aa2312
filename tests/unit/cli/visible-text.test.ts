import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { visibleText } from "../../../src/cli/terminal/visible-text.ts";

test.each([
  ["a clipboard that is written", "\u001b]52;c;cm0gLXJm\u0007", "\ufffd]52;c;cm0gLXJm\ufffd"],
  ["a screen that is cleared", "\u001b[2J\u009b1;1H", "\ufffd[2J\ufffd1;1H"],
  ["a line that is written over", "no\rok\b\b", "no\ufffdok\ufffd\ufffd"],
  ["text", "é 🙂\tone\ntwo", "é 🙂\tone\ntwo"],
])("%s", (_, text, shown) => expect(visibleText(text)).toBe(shown));

test("a chat on a terminal shows answers so", () => {
  // The terminal's part is run by tests/e2e/terminal.test.ts; here only that it goes through this.
  expect(readFileSync("src/cli/chat.ts", "utf8")).toContain("words?.write(visibleText(piece))");
});
