import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CHAT_COMMANDS, chatHelp } from "../../../../src/cli/chat/chat-commands.ts";
import { ChatSession } from "../../../../src/cli/chat/chat-session.ts";
import { CHAT_DEFAULTS } from "../../../../src/cli/generation-flags.ts";
import { temporaryFolder } from "../../platform/temporary-folder.ts";
import { createToy, type ToyOptions } from "../../server/toy-engine.ts";

const never = new AbortController().signal;

function session(toy: ToyOptions = {}, more: { system?: string; saveFolder?: string } = {}) {
  const { engine } = createToy(toy);
  return new ChatSession(engine, {
    ...{ model: "owner/toy", settings: { ...CHAT_DEFAULTS, do_sample: false } },
    ...{ system: more.system, saveFolder: more.saveFolder ?? "/nowhere" },
    examples: { socks: "Why socks?" },
    columns: () => 80,
  });
}

async function ask(chat: ChatSession, text: string, signal = never): Promise<string> {
  let answer = "";
  for await (const piece of chat.answer(text, signal)) answer += piece;
  return answer;
}

async function said(chat: ChatSession, line: string): Promise<string> {
  const outcome = await chat.command(line);
  return outcome.kind === "say" ? outcome.text : outcome.kind;
}

/** The conversation, as /save writes it. */
async function saved(chat: ChatSession) {
  const path = join(await temporaryFolder(), "sub", "chat.json");
  expect(await said(chat, `/save ${path}`)).toBe(`saved in ${path}\n`);
  return JSON.parse(await readFile(path, "utf8"));
}

test("answers stream, and the conversation grows", async () => {
  const chat = session({ reply: "Seven." }, { system: "Be brief." });
  const pieces: string[] = [];
  for await (const piece of chat.answer("How many?", never)) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.join("")).toBe("Seven.");
  await ask(chat, "Sure?");
  const { settings, chat_history } = await saved(chat);
  expect(settings).toMatchObject({ model_name_or_path: "owner/toy", max_new_tokens: 256 });
  expect(chat_history).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "How many?" },
    { role: "assistant", content: "Seven." },
    { role: "user", content: "Sure?" },
    { role: "assistant", content: "Seven." },
  ]);
});

