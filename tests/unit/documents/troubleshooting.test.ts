/** docs/troubleshooting.md: every code has its heading, and every message that it quotes is what the code says. */
import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { chooseForBudget } from "../../../src/engine/budget-choice.ts";
import { searchGpu } from "../../../src/engine/choose-backend.ts";
import { fitContext } from "../../../src/engine/context-fit.ts";
import { PronkError } from "../../../src/errors.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { readGgufConfig } from "../../../src/model/gguf-config.ts";
import { loadWeights } from "../../../src/pack/loader.ts";
import { createThreads } from "../../../src/platform/browser/threads.ts";
import { openModel } from "../../../src/platform/host/open-model.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { lostError } from "../../../src/remote/remote-generation.ts";
import { type AppOptions, createApp, createFront } from "../../../src/server/app.ts";
import { RequestError, toErrorReply } from "../../../src/server/errors.ts";
import { httpSource } from "../../../src/sources/http.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { readGolden } from "../../support/tiny-gguf.ts";
import { samplePack } from "../pack/sample-pack.ts";
import { type App, CHAT, chat, post } from "../server/client.ts";
import { createToy, type ToyOptions } from "../server/toy-engine.ts";

afterEach(() => vi.unstubAllGlobals());

const document = readFileSync("docs/troubleshooting.md", "utf8");

/** The codes of a union in a source file. */
function unionIn(file: string, name: string): readonly string[] {
  const [, body = ""] =
    new RegExp(`type ${name} =\\n([\\s\\S]*?)\\n\\n`).exec(readFileSync(file, "utf8")) ?? [];
  return [...body.matchAll(/\| "(\w+)"/g)].map(([, code = ""]) => code);
}

