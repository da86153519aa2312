import { expect, test } from "vitest";
import { coldStartOf, coldStartText } from "../../../src/cli/cold-start.ts";

const loading = {
  open_ms: 4,
  kernel_ms: 13,
  memory_ms: 6,
  tokenizer_ms: 9,
  read_ms: 52,
  verify_ms: 60,
  finish_ms: 3,
  total_ms: 147,
};
const marks = { command: 60, loaded: 215, prompted: 221, firstToken: 301 };

test("the phases of a cold start add up to its first token", () => {
  const { first_token_ms, ...phases } = coldStartOf(marks, loading);
  expect(phases).toMatchObject({ start_ms: 60, prepare_ms: 8, encode_ms: 6, prompt_ms: 80 });
  expect(Object.values(phases).reduce((sum, ms) => sum + ms, 0)).toBe(first_token_ms);
  expect(first_token_ms).toBe(301);
});

test("people read a line for each phase", () => {
  const lines = coldStartText(coldStartOf(marks, loading)).trimEnd().split("\n");
  expect(lines).toHaveLength(12);
  expect(lines[0]).toBe("start            60.0 ms");
  expect(lines[11]).toBe("first token     301.0 ms");
});
