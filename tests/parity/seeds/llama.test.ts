/** The examples of the page "LLaMA", which "Llama2" in Korean repeats: Meta's files converted, then loaded. */
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LlamaForCausalLM, LlamaTokenizer } from "../../../src/platform/node/index.ts";
import { writeTinyLlama } from "../../support/seed-models.ts";
import { pronk } from "../../unit/cli/fake-cli.ts";

let root: string;
/** As Meta's download has it: consolidated.00.pth, params.json, tokenizer.model. */
let weights: string;
let original: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pronk-seeds-"));
  original = join(root, "original");
  weights = join(root, "path/to/downloaded/llama/weights");
  // Meta's code has one width for all heads, as LLaMA's first models have one key for each.
  await writeTinyLlama(original, "llama2", {
    fields: { num_key_value_heads: 4, intermediate_size: 256, rms_norm_eps: 1e-6 },
  });
  const { code, err } = await pronk(["convert", original, "--to", "meta", "--out", weights]);
  expect(code, err).toBe(0);
  await copyFile(join(original, "tokenizer.model"), join(weights, "tokenizer.model"));
  expect((await readdir(weights)).sort()).toEqual([
    "consolidated.00.pth",
    "params.json",
    "tokenizer.model",
  ]);
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("convert_llama_weights_to_hf.py --input_dir --model_size 7B --output_dir", async () => {
  const output = join(root, "output/path");
  const paths = ["--input_dir", weights, "--output_dir", output];
  // The stand-in is smaller than the page's, and says so.
  const wrong = await pronk(["convert", ...paths, "--model_size", "7B"]);
  expect(wrong.code).not.toBe(0);
  expect(wrong.err).toContain("model_size 7B has num_hidden_layers 32;");

  const { code, err } = await pronk(["convert", ...paths]);
  expect(code, err).toBe(0);
  expect(await readdir(output)).toEqual(
    expect.arrayContaining(["config.json", "model.safetensors", "tokenizer.model"]),
  );
});

test('LlamaTokenizer.from_pretrained("/output/path"), LlamaForCausalLM.from_pretrained("/output/path")', async () => {
  const output = join(root, "output/path");
  const tokenizer = await LlamaTokenizer.fromPretrained(output);
  const model = await LlamaForCausalLM.fromPretrained(output);
  expect(tokenizer).toBeInstanceOf(LlamaTokenizer);

  const before = await LlamaForCausalLM.fromPretrained(original);
  const input_ids = [tokenizer.encode("Hello this is a test")];
  expect(input_ids[0][0]).toBe(tokenizer.bos_token_id);
  const converted = await model.forward({ input_ids });
  expect(converted.logits).toEqual((await before.forward({ input_ids })).logits);
  model.dispose();
  before.dispose();
});

test('the first token at the start of a word ("Banana") gets no space', async () => {
  const tokenizer = await LlamaTokenizer.fromPretrained(join(root, "output/path"));
  const ids = tokenizer.encode("Banana", { add_special_tokens: false });
  expect(tokenizer.convertIdsToTokens(ids)[0]?.startsWith("▁")).toBe(true);
  expect(tokenizer.decode(ids)).toBe("Banana");
  expect(tokenizer.decode([...ids, ...ids])).toBe("Banana Banana");
});
