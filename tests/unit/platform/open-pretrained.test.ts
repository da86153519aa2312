/** fromPretrained over the hub: which files are fetched, at which revision, into which cache. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as browser from "../../../src/platform/browser/index.ts";
import { loadKernels } from "../../../src/platform/host/kernels.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import {
  AutoConfig,
  AutoTokenizer,
  FlaxLlamaForCausalLM,
  GenerationConfig,
  LlamaForCausalLM,
  LlamaModel,
  type PretrainedProgress,
} from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { COMMIT, type HubServer, type RepoFile, startHubServer } from "./hub-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const goldens = new URL("../../goldens/", import.meta.url).pathname;
const REPO = "owner/tiny";
const INPUTS = { input_ids: [[1, 2, 3]] };

async function bytesOf(path: string): Promise<RepoFile> {
  return { bytes: new Uint8Array(await readFile(path)), lfs: !/json$/.test(path) };
}

async function folderOf(path: string, prefix = ""): Promise<Record<string, RepoFile>> {
  const names = (await readdir(path)).filter((name) => !name.startsWith("golden"));
  const files = names.map(
    async (name) => [prefix + name, await bytesOf(join(path, name))] as const,
  );
  return Object.fromEntries(await Promise.all(files));
}

let server: HubServer;
let options: { env: Record<string, string> };
beforeEach(async () => {
  server = await startHubServer();
  options = { env: { HF_ENDPOINT: server.hub.url, PRONK_CACHE: await temporaryFolder() } };
  server.publish(REPO, {
    ...(await folderOf(goldenPath("gqa"))),
    ...(await folderOf(join(goldens, "checkpoints/flax"))),
    ...(await folderOf(join(goldens, "tokenizers/llama2_sp/fast"))),
    ...(await folderOf(goldenPath("tied"), "inner/")),
  });
});
afterEach(() => server.close());

/** Names of the files that were asked for, without the listing. */
const fetched = (): string[] =>
  server.hub.requests.flatMap((line) => /\/resolve\/\w+\/(\S+)/.exec(line)?.[1] ?? []);

test("OWNER/REPO is the hub's where there is no such path", async () => {
  const stages: string[] = [];
  const onProgress = ({ phase, file, loaded, total }: PretrainedProgress): void => {
    if (loaded === total) stages.push(`${phase} ${file ?? "weights"}`);
  };
  const model = await LlamaForCausalLM.fromPretrained(REPO, { ...options, onProgress });
  expect(stages).toContain("download model.safetensors");
  expect(stages.at(-1)).toBe("load weights");
  expect((await model.forward(INPUTS)).logits.dims).toEqual([1, 3, model.config.vocab_size]);
  model.dispose();
  expect(fetched()).toContain("model.safetensors");
  expect(fetched()).not.toContain("flax_model.msgpack");
  expect(fetched().filter((name) => name.startsWith("inner/"))).toEqual([]);
});

test("Flax classes fetch Flax weights", async () => {
  const model = await FlaxLlamaForCausalLM.fromPretrained(`hf:${REPO}`, options);
  model.dispose();
  expect(fetched()).toContain("flax_model.msgpack");
  expect(fetched()).not.toContain("model.safetensors");
  await expect(
    LlamaForCausalLM.fromPretrained(REPO, { ...options, subfolder: "inner", from_flax: true }),
  ).rejects.toThrow(/inner: no weights of flax/);
});

test("configurations and tokenizers are fetched without weights", async () => {
  const config = await AutoConfig.fromPretrained(REPO, options);
  expect(config.num_key_value_heads).toBe(2);
  expect(fetched()).toEqual(["config.json"]);
  const generation = await GenerationConfig.fromPretrained(REPO, { ...options, top_k: 3 });
  expect(generation).toBeInstanceOf(GenerationConfig);
  expect(generation).toMatchObject({ top_k: 3, eos_token_id: config.eos_token_id });
  expect(fetched()).toEqual(["config.json", "generation_config.json"]);
  const tokenizer = await AutoTokenizer.fromPretrained(REPO, options);
  expect(tokenizer.encode("Hello").length).toBeGreaterThan(0);
  expect(fetched().filter((name) => /safetensors|msgpack/.test(name))).toEqual([]);
});

