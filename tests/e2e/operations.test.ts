/** Keys, limits, logs and metrics of `pronk serve`, as an operator sets them. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { type ChildServer, startServer } from "./child-server.ts";

/** A whole Llama of one layer. */
const MODEL = join(packageRoot(), "tests/goldens/tokenizers/tok_bpe.gguf");
const KEY = "sk-PRIVATE";
const KEYS = JSON.stringify([
  {
    key: `sha256:${createHash("sha256").update(KEY).digest("hex")}`,
    name: "app",
    tokensPerMinute: 9000,
  },
  { key: "another", name: "other" },
]);

let server: ChildServer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-keys-"));
  const file = join(folder, "keys.json");
  await writeFile(file, KEYS);
  const options = [
    "--api-keys",
    file,
    "--log",
    "json",
    "--metrics",
    "public",
    "--requests-per-day",
    "2",
    "--queue",
    "3",
    "--no-playground",
  ];
  server = await startServer(commandLineOn("node"), [MODEL, ...options]);
});
afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = (key: string, fields: object = {}, { url } = server): Promise<Response> =>
  fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: "golden-tok-bpe",
      prompt: "PRIVATE text",
      max_tokens: 3,
      ignore_eos: true,
      ...fields,
    }),
    signal: AbortSignal.timeout(90_000),
  });

test("a key that is kept as its digest has the limits of its own and of the command line", async () => {
  const first = await ask(KEY, { stream: true });
  expect(first.status).toBe(200);
  expect(first.headers.get("x-ratelimit-limit-tokens")).toBe("9000");
  expect(first.headers.get("x-ratelimit-limit-requests")).toBe("2");
  await first.text();
  expect((await ask(KEY)).status).toBe(200);
  expect((await ask(KEY)).status).toBe(429);
  expect((await ask("another")).headers.get("x-ratelimit-limit-tokens")).toBeNull();
  expect((await ask("wrong")).status).toBe(401);
});

test("logs tell each request as JSON, without what is private", async () => {
  const lines = server
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"));
  const entries = lines.map((line) => JSON.parse(line));
  expect(entries.map(({ status, key }) => [status, key])).toEqual([
    [200, "app"],
    [200, "app"],
    [429, "app"],
    [200, "other"],
    [401, undefined],
  ]);
  expect(entries[0]).toMatchObject({ level: "info", generated_tokens: 3 });
  expect(entries[2]).toMatchObject({ level: "warn", error: { code: "rate_limit_exceeded" } });
  expect(server.output()).not.toContain("PRIVATE");
});

test("metrics are open where that is asked for, the rest is not", async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toContain(
    'pronk_requests_total{method="POST",route="/v1/completions",status="200"} 3\n',
  );
  expect(text).toContain('pronk_key_requests_total{key="app"} 2\n');
  expect((await fetch(`${server.url}/v1/models`)).status).toBe(401);
  const page = await fetch(`${server.url}/docs`);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
});

test.each([
  ["read a prompt of the other's anew", [], false],
  ["go on from it where they share", ["--share-prefix-cache"], true],
] as const)("two keys %s", async (_, options, isShared) => {
  const file = join(folder, "two-keys");
  await writeFile(file, "alice\nbob\n");
  const two = await startServer(commandLineOn("node"), [MODEL, "--api-keys", file, ...options]);
  try {
    const cached: boolean[] = [];
    for (const key of ["alice", "bob", "alice", "bob"]) {
      const { usage } = await (await ask(key, { temperature: 0 }, two)).json();
      cached.push(usage.prompt_tokens_details.cached_tokens > 0);
    }
    expect(cached).toEqual([false, isShared, true, true]);
  } finally {
    await two.close();
  }
});

test("without its page, / is no route", async () => {
  const answer = await fetch(server.url);
  expect(answer.status).toBe(404);
  expect((await answer.json()).error.code).toBe("unknown_url");
});

test.each([
  ["--log", "loud"],
  ["--metrics", "some"],
  ["--tokens-per-day", "-1"],
])("%s %s is refused", async (...options) => {
  await expect(startServer(commandLineOn("node"), [MODEL, ...options])).rejects.toThrow(options[0]);
});
