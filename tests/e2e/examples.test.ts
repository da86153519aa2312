/** The examples run, and say what they should, against a server of the real model. */
import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { createApp } from "../../src/server/app.ts";
import { MODEL_FILE, SMALL_PACK } from "./environment.ts";

const root = packageRoot();
const MODEL = "smollm2-135m-instruct";
const ANSWER = "A week is approximately 7 days.";
const OBJECT = /\{ days: [1-9] \}/;

/** LangChain is installed beside the package, as peers of the benchmarks are; these run on Node 20. */
const LANGCHAIN = { "@langchain/core": "1.1.33", "@langchain/openai": "1.3.0", zod: "4.6.7" };

const run = async (program: string, args: readonly string[], env = {}, cwd = root) =>
  (
    await promisify(execFile)(program, args, {
      cwd,
      timeout: 110_000,
      env: { ...process.env, ...env },
    })
  ).stdout;

let server: Awaited<ReturnType<typeof nodeHost.serve>>;
let dispose: () => Promise<void>;
let env: Record<string, string>;

beforeAll(async () => {
  const engine = await createEngine(SMALL_PACK, { id: MODEL, ctx: 1024, slots: 2 });
  dispose = () => engine.dispose();
  const { fetch } = createApp({ engine, auth: { keys: ["k"] } });
  server = await nodeHost.serve(fetch, { hostname: "127.0.0.1", port: 0 });
  env = { PRONK_URL: server.url, PRONK_MODEL: MODEL, PRONK_KEY: "k" };
});

afterAll(async () => {
  await server?.close();
  await dispose?.();
});

test.each([
  ["openai.mjs", [ANSWER, OBJECT, /"city":\s*"(?:Paris|Rome)"/, "2 vectors of 576"]],
  ["ai-sdk-http.mjs", [ANSWER, "9 tokens", OBJECT]],
  ["anthropic.mjs", [/7 days[\s\S]*end_turn after \d+ tokens/]],
  ["ollama.mjs", [ANSWER, OBJECT]],
] as const)("%s", async (file, expected) => {
  const output = await run(process.execPath, [join(root, "examples", file)], env);
  for (const text of expected) expect(output).toMatch(text);
});

test("ai-sdk-in-process.mjs", async () => {
  const args = [join(root, "examples", "ai-sdk-in-process.mjs"), MODEL_FILE];
  const output = await run(process.execPath, args);
  const expected = [ANSWER, OBJECT, /It is sunny in (?:Paris|Rome)\./, "2 vectors of 576"];
  for (const text of expected) expect(output).toMatch(text);
});

test("langchain.mjs", async () => {
  const folder = join(root, ".cache", "examples");
  mkdirSync(folder, { recursive: true });
  const installed = (name: string): string | undefined => {
    const manifest = join(folder, "node_modules", name, "package.json");
    return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
  };
  if (Object.entries(LANGCHAIN).some(([name, version]) => installed(name) !== version)) {
    const manifest = { private: true, dependencies: LANGCHAIN };
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
    const options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
    await run("npm", ["install", "--prefix", folder, ...options], {}, folder);
  }
  const copy = join(folder, "langchain.mjs");
  copyFileSync(join(root, "examples", "langchain.mjs"), copy);
  const output = await run(process.execPath, [copy], env);
  const expected = [ANSWER, OBJECT, /name: 'weather'/, /city: '(?:Paris|Rome)'/, "a vector of 576"];
  for (const text of expected) expect(output).toMatch(text);
});

test("hono-worker.ts", async () => {
  const { url, close } = await startWorkerd("../examples/hono-worker", SMALL_PACK);
  try {
    expect(await (await fetch(`${url}/days`)).json()).toEqual({ days: expect.any(Number) });
    const models = await (await fetch(`${url}/llm/v1/models`)).json();
    expect(models.data).toMatchObject([{ id: MODEL }]);
    const answer = await fetch(`${url}/llm/api/chat`, {
      method: "POST",
      body: JSON.stringify({
        model: MODEL,
        stream: false,
        options: { num_predict: 2 },
        messages: [],
      }),
    });
    expect(await answer.json()).toMatchObject({ done_reason: "load" });
  } finally {
    await close();
  }
});

test("every example is in their table, and is tested", () => {
  const table = readFileSync(join(root, "examples", "README.md"), "utf8");
  const tests = readFileSync(join(root, "tests", "e2e", "examples.test.ts"), "utf8");
  const files = readdirSync(join(root, "examples")).filter((file) => file !== "README.md");
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    expect(table).toContain(`\`${file}\``);
    expect(tests).toContain(`"${file}"`);
  }
});
