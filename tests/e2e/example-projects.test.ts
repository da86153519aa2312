/** Every example is started as its README says, and asked a question. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { KNOWN_MODELS } from "../../src/hub/known-models.ts";
import { type OpenDocument, openDocument } from "../support/document-commands.ts";
import { MODEL_FILE, QUESTION } from "./environment.ts";
import { type ExampleProject, freePort, installExample } from "./example-project.ts";
import { type PackedPackage, packPackage } from "./packed-package.ts";
import { wranglerAccount } from "./wrangler-account.ts";

const root = packageRoot();
const MODEL = "smollm2-135m-instruct";
const ANSWER = "A week is approximately 7 days.";
const TIMEOUT_MS = 180_000;

let packed: PackedPackage;
/** What `wrangler … --local` has written: the bucket of the Worker examples. */
let bucket: string;

beforeAll(async () => {
  packed = await packPackage();
  bucket = join(await mkdtemp(join(tmpdir(), "pronk-bucket-")), "state");
});

afterAll(async () => {
  await packed?.remove();
  if (bucket) await rm(join(bucket, ".."), { recursive: true, force: true });
});

/** Also what the README says first: `npm install`, `bun install`. */
async function install(name: string): Promise<ExampleProject> {
  const readme = readmeOf(name);
  for (const line of readme.commands.filter((one) => / install$/.test(one))) readme.ran(line);
  return installExample(name, packed.path);
}

const get = (url: string, init?: RequestInit): Promise<Response> =>
  fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), ...init });

