import { readFile, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { historyPath, openChatHistory } from "../../../../src/cli/chat/chat-history.ts";
import { temporaryFolder } from "../../platform/temporary-folder.ts";

const path = async (): Promise<string> =>
  historyPath({ XDG_STATE_HOME: join(await temporaryFolder(), "state") });

test("what was typed is there in the next chat, the newest first, for its owner alone", async () => {
  const file = await path();
  const first = await openChatHistory(file);
  expect(first.entries).toEqual([]);
  for (const text of ["one", "two\nlines", "two\nlines", " not kept"]) await first.add(text);
  const second = await openChatHistory(file);
  expect(second.entries).toEqual(["two\nlines", "one"]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
});

test("it lies in the folder for state", () => {
  expect(historyPath({ XDG_STATE_HOME: "/state" })).toBe("/state/pronk/chat-history");
  const standard = join(homedir(), ".local", "state", "pronk", "chat-history");
  expect(historyPath({})).toBe(standard);
  expect(historyPath({ XDG_STATE_HOME: "relative" })).toBe(standard);
});

test("it stays bounded, in memory and on the disk, and what is damaged is passed over", async () => {
  const file = await path();
  await (await openChatHistory(file)).add("first");
  const lines = Array.from({ length: 3000 }, (_, i) => JSON.stringify(`message ${i}`));
  await writeFile(file, `${lines.join("\n")}\n{"cut\n`, { mode: 0o600 });
  const { entries } = await openChatHistory(file);
  expect(entries).toHaveLength(1000);
  expect(entries[0]).toBe("message 2999");
  expect((await readFile(file, "utf8")).split("\n")).toHaveLength(1001);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await writeFile(file, `${JSON.stringify("x".repeat(5000))}\n`.repeat(1000));
  await openChatHistory(file);
  expect((await stat(file)).size).toBeLessThan(1_000_000);
});

test("a chat goes on where the disk refuses", async () => {
  const history = await openChatHistory("/dev/null/pronk/chat-history");
  await history.add("lost");
  expect(history.entries).toEqual([]);
});
