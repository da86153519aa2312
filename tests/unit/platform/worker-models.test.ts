/** The model classes inside workerd: from a bucket, from URLs, with the script's own kernels. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LlamaConfig, LlamaForCausalLM, pipeline } from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";

const kernel = (name: string): string => join("wasm", "dist", `${name}.wasm`);
const causal = new URL("../../goldens/pipelines/causal/", import.meta.url).pathname;
const tokenizer = new URL("../../goldens/tokenizers/llama2_sp/fast/", import.meta.url).pathname;

let miniflare: Miniflare;
let server: FileServer;
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: ["tests/unit/platform/worker-models.ts"],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: ["*.wasm"],
  });
  const script = outputFiles[0]!.text.replaceAll(/"[./]*wasm\/dist\/(\w+\.wasm)"/g, '"./$1"');
  miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: "worker.js", contents: script },
      ...["plain", "relaxed"].map((name) => ({
        type: "CompiledWasm" as const,
        path: `${name}.wasm`,
        contents: new Uint8Array(readFileSync(kernel(name))),
      })),
    ],
    compatibilityDate: "2026-04-01",
    r2Buckets: ["MODELS"],
    cf: false,
  });
  server = await startFileServer();
  const bucket = await miniflare.getR2Bucket("MODELS");
  for (const [prefix, folder] of [
    ["gqa", goldenPath("gqa")],
    ["tokenizer", tokenizer],
    ["causal", causal],
  ] as const) {
    for (const name of readdirSync(folder)) {
      const bytes = new Uint8Array(readFileSync(join(folder, name)));
      await bucket.put(`${prefix}/${name}`, bytes);
      server.routes.set(`/${prefix}/${name}`, serveBytes(bytes));
    }
  }
}, 60_000);
afterAll(async () => {
  await miniflare?.dispose();
  await server?.close();
});

async function ask(query: Record<string, string>): Promise<Record<string, unknown>> {
  const url = `http://worker/?${new URLSearchParams({ ids: "1,7,9", ...query })}`;
  return (await (await miniflare.dispatchFetch(url)).json()) as Record<string, unknown>;
}

test("a bucket's folder and a URL's give the logits and tokens of other runtimes", async () => {
  const model = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
  const input_ids = [[1, 7, 9]];
  const { logits } = await model.forward({ input_ids, logits_to_keep: 1 });
  const sequences = await model.generate({ input_ids, max_new_tokens: 4, eos_token_id: null });
  model.dispose();
  const expected = { logits: [...logits.data], sequences, isConfig: true };
  expect(await ask({ r2: "gqa" })).toEqual(expected);
  expect(await ask({ http: `${server.url}/gqa` })).toEqual(expected);
  expect(await ask({ name: `${server.url}/gqa/` })).toEqual(expected);
});

test("tokenizers come the same way", async () => {
  const text = "Hello this is a test";
  const { ids } = await ask({ r2: "tokenizer", text });
  expect((ids as number[]).length).toBeGreaterThan(4);
  expect(await ask({ name: `${server.url}/tokenizer`, text })).toEqual({ ids });
});

test("a pipeline runs there, too", async () => {
  const prompt = "Everyone has the right to";
  using pipe = await pipeline("text-generation", causal, { tokenizer });
  const expected = await pipe(prompt, { do_sample: false, max_new_tokens: 4 });
  expect(await ask({ r2: "causal", prompt })).toEqual(expected);
});

test("kernels that are not given, and paths, are refused with the reason", async () => {
  expect(await ask({ r2: "gqa", bare: "1" })).toMatchObject({
    code: "bad_request",
    message: expect.stringContaining("kernels"),
  });
  expect(await ask({ name: "./models/gqa/x" })).toMatchObject({
    code: "not_found",
    message: expect.stringContaining("no path can be read here"),
  });
});

test("a model made of a configuration has the weights that it has elsewhere", async () => {
  const config = new LlamaConfig({
    vocab_size: 100,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  });
  const model = new LlamaForCausalLM(config, { seed: 5 });
  const { logits } = await model.forward({ input_ids: [[1, 7, 9]], logits_to_keep: 1 });
  const files: Record<string, number> = {};
  await model.savePretrained((name, bytes) => {
    files[name] = bytes.length;
  });
  model.dispose();
  expect(await ask({ random: "5" })).toEqual({ logits: [...logits.data], files });
  expect(await ask({ random: "6" })).not.toEqual({ logits: [...logits.data], files });
});
