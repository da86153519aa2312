/** What a Worker need not compute: a snapshot from R2, answers from KV, in a real workerd. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { saveChatSnapshot } from "../../src/server/app.ts";
import { QUESTION, SMALL_PACK } from "./environment.ts";

const SYSTEM = {
  role: "system" as const,
  content:
    "You are a careful assistant of a small library. Answer in one short sentence, name the day of " +
    "the week where it matters, and never speak of books that the library does not have.",
};
const MESSAGES = [SYSTEM, { role: "user" as const, content: QUESTION }];

let workerd: Workerd;
let snapshot: Uint8Array;
let tokens: number;

beforeAll(async () => {
  const engine = await createEngine(SMALL_PACK, { ctx: 256, slots: 1 });
  snapshot = await saveChatSnapshot(engine, [SYSTEM]);
  tokens = (await engine.loadSnapshot(snapshot)).tokens;
  await engine.dispose();
  workerd = await startWorkerd("../tests/e2e/kept-worker", SMALL_PACK, { kvNamespaces: ["CACHE"] });
});
afterAll(() => workerd?.close());

interface Answer {
  readonly status: number;
  readonly cache: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
  readonly body: any;
}

async function ask(fields: Record<string, unknown> = {}): Promise<Answer> {
  const response = await fetch(`${workerd.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: "smollm2-135m-instruct", messages: MESSAGES, temperature: 0, max_tokens: 12 },
      ...fields,
    }),
    signal: AbortSignal.timeout(180_000),
  });
  const cache = response.headers.get("x-pronk-cache");
  const text = await response.text();
  const body = fields.stream === true ? text : JSON.parse(text);
  return { status: response.status, cache, body };
}

test("a Worker says that its snapshot is missing or changed, and begins with it once it is right", async () => {
  const missing = await ask();
  expect(missing.status).toBe(500);
  expect(missing.body.error.message).toContain("system.snapshot");
  const changed = new Uint8Array(snapshot);
  changed[changed.length >> 1]! ^= 1;
  await workerd.put("system.snapshot", changed);
  expect((await ask()).status).toBe(500);

  await workerd.put("system.snapshot", snapshot);
  const { status, cache, body } = await ask();
  expect([status, cache]).toEqual([200, "miss"]);
  expect(body.usage.prompt_tokens_details.cached_tokens).toBe(tokens);

  // What computing all of it gives.
  const engine = await createEngine(SMALL_PACK, { ctx: 256, slots: 1 });
  const { createApp } = await import("../../src/server/app.ts");
  const computed = await createApp({ engine }).request("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({
      ...{ model: engine.info.id, messages: MESSAGES, temperature: 0, max_tokens: 12 },
    }),
  });
  const expected = await computed.json();
  await engine.dispose();
  expect(body.choices).toEqual(expected.choices);
  expect(expected.usage.prompt_tokens_details.cached_tokens).toBe(0);
});

test("an answer that is asked for again comes from KV, whole and streamed", async () => {
  const fields = { messages: [{ role: "user", content: QUESTION }], max_tokens: 7 };
  const first = await ask(fields);
  expect([first.status, first.cache]).toEqual([200, "miss"]);
  // It is written when the answer is on its way.
  let second = await ask(fields);
  for (let i = 0; second.cache !== "hit" && i < 20; i++) second = await ask(fields);
  expect(second.cache).toBe("hit");
  expect(second.body.choices).toEqual(first.body.choices);
  const { prompt_tokens, prompt_tokens_details } = second.body.usage;
  expect(prompt_tokens_details.cached_tokens).toBe(prompt_tokens);
  const streamed = await ask({ ...fields, stream: true });
  const deltas = [...streamed.body.matchAll(/^data: (\{.*\})$/gm)].map(
    ([, event]) => JSON.parse(event).choices[0]?.delta?.content ?? "",
  );
  expect(deltas.join("")).toBe(first.body.choices[0].message.content);
  // Drawn anew each time: never kept.
  const drawn = { ...fields, temperature: 1, max_tokens: 2, ignore_eos: true };
  expect([(await ask(drawn)).cache, (await ask(drawn)).cache]).not.toContain("hit");
});