test("settings hold from the next answer on", async () => {
  const chat = session({ reply: "one two three four five six" });
  expect(await said(chat, "/set max_new_tokens=2")).toContain("max_new_tokens=2 ");
  const short = await ask(chat, "Count");
  expect("one two three four five six".startsWith(short)).toBe(true);
  expect(short.length).toBeLessThan(12);
  await expect(chat.command("/set wings=2")).rejects.toThrow("wings: no setting");
  expect(await said(chat, "!stats")).toMatch(/2 tokens \(ended by [\s\S]*max_new_tokens=2 /);
});

test("/clear keeps system message and settings, /reset neither", async () => {
  const chat = session({}, { system: "first" });
  await ask(chat, "x");
  await chat.command("/system second message");
  expect((await saved(chat)).chat_history).toEqual([{ role: "system", content: "second message" }]);
  await chat.command("/set seed=3");
  await ask(chat, "y");
  await chat.command("!clear");
  expect(await saved(chat)).toMatchObject({
    settings: { seed: 3 },
    chat_history: [{ role: "system", content: "second message" }],
  });
  await chat.command("/reset");
  expect(await saved(chat)).toMatchObject({
    settings: { seed: null },
    chat_history: [{ role: "system", content: "first" }],
  });
  expect(await said(chat, "/system")).toBe("first\n");
});

test("without a name a chat is saved by model and time", async () => {
  const saveFolder = await temporaryFolder();
  const chat = session({}, { saveFolder });
  const text = await said(chat, "/save");
  expect(text).toMatch(/owner_toy\/chat_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.json\n$/);
  expect(JSON.parse(await readFile(text.slice(9).trim(), "utf8")).chat_history).toEqual([]);
  await expect(session().command("/save /dev/null/x")).rejects.toThrow("/dev/null/x");
});

describe("commands", () => {
  test.each([
    ["/help", chatHelp(80)],
    ["!help", chatHelp(80)],
    ["/quit", "quit"],
    ["!exit", "quit"],
    ["/example socks", "send"],
    ["/example", "socks        Why socks?\n"],
    ["/system", "(no system message)\n"],
  ])("%s", async (line, expected) => {
    expect(await said(session(), line)).toBe(expected);
  });

  test.each([
    ["/fly", "no command /fly; /help"],
    ["/stat", "did you mean /stats?"],
    ["/stats x", "/stats on or off"],
    ["/retry", "nothing was said yet"],
    ["/undo", "nothing was said yet"],
    ["/load", "which one?"],
    ["/load /nowhere/x.json", "/nowhere/x.json"],
    ["!constructor", "no command !constructor"],
    ["/example shoes", "no example shoes; there are socks"],
    ["/set x", "x: not of the form name=value"],
  ])("%s is no command", async (line, message) => {
    await expect(session().command(line)).rejects.toThrow(message);
  });
});

test("an answer that is stopped stays as far as it came", async () => {
  const chat = session({ reply: "one two three four five six seven eight nine ten" });
  const stop = new AbortController();
  let answer = "";
  for await (const piece of chat.answer("Count", stop.signal)) {
    answer += piece;
    if (answer.length > 5) stop.abort();
  }
  expect(answer.length).toBeLessThan(40);
  expect((await saved(chat)).chat_history.at(-1)).toEqual({ role: "assistant", content: answer });
});

test("a message that does not fit the context leaves no trace", async () => {
  const chat = session({ ctx: 64 });
  await expect(ask(chat, "word ".repeat(100))).rejects.toMatchObject({ code: "context_overflow" });
  expect((await saved(chat)).chat_history).toEqual([]);
});

test("a model without a template cannot chat", () => {
  expect(() => session({ template: undefined })).toThrow("has no chat template");
});

test("/undo takes the last exchange back, /retry asks it again", async () => {
  const chat = session({ reply: "Seven." }, { system: "Be brief." });
  await ask(chat, "How many?");
  await ask(chat, "Sure?\nReally?");
  expect(await said(chat, "/undo")).toBe("taken back: Sure? ...\n");
  expect(await chat.command("/regen")).toEqual({ kind: "send", text: "How many?" });
  expect((await saved(chat)).chat_history).toEqual([{ role: "system", content: "Be brief." }]);
});

test("what was saved goes on after /load, its system message with it", async () => {
  const chat = session({ reply: "Seven." }, { system: "Be brief." });
  await ask(chat, "How many?");
  const path = join(await temporaryFolder(), "talk.json");
  await chat.command(`/save ${path}`);
  const other = session({ reply: "Yes." });
  expect(await said(other, `/load ${path}`)).toBe("3 messages; the last: assistant: Seven.\n");
  await ask(other, "Sure?");
  const { chat_history } = await saved(other);
  expect(chat_history.map(({ content }: { content: string }) => content)).toEqual([
    "Be brief.",
    "How many?",
    "Seven.",
    "Sure?",
    "Yes.",
  ]);
  await writeFile(path, '{"chat_history": [{"role": "user"}]}');
  await expect(other.command(`/load ${path}`)).rejects.toThrow("has no chat_history of messages");
});

test("figures stand behind answers once they are asked for, and not behind one that was stopped", async () => {
  const chat = session({ reply: "one two three four five six seven eight nine ten" });
  await ask(chat, "Count");
  expect(chat.figures()).toBe("");
  await chat.command("/stats on");
  expect(chat.figures()).toMatch(
    /^\d+ tokens, [\d.]+ a second, the first after \d+ ms; prompt \d+\ncontext \[#+\.+\] \d+ of 256 tokens\n$/,
  );
  await ask(chat, "Count");
  expect(chat.figures()).toMatch(/; prompt \d+, \d+ of them cached\n/);
  const stop = new AbortController();
  for await (const _ of chat.answer("Count", stop.signal)) stop.abort();
  expect(chat.figures()).toBe("");
});

test("the help fits a terminal of 80 columns, and shows every command", () => {
  const lines = chatHelp(80).split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  for (const { example } of CHAT_COMMANDS) expect(chatHelp(80)).toContain(`  ${example}`);
});
