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
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { packObjects } from "../../src/cli/workerd.ts";
import { MODEL_FILE, QUESTION, SMALL_PACK } from "./environment.ts";
import { type ExampleProject, freePort, installExample } from "./example-project.ts";
import { type PackedPackage, packPackage } from "./packed-package.ts";

const root = packageRoot();
const MODEL = "smollm2-135m-instruct";
const ANSWER = "A week is approximately 7 days.";
const TIMEOUT_MS = 60_000;

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

const install = (name: string): Promise<ExampleProject> => installExample(name, packed.path);

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

/** The first command of a README's first block that holds the text. */
function command({ folder }: Pick<ExampleProject, "folder">, text: string): string {
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const [, block = ""] = /```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  const line = block.split("\n").find((one) => one.includes(text));
  if (line === undefined) throw new Error(`${folder}: its README has no ${text}`);
  return line.replace(/\s+#.*$/, "").replaceAll("npx ", "");
}

/** Fills the local bucket once, by the command of the first Worker's README; the others get a copy. */
async function fillBucket(project: ExampleProject): Promise<void> {
  const state = join(project.folder, ".wrangler", "state");
  if (existsSync(bucket)) return cp(bucket, state, { recursive: true });
  // As `pronk pack` would have written it.
  const pack = join(project.folder, "pack");
  mkdirSync(pack);
  for (const name of await packObjects(SMALL_PACK)) {
    symlinkSync(join(SMALL_PACK, name), join(pack, name));
  }
  const readme = { folder: join(root, "examples", "worker") };
  expect(command(readme, "pronk pack")).toBe(`pronk pack ${MODEL} --budget 128MB --out pack`);
  await project.run(command(readme, "r2 object put"));
  await cp(state, bucket, { recursive: true });
}

/** wrangler on a free port. */
async function dev(project: ExampleProject, script = ""): Promise<string> {
  await fillBucket(project);
  const options = `${script} --ip 127.0.0.1 --port ${await freePort()} --inspector-port 0`;
  const line = `${command(project, "wrangler dev")} ${options}`;
  const [, url = ""] = await project.start(line, /Ready on (http:\/\/[\d.:]+)/);
  return url;
}

test("worker: its types, the model into the bucket, and a chat", async () => {
  const project = await install("worker");
  await project.run("tsc");
  const url = await dev(project);
  expect(await ask(url)).toBe(ANSWER);
  expect(await (await get(`${url}/health`)).json()).toMatchObject({ status: "ok" });
});

test("worker-hono: the API below two paths, the AI SDK, and the site's own answers", async () => {
  const project = await install("worker-hono");
  await project.run("tsc");
  const url = await dev(project);
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(`${url}/llm`)).toBe(ANSWER);
  expect(await ask(`${url}/open`)).toBe(ANSWER);
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
  const task = JSON.parse(readFileSync(join(project.folder, "deno.json"), "utf8")).tasks.start;
  const line = task.replace(/^deno run/, `${program} run --node-modules-dir=manual`);
  const env = { MODEL: MODEL_FILE, PORT: String(await freePort()) };
  await project.start(line, /Listening on/, env);
  const url = `http://127.0.0.1:${env.PORT}`;
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(`${url}/llm`)).toBe(ANSWER);
});

test("bun: a server with routes of its own", async () => {
  const project = await install("bun");
  const { program } = commandLineOn("bun");
  const line = command(project, "bun run").replace(/^bun/, program);
  const env = { MODEL: MODEL_FILE, PORT: String(await freePort()) };
  const [, url = ""] = await project.start(line, /listening on (\S+?)\/?\n/, env);
  expect(await (await get(url)).text()).toBe("A site with a model in it.");
  expect(await ask(url)).toBe(ANSWER);
});

test("node: a script", async () => {
  const project = await install("node");
  const output = await project.run(command(project, "node index"), { MODEL: MODEL_FILE });
  expect(output).toMatch(
    /^A week is approximately 7 days\.\n9 tokens\n\{ days: [1-9] \}\na vector of 576\n$/,
  );
});

test("every folder is in the table, has a README, and is tested", () => {
  const table = readFileSync(join(root, "examples", "README.md"), "utf8");
  const folders = readdirSync(join(root, "examples")).filter((name) => name !== "README.md");
  const tests = ["e2e/example-projects", "e2e/examples", "browser/vite"]
    .map((name) => readFileSync(join(root, "tests", `${name}.test.ts`), "utf8"))
    .join();
  expect(folders.length).toBeGreaterThan(6);
  for (const folder of folders) {
    expect(table).toContain(`[\`${folder}\`](${folder}/README.md)`);
    expect(readFileSync(join(root, "examples", folder, "README.md"), "utf8")).toContain("```sh");
    expect(tests).toMatch(new RegExp(`install(?:Example)?\\("${folder}"|"examples", "${folder}"`));
  }
});