/** What the model says by the HTTP API below that URL. */
async function ask(base: string): Promise<string> {
  const response = await get(`${base}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: "user", content: QUESTION }],
      temperature: 0,
      max_tokens: 16,
    }),
  });
  const json = await response.json();
  return json.choices?.[0].message.content ?? JSON.stringify(json);
}

/** What of the READMEs has been run, by the examples' names. */
const readmes = new Map<string, OpenDocument>();

function readmeOf(name: string): OpenDocument {
  const readme = readmes.get(name) ?? openDocument(`examples/${name}/README.md`);
  readmes.set(name, readme);
  return readme;
}

/** The first command of a README that holds the text, which is run; `npx` finds what is on PATH here. */
const command = ({ folder }: Pick<ExampleProject, "folder">, text: string): string =>
  readmeOf(basename(folder)).take(text).replaceAll("npx ", "");

/** Asks what a README asks of the server, there. */
async function curls(project: ExampleProject, url: string): Promise<string[]> {
  const readme = readmeOf(basename(project.folder));
  const answers: string[] = [];
  for (const line of readme.commands.filter((one) => one.startsWith("curl "))) {
    readme.ran(line);
    const there = line.replace(/http:\/\/localhost:8787/, url).replace("curl ", "curl -fsS ");
    answers.push(await project.run(there));
  }
  expect(answers.length).toBeGreaterThan(0);
  return answers;
}

/** A cache in which the model has been downloaded. */
async function cacheWithModel(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pronk-cache-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [model] = KNOWN_MODELS;
  mkdirSync(join(folder, "models", model.name), { recursive: true });
  symlinkSync(MODEL_FILE, join(folder, "models", model.name, model.file));
  return folder;
}

/** Fills the local bucket once, as the first Worker's README says; the others get a copy. */
async function fillBucket(project: ExampleProject): Promise<void> {
  const state = join(project.folder, ".wrangler", "state");
  if (existsSync(bucket)) return cp(bucket, state, { recursive: true });
  const typed = "pronk deploy smollm2-135m-instruct --upload-only --local";
  for (const name of ["worker-hono", "worker-object", "worker-service"]) {
    expect(command({ folder: join(root, "examples", name) }, "pronk deploy")).toBe(typed);
  }
  await project.run(typed, { PRONK_CACHE: await cacheWithModel() });
  await cp(state, bucket, { recursive: true });
}

/** wrangler on a free port. */
async function dev(project: ExampleProject, script = ""): Promise<string> {
  await fillBucket(project);
  const options = `${script} ${await onFreePort()}`;
  const line = `${command(project, "wrangler dev")} ${options}`;
  const [, url = ""] = await project.start(line, READY);
  return url;
}

const READY = /Ready on (http:\/\/[\d.:]+)/;

const onFreePort = async (): Promise<string> =>
  `--ip 127.0.0.1 --port ${await freePort()} --inspector-port 0`;

test("worker: its types, the model into the bucket, and a chat", async () => {
  const project = await install("worker");
  await project.run("npm run check");
  expect(readFileSync(join(project.folder, "wrangler.toml"), "utf8")).toMatch(/^name = "worker"$/m);
  await fillBucket(project);
  // Which finds the bucket filled.
  const line = `${command(project, "npm run dev")} -- ${await onFreePort()}`;
  const cache = { PRONK_CACHE: await cacheWithModel() };
  const [, url = ""] = await project.start(line, READY, cache);
  expect(await ask(url)).toBe(ANSWER);
  expect(await (await get(`${url}/health`)).json()).toMatchObject({ status: "ok" });
  expect((await curls(project, url))[0]).toContain("7 days");
  // To an account, by the stand-in for one.
  const account = wranglerAccount(project.folder, "https://site.example.workers.dev");
  const env = { ...cache, ...account.env };
  expect(await project.run(command(project, "npm run deploy"), env)).toContain(
    "https://site.example.workers.dev",
  );
  await project.run(command(project, "wrangler secret put"), env);
  const asked = account.asked().map((args) => args.join(" "));
  expect(asked.filter((line) => /^r2 object put .*\.bin /.test(line))).toHaveLength(7);
  expect(asked.slice(-2)).toEqual(["deploy", "secret put PRONK_API_KEYS"]);
});

test("worker-hono: the API below two paths, the AI SDK, and the site's own answers", async () => {
  const project = await install("worker-hono");
  await project.run("tsc");
  const url = await dev(project);
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(`${url}/llm`)).toBe(ANSWER);
  expect(await ask(`${url}/open`)).toBe(ANSWER);
  expect((await curls(project, url))[0]).toMatch(/^\{"days":\d/);
  expect(await (await get(`${url}/days`)).json()).toEqual({ days: expect.any(Number) });
  // Each has its own dialects and origins, and the site its own 404.
  const chat = {
    method: "POST",
    body: JSON.stringify({ model: MODEL, messages: [], stream: false }),
  };
  expect(await (await get(`${url}/llm/api/chat`, chat)).json()).toMatchObject({
    done_reason: "load",
  });
  expect((await get(`${url}/open/api/chat`, chat)).status).toBe(404);
  const from = { headers: { origin: "https://example.com" } };
  const allowed = async (path: string): Promise<string | null> =>
    (await get(`${url}${path}`, from)).headers.get("access-control-allow-origin");
  expect(await allowed("/llm/v1/models")).toBe("*");
  expect(await allowed("/open/v1/models")).toBe("https://example.com");
  expect(await allowed("/nowhere")).toBeNull();
  expect(await (await get(`${url}/nowhere`)).text()).toBe("Nothing here.");
  expect(await (await get(`${url}/llm/docs`)).text()).toContain("openapi.json");
});

/** What `wrangler types` makes of a binding, where it has both configurations. */
const GENERATED = `
import { connectLlm } from "pronk/cloudflare/service";
import type Llm from "../llm/index";
export async function typed(service: Service<typeof Llm>): Promise<string> {
  const [vector] = await service.embed(["a"]);
  return (await connectLlm(service).generate({ prompt: "a" })).text + vector?.length;
}`;

test("worker-service: one Worker asks another, without HTTP and with it", async () => {
  const project = await install("worker-service");
  writeFileSync(join(project.folder, "app", "typed.ts"), GENERATED);
  await project.run("tsc");
  const url = await dev(project);
  expect(await (await get(`${url}/answer`)).json()).toMatchObject({
    text: ANSWER,
    finish_reason: "stop",
    usage: { completion_tokens: 9 },
  });
  const stream = await get(`${url}/stream`);
  expect(await new Response(stream.body).text()).toBe(ANSWER);
  const { dot } = await (await get(`${url}/similarity?q=seven%20days`)).json();
  expect(dot).toBeGreaterThan(0.5);
  expect(dot).toBeLessThan(1);
  expect(await (await get(`${url}/tokens?q=a%20week`)).json()).toHaveLength(2);
  expect(await (await get(`${url}/refused`)).json()).toEqual({
    name: "PronkError",
    code: "bad_request",
    message: expect.stringMatching(/^temperature: /),
  });
  expect(await ask(url)).toBe(ANSWER); // the HTTP API, handed through
  expect((await curls(project, url))[1]).toBe(ANSWER);
});

test("worker-service: a reader that leaves stops the model", async () => {
  const project = await install("worker-service");
  const url = await dev(project);
  const leave = new AbortController();
  const list = await get(`${url}/stream?q=Write%20a%20list%20of%20100%20animals.`, {
    signal: leave.signal,
  });
  await list.body?.getReader().read();
  leave.abort();
  // The isolate has one slot: it answers, so that one was given back.
  expect(await ask(url)).toBe(ANSWER);
  const metrics = await (await get(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^pronk_slots_busy 0$/m);
  // Of 499, all of which it would have been.
  const [, tokens] = /^pronk_tokens_generated_total (\d+)$/m.exec(metrics) ?? [];
  expect(Number(tokens)).toBeLessThan(200);
});

test("worker-object: rooms of a class of one's own remember what was said in each", async () => {
  const project = await install("worker-object");
  await project.run("tsc");
  const url = await dev(project);
  const say = async (room: string, body: string): Promise<string> =>
    (await get(`${url}/rooms/${room}`, { method: "POST", body })).text();
  const [first, other] = await Promise.all([say("kitchen", QUESTION), say("hall", QUESTION)]);
  expect([first, other]).toEqual([ANSWER, ANSWER]);
  const second = await say("kitchen", "And in two weeks?");
  expect(second).not.toBe("");
  const roles = async (room: string): Promise<string[]> => {
    const messages = await (await get(`${url}/rooms/${room}`)).json();
    return messages.map(({ role }: { role: string }) => role);
  };
  expect(await roles("kitchen")).toEqual(["user", "assistant", "user", "assistant"]);
  expect(await roles("hall")).toEqual(["user", "assistant"]);
  await curls(project, url);
});

/** The same class behind a front Worker, and called by its own methods. */
const FRONT = `
import { createFrontWorker, r2Source } from "pronk/cloudflare";
import { connectLlm } from "pronk/cloudflare/service";
export { Room } from "./index";
const front = createFrontWorker({
  pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
  engines: (env) => env.ROOMS,
});
export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname !== "/methods") return front.fetch(request, env, context);
    const llm = connectLlm(env.ROOMS.get(env.ROOMS.idFromName("methods")));
    const content = await request.text();
    const parts = [];
    const messages = [{ role: "user", content }];
    for await (const { text } of llm.stream({ messages, temperature: 0 })) parts.push(text);
    const failure = await llm.embed([""]).catch(({ code }) => code);
    return Response.json({ parts, failure, ids: await llm.tokenize(content) });
  },
};`;

test("worker-object: a room is an engine object, too, and its model has methods", async () => {
  const project = await install("worker-object");
  writeFileSync(join(project.folder, "src", "front.js"), FRONT);
  const url = await dev(project, "src/front.js");
  expect(await ask(url)).toBe(ANSWER);
  const called = await get(`${url}/methods`, { method: "POST", body: QUESTION });
  const { parts, failure, ids } = await called.json();
  expect(parts.length).toBeGreaterThan(5);
  expect(parts.join("")).toBe(ANSWER);
  expect(failure).toBe("bad_request");
  expect(ids).toHaveLength(8);
});

test("deno: types, and the API below a path", async () => {
  const project = await install("deno");
  const { program } = commandLineOn("deno");
  // Which Deno fetches by itself where it may.
  symlinkSync(join(root, "node_modules/@types"), join(project.folder, "node_modules/@types"));
  await project.run(`${program} check --node-modules-dir=manual main.ts`);
  expect(command(project, "deno")).toBe("deno task start");
  const task = JSON.parse(readFileSync(join(project.folder, "deno.json"), "utf8")).tasks.start;
  const line = task.replace(/^deno run/, `${program} run --node-modules-dir=manual`);
  const env = { MODEL: MODEL_FILE, PORT: String(await freePort()) };
  await project.start(line, /Listening on/, env);
  const url = `http://127.0.0.1:${env.PORT}`;
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(`${url}/llm`)).toBe(ANSWER);
  await curls(project, url);
});

