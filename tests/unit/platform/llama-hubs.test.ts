import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseAssetCard } from "../../../src/hub/assets/parse-asset-cards.ts";
import { LLaMAConfig } from "../../../src/llama/fairseq2-config.ts";
import { hashFile } from "../../../src/platform/host/file-hash.ts";
import { createModelHub, createTokenizerHub } from "../../../src/platform/host/llama-hubs.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { LlamaForCausalLM } from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { modelPath } from "../../support/smollm2.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const gguf = fileURLToPath(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url));

/** No cards but the built-in ones. */
async function emptyEnv(): Promise<Record<string, string>> {
  const folder = await temporaryFolder();
  return { HOME: folder, FAIRSEQ2_ASSET_DIR: join(folder, "none"), PRONK_CACHE: folder };
}

test("cards come from the user's folder, the system's, named files and the program", async () => {
  const env = await emptyEnv();
  const user = join(env.HOME, ".config", "fairseq2", "assets", "deep");
  const system = await temporaryFolder();
  await mkdir(user, { recursive: true });
  await writeFile(join(user, "a.yaml"), "name: mine\nbase: llama3_8b\ncheckpoint: weights/a");
  await writeFile(join(user, "ignored.txt"), "[");
  await writeFile(join(system, "b.yml"), "name: llama3_2_1b@user\ncheckpoint: /b");
  const named = join(system, "c.cards");
  await writeFile(named, "name: named\nbase: mine");
  const hub = createModelHub(nodeHost, {
    env: { ...env, FAIRSEQ2_ASSET_DIR: system },
    assets: [named],
    cards: [parseAssetCard("name: own\nbase: named\nmodel_arch: 7b")],
  });
  expect(await hub.listModels()).toEqual(expect.arrayContaining(["mine", "named", "own", "llama"]));
  expect((await hub.getCard("llama3_2_1b")).field("checkpoint")).toBe("/b");
  expect((await hub.getModelConfig("own")).num_layers).toBe(32);
  await expect(hub.loadModel("own")).rejects.toThrow(join(user, "weights/a"));
});

test("a card's checkpoint loads, unless the card says what the checkpoint is not", async () => {
  const env = await emptyEnv();
  const card = (overrides: string) =>
    parseAssetCard(
      `{name: tiny, model_family: llama, checkpoint: "${gguf}", model_config: ${overrides}}`,
    );
  const hubOf = (overrides: string) => createModelHub(nodeHost, { env, cards: [card(overrides)] });
  const load = (overrides: string) => hubOf(overrides).loadModel("tiny");
  const right = "{model_dim: 256, num_layers: 1, vocab_size: 192}";
  const model = await load(right);
  expect(model).toBeInstanceOf(LlamaForCausalLM);
  expect((await model.forward({ input_ids: [[1, 2]] })).logits.dims).toEqual([1, 2, 192]);
  model.dispose();
  // The tiny file has no tokenizer, which is what stops an engine; everything before that was right.
  await expect(hubOf(right).loadEngine("tiny")).rejects.toThrow(/has no tokenizer/);
  await expect(load("{num_layers: 2}")).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("tiny: num_layers asks for 2, its checkpoint has 1"),
  });
  await expect(load("{layers: 2}")).rejects.toThrow(/asset card tiny: .*layers is no field/);
  const hub = createModelHub(nodeHost, { env });
  const config = new LLaMAConfig({ num_layers: 7 });
  await expect(hub.loadCustomModel(gguf, config)).rejects.toThrow(/asks for/);
});

test("a card says how weights are kept, and what its files' hashes are", async () => {
  const env = await emptyEnv();
  const { sha256 } = await hashFile(gguf);
  const gqa = goldenPath("gqa");
  const weights = (await hashFile(join(gqa, "model.safetensors"))).sha256;
  const load = async (fields: string, options = {}): Promise<string> => {
    const text = `{name: tiny, model_family: llama, ${fields}}`;
    const hub = createModelHub(nodeHost, { env, cards: [parseAssetCard(text)] });
    const model = await hub.loadModel("tiny", options);
    const form = await formOf(model);
    model.dispose();
    return form;
  };
  expect(await load(`checkpoint: "${gqa}"`)).toBe("f32");
  expect(await load(`checkpoint: "${gqa}", quant: int8`)).toBe("int16");
  expect(await load(`checkpoint: "${gqa}", quant: int8`, { quantization: "none" })).toBe("f32");
  await expect(load(`checkpoint: "${gqa}", quant: q3`)).rejects.toThrow(/tiny: quant q3: none of/);
  await load(`checkpoint: "${gguf}", sha256: "${sha256}"`);
  await load(`checkpoint: "${gqa}", sha256: {model.safetensors: "${weights}"}`);
  const wrong = "0".repeat(64);
  for (const fields of [
    `checkpoint: "${gguf}", sha256: "${wrong}"`,
    `checkpoint: "${gqa}", sha256: {model.safetensors: "${wrong}"}`,
  ]) {
    await expect(load(fields)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringContaining(`the card says ${wrong}`),
    });
  }
  await expect(load(`checkpoint: "${gqa}", sha256: "${wrong}"`)).rejects.toThrow(/several files/);
  await expect(load(`checkpoint: "${gqa}", sha256: {../x: "${wrong}"}`)).rejects.toThrow(
    /is no file's name/,
  );
  await expect(load(`checkpoint: "${gguf}", sha256: abc`)).rejects.toThrow(/sha256: neither/);
});

