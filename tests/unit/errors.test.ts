import { expect, test } from "vitest";
import { PronkError } from "../../src/errors.ts";

const messageOf = (message: string): string => new PronkError("bad_format", message).message;

test.each([
  ["m.gguf: größe 🦙\n  of \t2", "m.gguf: größe 🦙\n  of \t2"],
  ["a\u0000b\u001b[2J\r", "a\\u{0}b\\u{1b}[2J\\u{d}"],
  ["\u009b2J\u202egnp.exe\u2028", "\\u{9b}2J\\u{202e}gnp.exe\\u{2028}"],
  ["half a pair: \ud800.", "half a pair: \\u{d800}."],
])("the message %j shows as %j", (message, text) => {
  expect(messageOf(message)).toBe(text);
});

test("a message of any length begins and ends as it did, and is short", () => {
  const message = messageOf(`m.json: model ${"x".repeat(1e6)}; supported: BPE`);
  expect(message).toMatch(/^m\.json: model x+ … x+; supported: BPE$/);
  expect(message.length).toBe(2000);
  expect(messageOf("\u0000".repeat(1e6)).length).toBe(2000);
  expect(messageOf(`a${"🦙".repeat(1e6)}`)).toMatch(
    /^a🦙+(?:\\u\{d83e\})? … (?:\\u\{dd99\})?🦙+$/u,
  );
});
