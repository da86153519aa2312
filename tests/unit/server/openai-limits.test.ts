/** Refusals as the `openai` client takes them: which it tries again, and when. */
import OpenAI from "openai";
import { expect, test } from "vitest";
import { type ApiKey, createApp } from "../../../src/server/app.ts";
import { createToy } from "./toy-engine.ts";

interface Used {
  readonly client: OpenAI;
  /** What it sent, in milliseconds of the wall. */
  readonly sent: number[];
  ask(): Promise<unknown>;
}

function use(keys: readonly ApiKey[], wall: () => number = () => Date.now()): Used {
  const clock = { now: () => performance.now(), wall };
  const app = createApp({ engine: createToy().engine, auth: { keys }, clock });
  const sent: number[] = [];
  const client = new OpenAI({
    apiKey: "k",
    baseURL: "http://pronk/v1",
    fetch: async (url, init) => {
      sent.push(Date.now());
      return app.fetch(new Request(url, init));
    },
  });
  const ask = (): Promise<unknown> =>
    client.completions.create({ model: "toy/llama", prompt: "Once", max_tokens: 2 });
  return { client, sent, ask };
}

test("an unknown key is an authentication error, sent once", async () => {
  const { ask, sent } = use([{ key: "other" }]);
  await expect(ask()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  expect(sent).toHaveLength(1);
});

test("a model that the key may not use is a denied permission, sent once", async () => {
  const { ask, sent } = use([{ key: "k", models: [] }]);
  await expect(ask()).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError);
  expect(sent).toHaveLength(1);
});

test("what a minute has used up is waited for, as long as the answer says", async () => {
  // One comes back in 1.5 s; the server's clock stands until all are taken.
  const limit = 40;
  const start = Date.now();
  let offset: number | undefined;
  const wall = (): number => (offset === undefined ? start : Date.now() - offset);
  const { ask, sent } = use([{ key: "k", requestsPerMinute: limit }], wall);
  for (let i = 0; i < limit; i++) await ask();
  offset = Date.now() - start;
  await ask();
  expect(sent).toHaveLength(limit + 2);
  const waited = sent[limit + 1]! - sent[limit]!;
  expect(waited).toBeGreaterThan(1000);
  expect(waited).toBeLessThan(6000);
});

test("a day that is used up is told at once, with the headers that say how things stand", async () => {
  const { ask, sent } = use([{ key: "k", requestsPerDay: 1 }], () => Date.UTC(2026, 0, 1, 6));
  await ask();
  const error = await ask().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  const { code, headers, requestID } = error as InstanceType<typeof OpenAI.RateLimitError>;
  expect(code).toBe("rate_limit_exceeded");
  expect(headers.get("x-ratelimit-reset-requests")).toBe("24h0m0s");
  expect(requestID).toMatch(/^req_/);
  expect(sent).toHaveLength(2);
});
