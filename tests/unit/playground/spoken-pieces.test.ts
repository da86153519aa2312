import { expect, test } from "vitest";
import { nextPiece } from "../../../src/playground/chat/spoken-pieces.ts";
import type { Message } from "../../../src/playground/state/conversation.ts";

const TEXT =
  "A llama is a domesticated animal of South America. It is kept for its wool, and carries loads.\n" +
  "- It hums.\n- It spits, when it is annoyed by another llama or, seldom, by people. And so on";

test("an answer that grows by a character at a time is said whole, once, in pieces that end", () => {
  const said: string[] = [];
  let chars = 0;
  for (let length = 1; length <= TEXT.length; length++) {
    const piece = nextPiece(message(TEXT.slice(0, length), "running"), chars);
    if (piece === undefined) continue;
    said.push(piece);
    chars += piece.length;
  }
  expect(said.length).toBeGreaterThan(1);
  for (const piece of said) expect(piece).toMatch(/[.:!?]\s$|\n$/);
  const rest = nextPiece(message(TEXT, "done"), chars);
  expect(said.join("") + rest).toBe(TEXT);
});

test("nothing is said twice when it has ended", () => {
  expect(nextPiece(message(TEXT, "done"), Number.POSITIVE_INFINITY)).toBeUndefined();
});

function message(text: string, state: "running" | "done"): Message {
  return { id: "1", parent: undefined, role: "assistant", text, state };
}
