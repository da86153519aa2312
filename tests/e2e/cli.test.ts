/** The commands as users run them: real processes, exit codes, and JSON documents. */
import { execFile } from "node:child_process";
import { cp, mkdir, open, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { allCommands } from "../../src/cli/commands.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { startServer } from "./child-server.ts";
import { ANSWER_IDS, DEFAULT_PACK, MODEL_FILE, QUESTION } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const model = knownModel("smollm2-135m-instruct")!;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function pronk(
  args: readonly string[],
  { stdin = "", env = {} }: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, ...args],
      { env: { ...process.env, ...env }, timeout: 360_000, maxBuffer: 2 ** 26 },
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
    child.stdin?.end(stdin);
  });
}

async function json(args: readonly string[], stdin?: string) {
  const { code, out, err } = await pronk([...args, "--json"], { stdin });
  expect(code, err).toBe(0);
  expect(out.trim().split("\n").length).toBe(1);
  return JSON.parse(out);
}

/** A cache of its own, with the model's file already in it. */
async function cacheWithModel(): Promise<string> {
  const cache = join(tmpdir(), `pronk-e2e-${process.pid}-${Math.random().toString(36).slice(2)}`);
  onTestFinished(() => rm(cache, { recursive: true, force: true }));
  const folder = join(cache, "models", model.name);
  await mkdir(folder, { recursive: true });
  await symlink(MODEL_FILE, join(folder, model.file));
  return cache;
}

test("a command loads what it needs: run neither HTTP, nor other programs, nor archives", async () => {
  const child = `data:text/javascript,process.once("exit", () => console.error(process.moduleLoadList.join()))`;
  const loaded = await new Promise<string>((resolve) => {
    const args = ["--import", child, main, "run", DEFAULT_PACK, "--prompt", "A", "--max-tokens=1"];
    execFile(process.execPath, args, { timeout: 360_000 }, (_, __, err) => resolve(err));
  });
  const modules = loaded.trim().split(",");
  expect(modules).toContain("NativeModule crypto");
  const needless = /^NativeModule (?:https?|tls|child_process|zlib|stream\/consumers)$/;
  expect(modules.filter((name) => needless.test(name))).toEqual([]);
});

test("run answers, and --json says everything about it", async () => {
  const { code, out } = await pronk(["run", DEFAULT_PACK, "--chat", QUESTION]);
  expect(code).toBe(0);
  expect(out).toBe("A week is approximately 7 days.\n");
  expect(await json(["run", DEFAULT_PACK, "--chat", QUESTION])).toMatchObject({
    text: "A week is approximately 7 days.",
    ids: ANSWER_IDS,
    finish_reason: "stop",
    usage: { completion_tokens: ANSWER_IDS.length },
    backend: "wasm",
  });
});

test("attn-mask shows a text's tokens, as text and as SVG", async () => {
  const { code, out } = await pronk(["attn-mask", DEFAULT_PACK, "Hi there"]);
  expect(code).toBe(0);
  expect(out).toContain("'Hi'    :  0 \u001b[92m■\u001b[0m ⬚    |    \n'Ġthere':  1 ■ \u001b[92m■");
  const svg = await pronk(["attn-mask", DEFAULT_PACK, "Hi there", "--svg"]);
  expect(svg.out).toMatch(/^<svg [\s\S]*&#39;Ġthere&#39;[\s\S]*<\/svg>\n$/);
});

test("run on the reference backend gives the same answer", { timeout: 240_000 }, async () => {
  const { ids, backend } = await json([
    "run",
    DEFAULT_PACK,
    "--chat",
    QUESTION,
    "--backend",
    "reference",
    "--max-tokens",
    "3",
  ]);
  expect(ids).toEqual(ANSWER_IDS.slice(0, 3));
  expect(backend).toBe("reference");
});

test("tokenize gives ids, tokens and offsets, and decodes them again", async () => {
  const found = await json(["tokenize", DEFAULT_PACK], "Hello llama");
  expect(found.tokens.length).toBe(found.ids.length);
  expect(found.offsets[0]).toEqual([0, 5]);
  const { out } = await pronk(["tokenize", DEFAULT_PACK, "--decode"], {
    stdin: found.ids.join(" "),
  });
  expect(out).toBe("Hello llama");
});

test("inspect tells the configuration, the memory plan and what fits a Worker", async () => {
  const found = await json(["inspect", MODEL_FILE, "--budget", "128MB"]);
  expect(found).toMatchObject({
    architecture: "llama",
    config: { num_hidden_layers: 30, hidden_size: 576, vocab_size: 49152 },
  });
  const { weights, kv, activations, scratch, total } = found.memory;
  expect(total).toBeGreaterThanOrEqual(weights + kv + activations + scratch);
  const [{ ctx, slots }] = found.fits;
  expect(slots).toBe(1);
  expect(ctx).toBeGreaterThanOrEqual(1024);
});

test("pull names the cached file without asking anybody", async () => {
  const cache = await cacheWithModel();
  const { code, out } = await pronk(["pull", "smollm2-135m-instruct", "--json"], {
    env: { PRONK_CACHE: cache, HF_HUB_OFFLINE: "1" },
  });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ bytes: model.bytes, sha256: model.sha256 });
});

