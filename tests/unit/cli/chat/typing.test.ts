/** What is typed and pasted, before it is a message: keys, search, several lines, completion. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { completeChat } from "../../../../src/cli/chat/chat-commands.ts";
import { readMessage } from "../../../../src/cli/chat/read-message.ts";
import type { LineInput } from "../../../../src/cli/command.ts";
import { HistorySearch } from "../../../../src/cli/terminal/history-search.ts";
import { TerminalKeys } from "../../../../src/cli/terminal/terminal-keys.ts";
import { temporaryFolder } from "../../platform/temporary-folder.ts";

/** What readline would get of what a terminal sends, piece by piece. */
function typed(history: readonly string[] = []) {
  const input = new PassThrough() as unknown as NodeJS.ReadStream;
  const shown: [prompt: string | undefined, text: string][] = [];
  let interrupts = 0;
  let isTaken = true;
  const search = new HistorySearch(() => ({
    history,
    text: "typed",
    show: (prompt, text) => shown.push([prompt, text]),
  }));
  const keys = new TerminalKeys(input, {
    search,
    interrupt: () => (isTaken ? () => interrupts++ : undefined),
  });
  const send = async (...pieces: readonly (string | Uint8Array)[]): Promise<string> => {
    for (const piece of pieces) {
      (input as unknown as PassThrough).write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return String(keys.stream.read() ?? "");
  };
  const nobodyTakes = (): void => {
    isTaken = false;
  };
  return { send, keys, shown, interrupts: () => interrupts, nobodyTakes };
}

const PASTE = "\x1b[200~one\r\n\ttwo\x03\r\x1b[31mthree\x1b[201~";

test("a paste is one line without keys in it, wherever its marks are cut", async () => {
  for (let cut = 1; cut < PASTE.length; cut++) {
    const { send, keys } = typed();
    keys.setReading(true);
    expect(await send(`a${PASTE.slice(0, cut)}`, `${PASTE.slice(cut)}b`), String(cut)).toBe(
      "aone⏎  two⏎[31mthreeb",
    );
  }
});

test("letters of several bytes may arrive in pieces, arrows at once, Escape a moment later", async () => {
  const { send, keys } = typed();
  keys.setReading(true);
  const bytes = new TextEncoder().encode("é\x1b[A\x1b");
  expect(await send(bytes.slice(0, 1), bytes.slice(1))).toBe("é\x1b[A");
  await expect.poll(() => send("")).toBe("\x1b");
});

test("what is typed while nobody reads waits, a line for each who reads", async () => {
  const { send, keys, interrupts } = typed();
  expect(await send("one\rtw", "o\r")).toBe("");
  keys.setReading(true);
  expect(await send("")).toBe("one\r");
  keys.setReading(true);
  expect(await send("three")).toBe("two\r");
  expect(interrupts()).toBe(0);
  await send("\x03");
  expect(interrupts()).toBe(1);
  keys.setReading(true);
  expect(await send("")).toBe(""); // Ctrl+C took it back
});

test("Ctrl+C that comes between two lines is that of who reads next", async () => {
  const { send, keys, nobodyTakes } = typed();
  nobodyTakes();
  expect(await send("one\x03t", "wo\x03three")).toBe("");
  keys.setReading(true);
  expect(await send("")).toBe("\x03three");
});

test("Ctrl+R finds the newest line, then the one before; Enter takes it, Ctrl+G gives it up", async () => {
  const { send, keys, shown } = typed(["a week", "the day", "a year"]);
  keys.setReading(true);
  expect(await send("x\x12")).toBe("x");
  expect(await send("a", "\x12")).toBe("");
  expect(shown.map(([, text]) => text)).toEqual(["", "a week", "the day"]);
  await send("q");
  expect(shown.at(-1)).toEqual(['(nothing has "aq") ', ""]);
  await send("\x7f");
  expect(await send("\r")).toBe("\r");
  expect(shown.slice(-2)).toEqual([
    ['(search "a") ', "a week"],
    [undefined, "a week"],
  ]);
  keys.setReading(true);
  expect(await send("\x12year\x07!")).toBe("!");
  expect(shown.slice(-2)).toEqual([
    ['(search "year") ', "a year"],
    [undefined, "typed"],
  ]);
});

/** Lines one after the other; what they became in the history. */
function lines(all: readonly (string | null)[]): LineInput & { entry: string | undefined } {
  const left = [...all];
  return {
    isTerminal: true,
    onInterrupt: undefined,
    entry: undefined,
    next: async () => left.shift(),
    remember(_, text) {
      this.entry = text;
    },
    close: () => undefined,
  };
}

test.each([
  [["one"], "one", undefined],
  [["one \\", "two\\", "three"], "one \ntwo\nthree", "one \ntwo\nthree"],
  [["one\\"], "one", undefined],
  [['"""', "one", "", "two", '"""'], "one\n\ntwo", "one\n\ntwo"],
  [['"""one', 'two"""'], "one\ntwo", "one\ntwo"],
  [['"""one"""'], "one", undefined],
  [['"""one', "two"], "one\ntwo", "one\ntwo"],
  [["one\\", null], null, undefined],
  [[null], null, undefined],
  [[], undefined, undefined],
])("%j is the message %j", async (all, message, entry) => {
  const input = lines(all);
  expect(await readMessage(input, "> ")).toBe(message);
  expect(input.entry).toBe(entry);
});

test("Tab completes commands, settings, examples and files, and no message", async () => {
  expect(completeChat("/he", [])).toEqual(["/help "]);
  expect(completeChat("!st", [])).toEqual(["!stats ", "!status "]);
  expect(completeChat("/set seed=1 top_", [])).toEqual([
    "/set seed=1 top_k=",
    "/set seed=1 top_p=",
  ]);
  expect(completeChat("/example s", ["socks", "code"])).toEqual(["/example socks"]);
  expect(completeChat("/stats o", [])).toEqual(["/stats on", "/stats off"]);
  expect(completeChat("he", [])).toEqual([]);
  const folder = await temporaryFolder();
  await mkdir(join(folder, "talks"));
  await writeFile(join(folder, "talk.json"), "");
  await writeFile(join(folder, ".hidden"), "");
  expect(completeChat(`/load ${folder}/ta`, []).sort()).toEqual([
    `/load ${folder}/talk.json`,
    `/load ${folder}/talks/`,
  ]);
  expect(completeChat(`/load ${folder}/`, [])).toHaveLength(2);
  expect(completeChat("/load /nowhere/x", [])).toEqual([]);
});
