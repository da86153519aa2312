import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { answerText, jsonLine, visibleText } from "../../../src/cli/terminal/visible-text.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const WITH_TOKENIZER = "tests/goldens/tokenizers/tok_bpe.gguf";

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

test("a document of --json is the same to who reads it, and no command to a terminal", () => {
  const document = { text: "\u001b[2J\u009b1;1H\u007fé\u00a0" };
  const line = jsonLine(document);
  expect(JSON.parse(line)).toEqual(document);
  expect(visibleText(line)).toBe(line);
});

test("a file's own words, in a report of it, command no terminal", async () => {
  const path = join(await temporaryFolder(), "model.gguf");
  const bytes = readFileSync(WITH_TOKENIZER);
  bytes.write("\u001b[2J", bytes.indexOf("<|eot_id|>"));
  writeFileSync(path, bytes);
  const report = await pronk(["inspect", path]);
  expect(report).toMatchObject({ code: 0, err: "" });
  expect(report.out).toMatch(/a turn ends with\s+<.*>\s+\ufffd\[2Jt_id/);
  expect(report.out).not.toContain("\u001b");
});

test("text that is decoded is shown as an answer is", async () => {
  const typed = ["tokenize", WITH_TOKENIZER, "--decode"];
  const { out: ids } = await pronk(typed.slice(0, 2), { stdin: "\u001b[2J" });
  expect((await pronk(typed, { stdin: ids })).out).toBe("\u001b[2J");
  expect((await pronk(typed, { stdin: ids, isOutTerminal: true })).out).toBe("\ufffd[2J");
});
