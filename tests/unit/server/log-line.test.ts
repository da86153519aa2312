import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { createApp, jsonLogLine, textLogLine } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { CHAT, COMPLETIONS, chat, completion, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const SECRET = "sk-PRIVATE";
const TEXT = "PRIVATE text";

/** Every line that these requests give, in both forms. */
async function linesOf(
  requests: readonly (readonly [string, unknown])[],
  onForward?: (call: number) => void,
): Promise<{ json: Record<string, unknown>[]; all: string }> {
  const entries: LogEntry[] = [];
  const app = createApp({
    engine: createToy({ reply: TEXT, ...(onForward && { onForward }) }).engine,
    auth: { keys: [{ key: SECRET, name: "app" }] },
    log: (entry) => entries.push(entry),
  });
  for (const [path, body] of requests) {
    await (await post(app, path, body, { headers: { authorization: `Bearer ${SECRET}` } })).text();
  }
  const json = entries.map(jsonLogLine);
  return {
    json: json.map((line) => JSON.parse(line)),
    all: [...json, ...entries.map(textLogLine)].join("\n"),
  };
}

test("a line says who asked what and what it took", async () => {
  const prompt_ids = [1, 2, 3];
  const { json } = await linesOf([
    [COMPLETIONS, completion({ prompt: prompt_ids, max_tokens: 2 })],
    [COMPLETIONS, completion({ prompt: prompt_ids, max_tokens: 2, stream: true })],
  ]);
  expect(json).toHaveLength(2);
  for (const line of json) {
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      level: "info",
      request_id: expect.stringMatching(/^req_/),
      method: "POST",
      path: COMPLETIONS,
      route: COMPLETIONS,
      status: 200,
      key: "app",
      prompt_tokens: 3,
      cached_tokens: expect.any(Number),
      generated_tokens: 2,
      first_token_ms: expect.any(Number),
      ms: expect.any(Number),
    });
  }
});

test("no line has a key, a prompt or an output, whatever is wrong", async () => {
  const message = { role: "user", content: TEXT };
  const requests = [
    [CHAT, chat({ messages: [message] })],
    [CHAT, chat({ messages: [message], model: TEXT })],
    [CHAT, chat({ messages: TEXT })],
    [CHAT, chat({ [TEXT]: 1, logit_bias: { [TEXT]: "x" } })],
    [CHAT, chat({ metadata: { [TEXT]: 7 } })],
    [COMPLETIONS, TEXT],
    [`/v1/${encodeURIComponent("none")}?key=${SECRET}`, {}],
  ] as const;
  const { json, all } = await linesOf(requests);
  expect(json).toHaveLength(requests.length);
  expect(json.map(({ level }) => level)).toEqual(["info", ...Array(6).fill("warn")]);
  expect(all).not.toContain("PRIVATE text");
  expect(all).not.toContain(SECRET);
  expect(all.split("\n")).toHaveLength(2 * requests.length);
});

test("a failure is told with its causes' places, not with their words", async () => {
  const { json, all } = await linesOf([[COMPLETIONS, completion()]], () => {
    throw new Error(`${TEXT} at ${SECRET}`);
  });
  expect(json[0]).toMatchObject({
    level: "error",
    status: 500,
    error: {
      code: "engine_failed",
      message: "engine: the backend failed",
      cause: { code: "Error", stack: expect.arrayContaining([expect.stringMatching(/^at /)]) },
    },
  });
  expect(all).not.toContain("PRIVATE");
});

test("a stream that fails is an error, though its status was 200", async () => {
  const { json } = await linesOf(
    [[COMPLETIONS, completion({ stream: true, max_tokens: 100, ignore_eos: true })]],
    (call) => {
      if (call > 4) throw new PronkError("engine_failed", "a kernel trapped");
    },
  );
  expect(json[0]).toMatchObject({ level: "error", status: 200, error: { code: "engine_failed" } });
});

test("a path writes no line of its own, nor to the terminal", async () => {
  const entries: LogEntry[] = [];
  const app = createApp({ engine: createToy().engine, log: (entry) => entries.push(entry) });
  await app.request("/a%0A2026%20forged%0D%1B[2J%E2%80%A8%E2%80%AE%C2%9B");
  for (const line of [...entries.map(jsonLogLine), ...entries.map(textLogLine)]) {
    expect(line).toMatch(/^[^\p{Cc}\p{Zl}]*$/u);
  }
  expect(textLogLine(entries[0]!)).toContain(
    "/a%0A2026 forged%0D%1B[2J%E2%80%A8%E2%80%AE%C2%9B 404",
  );
});