test("bun: a server with routes of its own", async () => {
  const project = await install("bun");
  await project.run("bun run check");
  const env = { MODEL: MODEL_FILE, PORT: String(await freePort()) };
  const [, url = ""] = await project.start(
    command(project, "bun run"),
    /listening on (\S+?)\/?\n/,
    env,
  );
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(url)).toBe(ANSWER);
  await curls(project, url);
});

test("node-server: its types, and a server", async () => {
  const project = await install("node-server");
  await project.run("npm run check");
  const env = { MODEL: MODEL_FILE, PORT: String(await freePort()) };
  const [, url = ""] = await project.start(
    command(project, "npm start"),
    /listening on (\S+)/,
    env,
  );
  expect(await ask(url)).toBe(ANSWER);
  await curls(project, url.replace(/\/$/, ""));
});

test("node: a script", async () => {
  const project = await install("node");
  const output = await project.run(command(project, "node index"), { MODEL: MODEL_FILE });
  expect(output).toMatch(
    /^A week is approximately 7 days\.\n9 tokens\n\{ days: [1-9] \}\na vector of 576\n$/,
  );
});

test("every command of their READMEs was run", () => {
  expect(readmes.size).toBeGreaterThan(6);
  for (const readme of readmes.values()) readme.expectAllRan();
});

test("every folder is in the table, has a README, and is tested", () => {
  const table = readFileSync(join(root, "examples", "README.md"), "utf8");
  const folders = readdirSync(join(root, "examples")).filter((name) => name !== "README.md");
  const tests = ["e2e/example-projects", "e2e/examples", "browser/bundlers"]
    .map((name) => readFileSync(join(root, "tests", `${name}.test.ts`), "utf8"))
    .join();
  expect(folders.length).toBeGreaterThan(6);
  for (const folder of folders) {
    expect(table).toContain(`[\`${folder}\`](${folder}/README.md)`);
    expect(readFileSync(join(root, "examples", folder, "README.md"), "utf8")).toContain("```sh");
    expect(tests).toMatch(new RegExp(`(?:install(?:Example)?\\(|\\[|"examples", )"${folder}"`));
  }
});