/** Headings that name something in code, with the text below each. */
const sections = document
  .split(/^(?=#{2,3} )/m)
  .map((text) => ({ heading: text.slice(0, text.indexOf("\n")), text }));

/** Of several headings with a code that which begins with it. */
const named = (code: string): typeof sections => {
  const having = sections.filter(({ heading }) => heading.includes(`\`${code}\``));
  const first = having.filter(({ heading }) => heading.startsWith(`### \`${code}\``));
  return first.length > 0 ? first : having;
};

/** Numbers, hashes and names that differ from one run to the next. */
const same = (message: string): string =>
  message
    .replaceAll("toy/llama", "smollm2-135m-instruct")
    .replaceAll("bucket/sample", "pack")
    .replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{4,}\b/g, "#")
    .replaceAll(/\d+/g, "#");

const quotedIn = (text: string): readonly string[] =>
  [...text.matchAll(/^```text\n([\s\S]*?)^```/gm)].flatMap(([, lines = ""]) =>
    lines.trim().split("\n"),
  );

async function thrown(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof PronkError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The code of an answer and its message. */
async function answered(answer: Response | Promise<Response>): Promise<string> {
  const { error } = await (await answer).json();
  return `${error.code}: ${error.message}`;
}

const toyApp = (options: Partial<AppOptions> = {}, toy: ToyOptions = {}): App =>
  createApp({ engine: createToy(toy).engine, ...options });
const ask = (app: App, fields: Record<string, unknown> = {}, key?: string): Promise<string> =>
  answered(post(app, CHAT, chat(fields), key ? { headers: { "x-api-key": key } } : {}));

/** Of Node, where no package of WebGPU is installed. */
const host = { kernels: {} as never, now: () => 0, gpu: nodeHost.gpu };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const gguf = (text: string): Promise<unknown> => readGguf(memorySource(bytes(text), "model.gguf"));
const web = (init: ResponseInit) => () =>
  httpSource("https://models.example.com/model.gguf", {
    fetch: async () => new Response("", init),
  });
const gemma = async (): Promise<unknown> => {
  const file = await readGguf(readGolden("BF16.gguf"));
  const metadata = new Map(file.metadata).set("general.architecture", "gemma3");
  return readGgufConfig({ ...file, name: "model.gguf", metadata });
};
const keyed = (): App =>
  toyApp({
    auth: {
      keys: [
        { key: "other", models: ["sql"] },
        { key: "minute", requestsPerMinute: 1 },
        { key: "day", requestsPerDay: 1 },
      ],
    },
  });
const second = async (key: string): Promise<string> => {
  const app = keyed();
  await post(app, CHAT, chat(), { headers: { "x-api-key": key } });
  return ask(app, {}, key);
};

/** How each message that the page quotes comes about: the wire's code, or the library's, and the message. */
const PRODUCED: Readonly<Record<string, readonly (() => Promise<string>)[]>> = {
  bad_format: [() => thrown(() => gguf("<!doctype html>")), () => thrown(() => gguf("hello\n"))],
  corrupt: [
    async () => {
      const { folder, manifest } = await samplePack();
      folder.objects.get(`${manifest.shards[0]!.sha256}.bin`)![1]! ^= 1;
      return thrown(() => loadWeights(folder, manifest, new Uint8Array(manifest.weight_bytes)));
    },
  ],
  unsupported: [
    () => thrown(gemma),
    () =>
      thrown(async () => Promise.reject(await searchGpu(host, { backend: "webgpu", threads: 1 }))),
  ],
  unsupported_parameter: [
    () => ask(toyApp(), { functions: [{ name: "now" }] }),
    () =>
      ask(toyApp(), {
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }],
      }),
    () => ask(toyApp({}, { template: undefined })),
  ],
  unsupported_schema: [
    () =>
      ask(toyApp(), {
        response_format: {
          type: "json_schema",
          json_schema: { name: "list", schema: { type: "array", contains: {}, maxContains: 3 } },
        },
      }),
  ],
  not_found: [
    () => thrown(() => openModel(nodeHost, "missing.gguf", { env: {}, fetch })),
    () => answered(toyApp().request("/v1/responses/resp_123")),
  ],
  source_failed: [
    () => thrown(web({ status: 403, statusText: "Forbidden" })),
    () => thrown(web({ headers: { "content-encoding": "gzip", "content-length": "9" } })),
  ],
  load_failed: [() => ask(toyApp({ engine: () => gemma() as never }))],
  out_of_memory: [
    () => thrown(() => fitContext(8192, 8192, 108_000_000, (ctx) => 85e6 + ctx * 12240)),
    () =>
      thrown(() =>
        chooseForBudget(
          { gguf: [readGolden("BF16.gguf")] },
          { bytes: 1_430_000, reservedBytes: 20_000 },
          { slots: 1, ctx: 128 },
        ),
      ),
  ],
  context_overflow: [
    () => ask(toyApp(), { messages: [{ role: "user", content: "word ".repeat(400) }] }),
    () => thrown(() => createToy().engine.generate({ prompt_ids: Array(2730).fill(5) })),
  ],
  bad_request: [
    () => ask(toyApp(), { temperature: 9 }),
    () => ask(toyApp(), { messages: undefined }),
    () => answered(toyApp().request(CHAT, { method: "POST", body: "{" })),
    () => thrown(() => fitContext(99_999, 8192, 1, () => 0)),
  ],
  invalid_api_key: [() => ask(keyed())],
  permission_denied: [() => ask(keyed(), {}, "other")],
  not_allowed: [
    () => answered(post(toyApp(), "/v1/load_lora_adapter", { lora_name: "a", lora_path: "b" })),
    () => answered(createFront({ upstream: "http://127.0.0.1:1" }).request("/metrics")),
  ],
  foreign_origin: [
    () =>
      answered(
        toyApp({ cors: { origins: [] } }).request("/v1/models", {
          headers: { origin: "https://elsewhere.example" },
        }),
      ),
  ],
  foreign_host: [
    () => answered(toyApp({ hosts: [] }).request("http://elsewhere.example/v1/models")),
  ],
  model_not_found: [() => ask(toyApp(), { model: "gpt-4o" })],
  previous_response_not_found: [
    () =>
      answered(
        post(toyApp(), "/v1/responses", {
          model: "toy/llama",
          input: "And then?",
          previous_response_id: "resp_123",
        }),
      ),
  ],
  unknown_url: [() => answered(toyApp().request("/v1/foo"))],
  method_not_allowed: [() => answered(toyApp().request(CHAT))],
  request_too_large: [
    () => ask(toyApp(), { messages: [{ role: "user", content: "x".repeat(2 ** 20) }] }),
  ],
  overloaded: [
    async () => {
      const slow = { slots: 1, maxQueue: 0, onForward: () => new Promise<void>(setImmediate) };
      const app = toyApp({}, slow);
      const first = post(app, CHAT, chat());
      const answer = await ask(app);
      await first;
      return answer;
    },
  ],
  rate_limited: [() => second("minute")],
  quota_exceeded: [() => second("day")],
  loading: [
    () =>
      ask(
        toyApp({ engine: () => undefined, ready: () => ({ status: "loading", progress: 0.42 }) }),
      ),
  ],
  unavailable: [
    () => {
      const cause = new PronkError("overloaded", "engine: 2 requests run or wait already");
      return thrown(() => Promise.reject(lostError([{ name: "engine-0" } as never], cause)));
    },
  ],
  server_stopping: [
    () => ask(toyApp({ engine: () => undefined, ready: () => ({ status: "stopping" }) })),
  ],
  upstream_failed: [
    () => {
      const fetch = () => Promise.reject(new TypeError("fetch failed"));
      return ask(createFront({ upstream: "http://127.0.0.1:1", fetch }) as never);
    },
    () => {
      const fetch = async () => new Response("", { status: 503 });
      return ask(createFront({ upstream: "http://127.0.0.1:1", fetch }) as never);
    },
  ],
  engine_failed: [
    () => ask(toyApp({}, { onForward: () => Promise.reject(new Error("unreachable")) })),
    async () => {
      const { engine } = createToy();
      await engine.dispose();
      return ask(createApp({ engine }));
    },
    () => ask(toyApp({ engine: async () => ({}) as never })),
  ],
  aborted: [
    () => {
      const signal = AbortSignal.abort();
      return thrown(() => createToy().engine.generate({ prompt_ids: [1, 2] }, { signal }));
    },
    async () => {
      const generation = createToy().engine.stream({ prompt_ids: [1, 2] });
      for await (const _ of generation) break;
      return thrown(() => generation.result);
    },
  ],
};