/** The cache that belongs to the form of the weights. */
async function formOf(model: LlamaForCausalLM): Promise<string> {
  const wanted = model.forward({ input_ids: [[1]], output_attentions: true });
  return wanted.then(
    () => "f32",
    ({ message }: Error) => /cache of (\w+)/.exec(message)?.[1] ?? message,
  );
}

test("assets that are missing or broken are named", async () => {
  const env = await emptyEnv();
  await expect(
    createModelHub(nodeHost, { env, assets: ["/no/such/cards"] }).listModels(),
  ).rejects.toThrow("/no/such/cards: no such file or folder of cards");
  const file = join(env.HOME, "broken.yaml");
  await writeFile(file, "name: a\nb: [");
  await expect(createModelHub(nodeHost, { env, assets: [file] }).listModels()).rejects.toThrow(
    `${file}: not YAML`,
  );
  await expect(createModelHub(nodeHost, { env }).loadModel("llama3_2_1b")).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining("https://ai.meta.com/llama"),
  });
});

test.skipIf(!modelPath)("the page's example runs over a card that names real weights", async () => {
  const env = await emptyEnv();
  const cards = [parseAssetCard(`{name: smollm2_135m_instruct@user, checkpoint: "${modelPath}"}`)];
  const hub = createModelHub(nodeHost, { env, cards });
  const causal = await hub.loadModel("smollm2_135m_instruct", { ctx: 64, slots: 1 });
  const model = await hub.loadEngine("smollm2_135m_instruct", { ctx: 64, slots: 1 });
  try {
    expect(model.info.id).toBe("smollm2_135m_instruct");
    const prompt_ids = model.tokenizer.encode("The capital of France is");
    const { text } = await model.generate({ prompt_ids, max_tokens: 3, temperature: 0 });
    expect(text).toContain("Paris");
    const [ids] = await causal.generate({ input_ids: [prompt_ids], max_new_tokens: 3 });
    expect(model.tokenizer.decode(ids)).toContain("Paris");
  } finally {
    causal.dispose();
    await model.dispose();
  }
});

test("tokenizers are loaded from files and folders", async () => {
  const env = await emptyEnv();
  const hub = createTokenizerHub(nodeHost, { env });
  await expect(hub.loadCustomTokenizer("/no/tokenizer.model", { impl: "sp" })).rejects.toThrow(
    "/no/tokenizer.model: no such file",
  );
  await expect(hub.loadTokenizer("llama3_2_1b_instruct")).rejects.toThrow("names no tokenizer");

  const folder = fileURLToPath(new URL("../../goldens/tokenizers", import.meta.url));
  const cards = [
    parseAssetCard(`
name: tiktoken_llama_instruct
tokenizer_config_override:
    impl: tiktoken
    use_eot: True
tokenizer_family: llama
tokenizer: "${folder}/llama3_tiktoken/tokenizer.model"`),
    parseAssetCard(`{name: llama3_2_1b_instruct@user, tokenizer: "${folder}/llama3_tiktoken/hf"}`),
    parseAssetCard(`{name: llama2_7b@user, tokenizer: "${folder}/llama2_sp/tokenizer.model"}`),
  ];
  const own = createTokenizerHub(nodeHost, { env, cards });
  const tiktoken = await own.loadTokenizer("tiktoken_llama_instruct");
  const directory = await own.loadTokenizer("llama3_2_1b_instruct");
  const sentencePiece = await own.loadTokenizer("llama2_7b");
  expect(tiktoken.eosToken).toBe("<|eot_id|>");
  expect(directory.eosToken).toBe("<|eot_id|>");
  const text = "Hello, world!";
  const ids = directory.createEncoder({ mode: "prompt" })(text);
  expect(tiktoken.createEncoder({ mode: "prompt" })(text)).toEqual(ids);
  expect(sentencePiece.createEncoder({ mode: "prompt" })(text)[0]).toBe(1);
});

test("architectures are fairseq2's, field by field", async () => {
  const golden: { archs: Record<string, { config: object }> } = JSON.parse(
    await readFile(new URL("../../goldens/fairseq2/registry.json", import.meta.url), "utf8"),
  );
  const hub = createModelHub(nodeHost, { env: await emptyEnv() });
  expect([...hub.getArchs()].sort()).toEqual(Object.keys(golden.archs).sort());
  for (const [name, { config }] of Object.entries(golden.archs)) {
    expect(hub.getArchConfig(name)).toBeInstanceOf(LLaMAConfig);
    expect({ ...hub.getArchConfig(name) }, name).toEqual(config);
  }
});
