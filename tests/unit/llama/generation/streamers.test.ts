import { expect, test, vi } from "vitest";
import { TextIteratorStreamer, TextStreamer } from "../../../../src/llama/generation/streamers.ts";

/** One id is one UTF-16 unit of these texts; 0 is left out on request. */
const tokenizer = {
  decode: (ids: readonly number[], options?: { skip?: boolean }): string =>
    String.fromCharCode(...ids.filter((id) => !(options?.skip && id === 0))),
};
const idsOf = (text: string): number[] => Array.from(text, (_, i) => text.charCodeAt(i));

function stream(text: string, options: { skip_prompt?: boolean } = {}): [string, boolean][] {
  const out: [string, boolean][] = [];
  const streamer = new TextStreamer(tokenizer, {
    ...options,
    onText: (piece, isEnd) => out.push([piece, isEnd]),
  });
  streamer.put([idsOf("Hi ")]);
  for (const id of idsOf(text)) streamer.put([[id]]);
  streamer.end();
  return out.filter(([piece, isEnd]) => piece !== "" || isEnd);
}

test("gives out whole words, and the rest at the end", () => {
  expect(stream("a bc d")).toEqual([
    ["Hi ", false],
    ["a ", false],
    ["bc ", false],
    ["d", true],
  ]);
});

test("gives out a line when it ends, and characters of words without spaces at once", () => {
  expect(stream("ab\n你好c", { skip_prompt: true })).toEqual([
    ["ab\n", false],
    ["你", false],
    ["好", false],
    ["c", true],
  ]);
});

test("leaves out one prompt, then streams the next text the same way", () => {
  const out: string[] = [];
  const streamer = new TextStreamer(tokenizer, { skip_prompt: true, onText: (t) => out.push(t) });
  for (let i = 0; i < 2; i++) {
    streamer.put([idsOf("prompt ")]);
    streamer.put([idsOf("x ")]);
    streamer.end();
  }
  expect(out.join("|")).toBe("x ||x |");
});

test("hands its options to the tokenizer, and takes one row only", () => {
  const out: string[] = [];
  const streamer = new TextStreamer(tokenizer, {
    decode: { skip: true },
    onText: (text) => out.push(text),
  });
  streamer.put([[97, 0, 32]]);
  expect(out).toEqual(["a "]);
  expect(() => streamer.put([[1], [2]])).toThrow("TextStreamer only supports batch size 1");
});

test("writes whole lines to the console", () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const streamer = new TextStreamer(tokenizer);
  streamer.put([idsOf("one two\nthree ")]);
  streamer.end();
  const lines = log.mock.calls.map(([line]) => line);
  log.mockRestore();
  expect(lines).toEqual(["one two", "three "]);
});

test("is read while it is written", async () => {
  const streamer = new TextIteratorStreamer(tokenizer, { timeout: 5 });
  const writing = (async () => {
    for (const text of ["a ", "b ", "c"]) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      streamer.put([idsOf(text)]);
    }
    streamer.end();
  })();
  const pieces: string[] = [];
  for await (const piece of streamer) pieces.push(piece);
  await writing;
  expect(pieces.join("")).toBe("a b c");
  expect(pieces.length).toBeGreaterThan(2);
});

test("a reader does not wait longer than it says", async () => {
  const streamer = new TextIteratorStreamer(tokenizer, { timeout: 0.01 });
  await expect(streamer[Symbol.asyncIterator]().next()).rejects.toThrow("no text for 0.01 s");
});

test("a reader gets what was written before a failure, then the failure", async () => {
  const streamer = new TextIteratorStreamer(tokenizer);
  const reading = (async () => {
    const pieces: string[] = [];
    try {
      for await (const piece of streamer) pieces.push(piece);
    } catch (error) {
      return { pieces, error };
    }
    return { pieces };
  })();
  streamer.put([idsOf("a ")]);
  await new Promise((resolve) => setTimeout(resolve, 1));
  streamer.fail(new Error("the model is gone"));
  expect(await reading).toEqual({ pieces: ["a "], error: new Error("the model is gone") });
});
