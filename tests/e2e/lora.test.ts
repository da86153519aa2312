/** `pronk serve --lora` over a real socket: SmolLM2 with a random adapter beside it. */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { outputDirectory } from "../../src/platform/node/index.ts";
import { writeRandomLora } from "../support/random-lora.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { ANSWER_IDS, DEFAULT_PACK, QUESTION } from "./environment.ts";

const MODEL = "smollm2-135m-instruct";
const TIMEOUT_MS = 180_000;
const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const program = { program: process.execPath, args: [main] };

/** Of SmolLM2-135M. */
const SIZES = { hidden: 576, kvDim: 192, layers: 30, r: 8, size: 0.15 };

// biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
type Json = any;

let folder: string;
let adapter: string;
let other: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-lora-"));
  adapter = join(folder, "pirate");
  other = join(folder, "poet");
  await writeRandomLora(outputDirectory(adapter), { ...SIZES, seed: 1 });
  await writeRandomLora(outputDirectory(other), { ...SIZES, seed: 2 });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function send(server: ChildServer, path: string, body?: unknown): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  if (body === undefined) return fetch(`${server.url}${path}`, { signal });
  const headers = { "content-type": "application/json" };
  return fetch(`${server.url}${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
    signal,
  });
}

async function ask(server: ChildServer, fields: Record<string, unknown> = {}): Promise<Json> {
  const response = await send(server, "/v1/chat/completions", {
    model: MODEL,
    messages: [{ role: "user", content: QUESTION }],
    temperature: 0,
    max_tokens: 24,
    return_token_ids: true,
    ...fields,
  });
  return response.json();
}

const idsOf = async (server: ChildServer, fields?: Record<string, unknown>): Promise<number[]> =>
  (await ask(server, fields)).choices[0].token_ids;

describe.each(["1", "2"])(
  "a server on %s threads with an adapter that requests name",
  (threads) => {
    let server: ChildServer;
    let solo: number[];

    beforeAll(async () => {
      server = await startServer(program, [
        ...[DEFAULT_PACK, "--slots", "2", "--ctx", "256", "--threads", threads],
        ...["--lora", `pirate=${adapter}`, "--lora-init-without-apply", "--allow-lora-loading"],
      ]);
      solo = await idsOf(server, { model: "pirate" });
      expect(server.output()).toContain("adapter pirate: where a request asks for it\n");
    });
    afterAll(() => server?.close());

    test("answers with it and without it, side by side as alone", async () => {
      expect(solo.length).toBeGreaterThan(8);
      expect(solo).not.toEqual(ANSWER_IDS);
      expect(await idsOf(server)).toEqual(ANSWER_IDS);
      for (let round = 0; round < 3; round++) {
        const both = [idsOf(server, { model: "pirate" }), idsOf(server)];
        expect(await Promise.all(both)).toEqual([solo, ANSWER_IDS]);
      }
    });

    test("lists it behind its model", async () => {
      const { data } = (await (await send(server, "/v1/models")).json()) as Json;
      expect(data.map(({ id, root, parent }: Json) => [id, root, parent])).toEqual([
        [MODEL, MODEL, null],
        ["pirate", adapter, MODEL],
      ]);
      const adapters = await (await send(server, "/lora-adapters")).json();
      expect(adapters).toEqual([{ id: 0, name: "pirate", path: adapter, scale: 0 }]);
    });

    test("takes another one in, and gives its own back: the model's answer has its own bytes", async () => {
      const load = { lora_name: "poet", lora_path: other };
      expect((await send(server, "/v1/load_lora_adapter", load)).status).toBe(200);
      const poet = await idsOf(server, { model: "poet" });
      expect(poet).not.toEqual(solo);
      const all = [idsOf(server, { model: "poet" }), idsOf(server, { model: "pirate" })];
      expect(await Promise.all(all)).toEqual([poet, solo]);
      // While it still answers.
      const last = idsOf(server, { model: "pirate" });
      await new Promise((resolve) => setTimeout(resolve, 100));
      const unload = { lora_name: "pirate" };
      expect((await send(server, "/v1/unload_lora_adapter", unload)).status).toBe(200);
      expect(await last).toEqual(solo);
      expect(await idsOf(server)).toEqual(ANSWER_IDS);
      const refused = await ask(server, { model: "pirate" });
      expect(refused.error).toMatchObject({ code: "model_not_found", param: "model" });
      expect(refused.error.message).toContain('"poet"');
    });

    test("refuses what is no adapter by its name, and goes on", async () => {
      const damaged = join(folder, "damaged");
      await writeRandomLora(outputDirectory(damaged), SIZES);
      await writeFile(join(damaged, "adapter_model.safetensors"), "no tensors");
      const foreign = join(folder, "foreign");
      await writeRandomLora(outputDirectory(foreign), { ...SIZES, hidden: 512 });
      for (const [path, status] of [
        [damaged, 400],
        [foreign, 400],
        [join(folder, "nothing"), 404],
      ] as const) {
        const load = { lora_name: "new", lora_path: path };
        const response = await send(server, "/v1/load_lora_adapter", load);
        const { error } = (await response.json()) as Json;
        expect([response.status, error.param], error.message).toEqual([status, "lora_path"]);
        expect(error.message).toContain(path);
      }
      expect(await idsOf(server)).toEqual(ANSWER_IDS);
    });
  },
);

test("adapters given at the start are applied unless a request or /lora-adapters says otherwise", async () => {
  const args = [DEFAULT_PACK, "--slots", "1", "--ctx", "256", "--lora", `${adapter}:0.9`];
  const server = await startServer(program, args);
  let applied: number[];
  try {
    applied = await idsOf(server);
    expect(server.output()).toContain("adapter pirate: at 0.9\n");
    expect(applied).not.toEqual(ANSWER_IDS);
    expect(await idsOf(server, { model: "pirate" })).toEqual(applied);
    expect(await idsOf(server, { lora: [] })).toEqual(ANSWER_IDS);
    expect(await idsOf(server, { lora: [{ id: 0, scale: 0.9 }] })).toEqual(applied);
    await send(server, "/lora-adapters", []);
    expect(await idsOf(server)).toEqual(ANSWER_IDS);
    const refused = await send(server, "/v1/load_lora_adapter", { lora_name: "a", lora_path: "b" });
    expect(refused.status).toBe(403);
  } finally {
    await server.close();
  }
  const run = ["run", DEFAULT_PACK, "--ctx", "256", "--lora", `${adapter}:0.9`, "--threads", "2"];
  const ran = pronk([...run, "--chat", QUESTION, "--max-tokens", "24", "--json"]);
  expect(JSON.parse(ran).ids).toEqual(applied);
});

test("eval reads a text with an adapter, and inspect says what one takes, and that it is another model's", async () => {
  const text = join(folder, "text.txt");
  await writeFile(text, "The llama walks over the hill, and down to the river. ".repeat(8));
  const perplexity = (...more: string[]): number =>
    JSON.parse(pronk(["eval", DEFAULT_PACK, "--text", text, "--json", ...more])).ppl;
  const plain = perplexity();
  expect(perplexity("--lora", adapter)).toBeGreaterThan(plain);
  expect(perplexity("--lora", `${adapter}:0`)).toBe(plain);

  const inspect = ["inspect", DEFAULT_PACK, "--lora", adapter, "--lora", other, "--json"];
  const { adapter_bytes } = JSON.parse(pronk(inspect));
  // Factors in f32 and rows beside them, for each.
  const factors = 4 * 30 * 8 * (576 * 2 + 576 + 192);
  expect(adapter_bytes).toBeGreaterThan(2 * factors);
  expect(adapter_bytes).toBeLessThan(4 * factors);
  const foreign = join(packageRoot(), "tests", "goldens", "lora", "qv_r8");
  expect(() => pronk(["inspect", DEFAULT_PACK, "--lora", foreign])).toThrow(
    "lora_A has 64 inputs and lora_B 64 outputs, the base 576 and 576",
  );
});

function pronk(args: readonly string[]): string {
  return execFileSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
