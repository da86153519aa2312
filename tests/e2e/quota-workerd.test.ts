/** Quotas of API keys in a Durable Object of a real workerd. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { SMALL_PACK } from "./environment.ts";

const KEYS = JSON.stringify([
  { key: "one", name: "first", requestsPerDay: 3 },
  { key: "two", name: "second", tokensPerDay: 40 },
]);

let folder: string;
let workerd: Workerd;
const start = async (): Promise<void> => {
  workerd = await startWorkerd("../tests/e2e/quota-worker", SMALL_PACK, {
    bucketFolder: join(folder, "r2"),
    bindings: { PRONK_API_KEYS: KEYS },
    durableObjects: { PRONK_QUOTA: "QuotaObject" },
    objectFolder: join(folder, "objects"),
  });
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-quota-"));
  await start();
});

afterAll(async () => {
  await workerd?.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = (key: string, fields: object = {}): Promise<Response> =>
  fetch(`${workerd.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      prompt: "One, two,",
      max_tokens: 4,
      ...fields,
    }),
    signal: AbortSignal.timeout(180_000),
  });
const left = (response: Response, kind: string): number =>
  Number(response.headers.get(`x-ratelimit-remaining-${kind}`));

test("requests count once for all isolates, also for those that come after a restart", async () => {
  const both = await Promise.all([ask("one"), ask("one")]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect(both.map((response) => left(response, "requests")).sort()).toEqual([1, 2]);
  await workerd.close();
  await start();
  expect(left(await ask("one"), "requests")).toBe(0);
  const refused = await ask("one");
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(refused.headers.get("x-should-retry")).toMatch(/^(?:true|false)$/);
});

test("tokens of answers and of streams count, for their own key", async () => {
  const first = await ask("two", { prompt: [1, 2, 3, 4, 5, 6] });
  expect(left(first, "tokens")).toBe(40);
  await first.text();
  const second = await ask("two", {
    prompt: [1, 2, 3, 4, 5, 6],
    stream: true,
    ignore_eos: true,
    max_tokens: 30,
  });
  expect(left(second, "tokens")).toBe(30);
  await second.text();
  let refused = await ask("two");
  // A stream's tokens are told to the object while its last bytes are on their way.
  for (let i = 0; refused.status !== 429 && i < 3; i++) refused = await ask("two");
  expect(refused.status).toBe(429);
  expect(left(refused, "tokens")).toBe(0);
});

test("metrics name the keys by their names", async () => {
  const headers = { "x-api-key": "one" };
  const text = await (await fetch(`${workerd.url}/metrics`, { headers })).text();
  expect(text).toMatch(/pronk_key_requests_total\{key="second"\} \d/);
  expect(text).toContain("pronk_model_ready 1\n");
  expect((await fetch(`${workerd.url}/metrics`)).status).toBe(401);
});
