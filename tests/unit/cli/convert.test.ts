import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { outputFolder } from "../../../src/platform/host/output-folder.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const gqa = goldenPath("gqa");
const weights = (folder: string): Promise<Buffer> => readFile(join(folder, "model.safetensors"));

async function convert(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await pronk(["convert", ...args, "--json"]);
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

test("Hugging Face to GGUF, to a pack, and back: the same bytes of weights", async () => {
  const folder = await temporaryFolder();
  const gguf = join(folder, "gguf");
  const pack = join(folder, "pack");
  expect(await convert(gqa, "--to", "gguf", "--out", gguf)).toMatchObject({
    path: gguf,
    to: "gguf",
    files: ["model.gguf"],
  });
  await convert(gqa, "--to", "pack", "--quant", "none", "--out", pack);
  for (const source of [join(gguf, "model.gguf"), pack]) {
    const back = join(folder, "back");
    await convert(source, "--to", "hf", "--out", back);
    expect((await weights(back)).equals(await weights(gqa))).toBe(true);
  }
});

test("Meta's shards to Hugging Face, to a pack, back, and to Meta again: the same bytes", async () => {
  const folder = await temporaryFolder();
  const [hf, pack, back, meta, again] = ["hf", "pack", "back", "meta", "again"].map((name) =>
    join(folder, name),
  );
  const shards = fileURLToPath(new URL("../../goldens/meta/mp2", import.meta.url));
  await convert("--input_dir", shards, "--output_dir", hf);
  await convert(hf, "--to", "pack", "--quant", "none", "--out", pack);
  await convert(pack, "--out", back);
  await convert(back, "--to", "meta", "--out", meta);
  await convert(meta, "--out", again);
  for (const copy of [back, again]) {
    expect((await weights(copy)).equals(await weights(hf))).toBe(true);
  }
});

test("--dtype and --max-shard-size", async () => {
  const folder = await temporaryFolder();
  const { files } = await convert(
    gqa,
    "--out",
    folder,
    "--dtype",
    "bf16",
    "--max-shard-size",
    "100KB",
  );
  const names = (await readdir(folder)).sort();
  expect([...(files as string[])].sort()).toEqual(names);
  expect(names).toContain("model.safetensors.index.json");
  expect(JSON.parse(await readFile(join(folder, "config.json"), "utf8")).dtype).toBe("bfloat16");
});

test("the flags of transformers' script, with the size checked", async () => {
  const folder = await temporaryFolder();
  await convert("--input_dir", gqa, "--output_dir", folder);
  expect((await weights(folder)).equals(await weights(gqa))).toBe(true);

  const args = ["convert", "--input_dir", gqa, "--output_dir", folder, "--model_size", "7B"];
  const { code, err } = await pronk(args);
  expect(code).toBe(1);
  expect(err).toContain("model_size 7B has num_hidden_layers 32");
});

test("int4 in groups of a size", async () => {
  const folder = await temporaryFolder();
  await convert(gqa, "--to", "pack", "--quant", "int4", "--group-size", "64", "--out", folder);
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
  expect(manifest.quantization.requested).toBe("int4g64");
  const forms = new Set(manifest.tensors.map(({ form }: { form: string }) => form));
  expect([...forms].sort()).toEqual(["q4m", "q6m", "vector"]);
});

test("a directory with a tokenizer runs, and is inspected", async () => {
  const folder = await temporaryFolder();
  const sizes = {
    vocab_size: 1000,
    hidden_size: 64,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 64,
  };
  const checkpoint = randomCheckpoint(sizes, 1, "llama2_sp/fast_legacy");
  await saveHfDirectory(checkpoint, outputFolder(folder));
  const run = await pronk(["run", folder, "--prompt", "Hello", "--max-tokens", "4", "--json"]);
  expect(run.code, run.err).toBe(0);
  expect(JSON.parse(run.out).usage.completion_tokens).toBe(4);
  const inspect = await pronk(["inspect", folder, "--tensors", "--json"]);
  expect(JSON.parse(inspect.out).tensors[0]).toMatchObject({
    name: "model.embed_tokens.weight",
    type: "F32",
    shape: [1000, 64],
  });
});

test.each([
  ["nothing to read", ["--out", "x"], "INPUT is missing"],
  ["nowhere to write", [gqa], "--out DIR is missing"],
  ["two places", [gqa, "--out", "x", "--output_dir", "y"], "given twice"],
  ["an unknown form", [gqa, "--to", "onnx", "--out", "x"], "onnx"],
  ["shards of a GGUF", [gqa, "--to", "gguf", "--max-shard-size", "1GB", "--out", "x"], "--to hf"],
  ["a pack's forms elsewhere", [gqa, "--quant", "q4", "--out", "x"], "--to pack"],
  [
    "a group of eight bits",
    [gqa, "--to", "pack", "--quant", "int8", "--group-size", "64", "--out", "x"],
    "int4",
  ],
  ["a dtype of a pack", [gqa, "--to", "pack", "--dtype", "f16", "--out", "x"], "--quant"],
  ["blocks in safetensors", [gqa, "--dtype", "q8_0", "--out", "x"], "q8_0"],
])("exit code 2 for %s", async (_, args, message) => {
  const { code, err } = await pronk(["convert", ...args]);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
