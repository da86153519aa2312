/** The examples that ask a server run, and say what they should, against a server of the real model. */
import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { createApp } from "../../src/server/app.ts";
import { openDocument } from "../support/document-commands.ts";
import { MODEL_FILE, SMALL_PACK } from "./environment.ts";
import { packPackage } from "./packed-package.ts";

const root = packageRoot();
const clients = join(root, "examples", "clients");
const MODEL = "smollm2-135m-instruct";
const ANSWER = "A week is approximately 7 days.";
const OBJECT = /\{ days: [1-9] \}/;

/** LangChain is installed beside the package, as peers of the benchmarks are; these run on Node 20. */
const LANGCHAIN = { "@langchain/core": "1.1.33", "@langchain/openai": "1.3.0", zod: "4.6.7" };

const run = async (program: string, args: readonly string[], env = {}, cwd = root) =>
  (
    await promisify(execFile)(program, args, {
      cwd,
      timeout: 330_000,
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
  const output = await run(process.execPath, [join(clients, file)], env);
  for (const text of expected) expect(output).toMatch(text);
});

test("ai-sdk-in-process.mjs", async () => {
  const { path, remove } = await packPackage();
  onTestFinished(remove);
  const folder = join(path, "..", "clients");
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  symlinkSync(path, join(folder, "node_modules", "pronk"));
  const copy = join(folder, "ai-sdk-in-process.mjs");
  copyFileSync(join(clients, "ai-sdk-in-process.mjs"), copy);
  const output = await run(process.execPath, [copy, MODEL_FILE]);
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
  copyFileSync(join(clients, "langchain.mjs"), copy);
  const output = await run(process.execPath, [copy], env);
  const expected = [ANSWER, OBJECT, /name: 'weather'/, /city: '(?:Paris|Rome)'/, "a vector of 576"];
  for (const text of expected) expect(output).toMatch(text);
});

test("their README's commands are those that are run here", () => {
  const readme = openDocument("examples/clients/README.md");
  readme.take("npm install"); // the packages of this repository, in the versions that it names
  readme.take("npx pronk serve"); // the server that all of them ask
  expect(readme.take("node ")).toBe("node openai.mjs");
  readme.expectAllRan();
});

test("every program is in their table, and is tested", () => {
  const table = readFileSync(join(clients, "README.md"), "utf8");
  const tests = readFileSync(join(root, "tests", "e2e", "examples.test.ts"), "utf8");
  const files = readdirSync(clients).filter((file) => file.endsWith(".mjs"));
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    expect(table).toContain(`\`${file}\``);
    expect(tests).toContain(`"${file}"`);
  }
});

test("their packages are those that are tested", () => {
  const { dependencies } = JSON.parse(readFileSync(join(clients, "package.json"), "utf8"));
  const versionOf = (name: string): string =>
    LANGCHAIN[name as keyof typeof LANGCHAIN] ??
    JSON.parse(
      readFileSync(
        join(root, name === "pronk" ? "" : `node_modules/${name}`, "package.json"),
        "utf8",
      ),
    ).version;
  expect(dependencies).toEqual(
    Object.fromEntries(Object.keys(dependencies).map((name) => [name, versionOf(name)])),
  );
});