/** Why something is off: no error, but what the engine's info says. */
const REASONS: readonly (() => unknown)[] = [
  () => {
    vi.stubGlobal("Worker", class {});
    return createThreads();
  },
  () => searchGpu({ ...host, gpu: undefined }, { threads: 1 }),
  () => searchGpu(host, { threads: 1, budgetBytes: 1 }),
  async () => thrown(async () => Promise.reject(await searchGpu(host, { threads: 1 }))),
];

test("every code has one heading", () => {
  const codes = [
    ...unionIn("src/errors.ts", "ErrorCode"),
    ...unionIn("src/server/errors.ts", "RequestErrorCode"),
  ];
  expect(codes.length).toBeGreaterThan(25);
  const wire = codes.map(
    (code) => toErrorReply(new RequestError(code as never, "")).body.error.code,
  );
  for (const code of new Set([...codes, ...wire])) {
    const { length } = named(code);
    // Several codes go by the wire's name for waiting.
    if (codes.includes(code)) expect(length, code).toBe(1);
    else expect(length, code).toBeGreaterThan(0);
  }
  expect(Object.keys(PRODUCED).toSorted()).toEqual(codes.toSorted());
});

const said = new Set<string>();

test.each(Object.entries(PRODUCED))("%s is quoted as it is said", async (code, producers) => {
  const [section] = named(code);
  const quoted = quotedIn(section!.text).map(same);
  for (const produce of producers) {
    const [, wire = "", message = ""] = /^(\w+): ([\s\S]*)$/.exec(await produce()) ?? [];
    expect(quoted).toContain(same(message));
    expect(section!.heading).toContain(`\`${wire}\``);
    said.add(same(message));
  }
});

test("nothing else is quoted", async () => {
  for (const reason of REASONS) said.add(same(String(await reason()).replace(/^.*webgpu: /, "")));
  expect(
    quotedIn(document)
      .map(same)
      .filter((line) => !said.has(line)),
  ).toEqual([]);
});