test("a subfolder is a model of its own", async () => {
  const inner = await LlamaModel.fromPretrained(REPO, { ...options, subfolder: "inner" });
  expect(inner.config.tie_word_embeddings).toBe(true);
  inner.dispose();
  expect(fetched().every((name) => name.startsWith("inner/"))).toBe(true);
});

test("a revision is asked for, and not another one than the name's", async () => {
  await expect(
    AutoConfig.fromPretrained(REPO, { ...options, revision: "v2" }),
  ).rejects.toMatchObject({ code: expect.stringMatching(/not_found|source_failed/) });
  expect(server.hub.requests[0]).toContain(`/api/models/${REPO}/revision/v2`);
  await expect(
    AutoConfig.fromPretrained(`hf:${REPO}@v1`, { ...options, revision: "v2" }),
  ).rejects.toMatchObject({ code: "bad_request", param: "revision" });
});

test("cache_dir holds the files, and local_files_only asks for nothing", async () => {
  const cache_dir = await temporaryFolder();
  const offline = { ...options, cache_dir, local_files_only: true };
  await expect(AutoConfig.fromPretrained(REPO, offline)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("not in the cache"),
  });
  expect(server.asked()).toEqual([]);
  await AutoConfig.fromPretrained(REPO, { ...options, cache_dir });
  expect(await readdir(cache_dir)).toContain("models--owner--tiny");
  server.forget();
  expect((await AutoConfig.fromPretrained(REPO, offline)).num_key_value_heads).toBe(2);
  expect(server.asked()).toEqual([]);
});

test("the environment's token is sent unless token is false", async () => {
  const env = { ...options.env, HF_TOKEN: "hf_secret" };
  await AutoConfig.fromPretrained(REPO, { env });
  expect(server.hub.requests.every((line) => line.endsWith("Bearer hf_secret"))).toBe(true);
  server.forget();
  await AutoTokenizer.fromPretrained(REPO, { env, token: false });
  expect(server.asked().length).toBeGreaterThan(0);
  expect(server.asked().some((line) => line.includes("hf_secret"))).toBe(false);
});

describe("by fetch alone, as in browsers", () => {
  const web = () => ({ hub: server.hub.url, fetch });

  test("a repository's files are read where they are", async () => {
    const kernels = await loadKernels(nodeHost);
    const model = await browser.LlamaForCausalLM.fromPretrained(REPO, { ...web(), kernels });
    const own = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
    expect((await model.forward(INPUTS)).logits).toEqual((await own.forward(INPUTS)).logits);
    model.dispose();
    own.dispose();
    expect(server.hub.requests.some((line) => line.includes(COMMIT))).toBe(true);
    const inner = await browser.AutoConfig.fromPretrained(REPO, { ...web(), subfolder: "inner" });
    expect(inner.tie_word_embeddings).toBe(true);
    const tokenizer = await browser.AutoTokenizer.fromPretrained(`hf:${REPO}`, web());
    expect(tokenizer.encode("Hello").length).toBeGreaterThan(0);
  });

  test("its GGUF file is the model, but not its tokenizer where that has files", async () => {
    server.publish("owner/gguf", {
      "tiny.Q4_1.gguf": await bytesOf(join(goldens, "gguf/Q4_1.gguf")),
      "config.json": { bytes: new TextEncoder().encode("{}") },
      ...(await folderOf(join(goldens, "tokenizers/llama2_sp/fast"))),
    });
    const config = await browser.AutoConfig.fromPretrained("owner/gguf", {
      ...web(),
      gguf_file: "tiny.Q4_1.gguf",
    });
    expect(config.hidden_size).toBe(256);
    const tokenizer = await browser.AutoTokenizer.fromPretrained("owner/gguf", web());
    expect(tokenizer.encode("Hello").length).toBeGreaterThan(0);
    const kernels = await loadKernels(nodeHost);
    const model = await browser.LlamaModel.fromPretrained("owner/gguf", { ...web(), kernels });
    expect(model.config.hidden_size).toBe(256);
    model.dispose();
  });

  test.each([
    ["cache_dir", { cache_dir: "/x" }],
    ["local_files_only", { local_files_only: true }],
  ])("%s is refused: nothing is kept", async (param, more) => {
    await expect(
      browser.AutoConfig.fromPretrained(REPO, { ...web(), ...more }),
    ).rejects.toMatchObject({ code: "unsupported", param });
  });
});