test("the first start packs, the second needs neither file nor network", async () => {
  const cache = await cacheWithModel();
  const env = { PRONK_CACHE: cache, HF_HUB_OFFLINE: "1", PRONK_MODEL: "" };
  const line = { program: process.execPath, args: [main] };
  const first = await startServer(line, [], env);
  await first.close();
  await rm(join(cache, "models"), { recursive: true });

  const second = await startServer(line, [], env);
  onTestFinished(() => second.close());
  const { data } = await (await fetch(`${second.url}/v1/models`)).json();
  expect(data[0].id).toBe("smollm2-135m-instruct");
  console.log(`second start: ready after ${second.readyMs.toFixed(0)} ms`);
});

test("a damaged pack in the cache is made again", async () => {
  const cache = await cacheWithModel();
  const env = { PRONK_CACHE: cache, HF_HUB_OFFLINE: "1", PRONK_MODEL: "" };
  const args = ["run", "--chat", QUESTION];
  expect((await pronk(args, { env })).out).toContain("7 days");
  const [name] = await readdir(join(cache, "packs"));
  const shards = (await readdir(join(cache, "packs", name))).filter((file) =>
    file.endsWith(".bin"),
  );
  await flipBit(join(cache, "packs", name, shards[0]), 1000);
  expect((await pronk(args, { env })).out).toContain("7 days");
});

describe("a damaged pack is refused with the shard's name, and nothing is answered", () => {
  let copy: string;
  let shard: string;
  beforeAll(async () => {
    copy = join(packageRoot(), ".cache", "e2e", "damaged");
    await rm(copy, { recursive: true, force: true });
    await cp(DEFAULT_PACK, copy, { recursive: true });
    // The folder may hold shards of an older pack, too.
    const manifest = JSON.parse(await readFile(join(copy, "manifest.json"), "utf8"));
    shard = `${manifest.shards[0].sha256}.bin`;
  });

  test.each([
    ["one flipped bit", (path: string) => flipBit(path, 12_345)],
    ["a truncated shard", async (path: string) => truncateTo(path, 1000)],
    ["a missing shard", (path: string) => rm(path)],
  ])("%s", async (_, damage) => {
    await damage(join(copy, shard));
    const { code, out, err } = await pronk(["run", copy, "--chat", QUESTION]);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toMatch(/^pronk run: [^\n]+\nnext: [^\n]*pronk pack [^\n]+\n$/);
    expect(err).toContain(shard.slice(0, 16));
  });
});

describe("what cannot be done ends with an exit code and one line", () => {
  test.each([
    ["no such command", ["fly"], 2],
    ["an unknown option", ["run", "--fast"], 2],
    ["too many arguments", ["pull", "a", "b"], 2],
    ["nothing to say", ["run"], 2],
    ["a number that is none", ["run", "--prompt", "x", "--ctx", "many"], 2],
    ["a file that is not there", ["run", "./missing.gguf", "--prompt", "x"], 1],
    ["a file that is no model", ["inspect", main], 1],
  ])("%s", async (_, args, expected) => {
    const { code, out, err } = await pronk(args);
    expect(code).toBe(expected);
    expect(out).toBe("");
    expect(err).toMatch(/^pronk \S+: .+\n/);
    expect(err).not.toContain("    at ");
  });
});

test("every command explains itself", { timeout: 360_000 }, async () => {
  const { out } = await pronk([]);
  const commands = (await allCommands()).map(({ name }) => name);
  expect(commands.length).toBeGreaterThan(10);
  for (const name of commands) expect(out).toMatch(new RegExp(`^ {2}${name} `, "m"));
  for (const name of commands) {
    const help = await pronk([name, "--help"]);
    expect(help.code).toBe(0);
    expect(help.out).toContain(`pronk ${name}`);
  }
});

async function flipBit(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, position);
  byte[0] ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

async function truncateTo(path: string, bytes: number): Promise<void> {
  const file = await open(path, "r+");
  await file.truncate(bytes);
  await file.close();
}
