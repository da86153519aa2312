/** transformers' Auto classes on Node: dispatch, and what each source gives. */
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LlamaTokenizerFast } from "../../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import * as pronk from "../../../src/platform/node/index.ts";
import { openDirectory } from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const {
  AutoConfig,
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  AutoTokenizer,
} = pronk;

const goldens = new URL("../../goldens/", import.meta.url).pathname;
const llama2 = join(goldens, "tokenizers/llama2_sp");

test.each([
  ["AutoModel", AutoModel, pronk.LlamaModel, "gqa"],
  ["AutoModelForCausalLM", AutoModelForCausalLM, pronk.LlamaForCausalLM, "gqa"],
  [
    "AutoModelForSequenceClassification",
    AutoModelForSequenceClassification,
    pronk.LlamaForSequenceClassification,
    "seqcls",
  ],
  [
    "AutoModelForTokenClassification",
    AutoModelForTokenClassification,
    pronk.LlamaForTokenClassification,
    "tokcls",
  ],
  [
    "AutoModelForQuestionAnswering",
    AutoModelForQuestionAnswering,
    pronk.LlamaForQuestionAnswering,
    "qa",
  ],
] as const)(
  "%s gives the Llama class, with the weights of the files",
  async (_, auto, llama, name) => {
    const model = await auto.fromPretrained(goldenPath(name));
    expect(model).toBeInstanceOf(llama);
    expect(model.missing_keys).toEqual([]);
    const states = await model.forward({ input_ids: [[5, 6, 7]] });
    const own = await llama.fromPretrained(openDirectory(goldenPath(name)));
    expect(states).toEqual({
      ...(await own.forward({ input_ids: [[5, 6, 7]] })),
      past_key_values: expect.anything(),
    });
    model.dispose();
    own.dispose();
  },
);

describe("AutoConfig", () => {
  test("reads the configuration without weights, with fields replaced", async () => {
    const folder = await temporaryFolder();
    await cp(join(goldenPath("gqa"), "config.json"), join(folder, "config.json"));
    const config = await AutoConfig.fromPretrained(folder, { num_labels: 5, rope_theta: 500 });
    expect(config).toBeInstanceOf(pronk.LlamaConfig);
    expect(config).toMatchObject({ num_key_value_heads: 2, num_labels: 5, rope_theta: 500 });
  });

  test.each([
    ["GGUF", join(goldens, "gguf/F16.gguf")],
    ["Meta", join(goldens, "meta/mp2")],
    ["fairseq2", join(goldens, "checkpoints/fairseq2")],
  ])("reads that of a checkpoint of %s", async (_, path) => {
    const config = await AutoConfig.fromPretrained(path);
    expect(config.model_type).toBe("llama");
    expect(config.num_hidden_layers).toBeGreaterThan(0);
  });

  test("refuses another family by its name", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "config.json"), '{"model_type": "mistral", "hidden_size": 64}');
    await expect(AutoConfig.fromPretrained(folder)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("model_type mistral; runs: llama"),
    });
  });
});

describe("AutoTokenizer", () => {
  const text = "Hello this is a test";

  test("takes the class of the folder's files", async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(join(llama2, "fast"));
    expect(tokenizer).toBeInstanceOf(LlamaTokenizerFast);
    const inner = await AutoTokenizer.fromPretrained(llama2, { subfolder: "fast" });
    expect(inner.encode(text)).toEqual(tokenizer.encode(text));
    const opened = await AutoTokenizer.fromPretrained(openDirectory(join(llama2, "fast")));
    expect(opened.encode(text)).toEqual(tokenizer.encode(text));
  });

  test("reads that of a GGUF file", async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(join(goldens, "tokenizers/tok_sp.gguf"));
    const same = await AutoTokenizer.fromPretrained(join(goldens, "tokenizers"), {
      gguf_file: "tok_sp.gguf",
    });
    const files = await AutoTokenizer.fromPretrained(join(llama2, "fast_legacy"));
    expect(tokenizer.encode(text)).toEqual(files.encode(text));
    expect(same.encode(text)).toEqual(files.encode(text));
  });

  test("takes bytes by file name", async () => {
    const file = await readFile(join(llama2, "fast/tokenizer.json"));
    const tokenizer = await AutoTokenizer.fromPretrained({
      "tokenizer.json": new Uint8Array(file),
    });
    expect(tokenizer.encode(text, { add_special_tokens: false }).length).toBeGreaterThan(0);
  });

  test("says so where there is none", async () => {
    await expect(AutoTokenizer.fromPretrained(goldenPath("gqa"))).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

test("Flax classes take the Flax file first, others the safetensors", async () => {
  const folder = join(await temporaryFolder(), "both");
  await mkdir(folder);
  await cp(join(goldens, "checkpoints/flax"), folder, { recursive: true });
  // Other weights of the same shapes show which file was read.
  await cp(join(goldenPath("gqa"), "model.safetensors"), join(folder, "model.safetensors"));
  const bytes = await readFile(join(folder, "model.safetensors"));
  bytes.fill(0, bytes.length - 4096);
  await writeFile(join(folder, "model.safetensors"), bytes);
  const inputs = { input_ids: [[1, 2, 3, 4]] };
  const logitsOf = async (model: pronk.LlamaForCausalLM): Promise<Float32Array> => {
    const { logits } = await model.forward(inputs);
    model.dispose();
    return logits.data;
  };
  const expected = await logitsOf(await AutoModelForCausalLM.fromPretrained(goldenPath("gqa")));
  const flax = await pronk.FlaxLlamaForCausalLM.fromPretrained(folder);
  expect(flax).toBeInstanceOf(pronk.LlamaForCausalLM);
  expect(await logitsOf(flax)).toEqual(expected);
  const torch = await pronk.LlamaForCausalLM.fromPretrained(folder);
  expect(await logitsOf(torch)).not.toEqual(expected);
  const asked = await pronk.LlamaForCausalLM.fromPretrained(folder, { from_flax: true });
  expect(await logitsOf(asked)).toEqual(expected);
  await expect(
    pronk.FlaxLlamaForCausalLM.fromPretrained(goldenPath("gqa"), { from_flax: true }),
  ).rejects.toMatchObject({ code: "not_found" });
  const bare = await pronk.FlaxLlamaModel.fromPretrained(folder);
  expect((await bare.forward(inputs)).last_hidden_state.dims).toEqual([
    1,
    4,
    bare.config.hidden_size,
  ]);
  bare.dispose();
});

test.each([
  ["an option that is not known", { device: "cuda" }, "bad_request", "device"],
  ["one that asks for nothing", { divice: false }, "bad_request", "divice"],
  ["tuples", { return_dict: false }, "unsupported", "return_dict"],
  [
    "a configuration that is quantized",
    { config: { quantization_config: { quant_method: "gptq" } } },
    "unsupported",
    "quantization_config",
  ],
  ["a token", { token: "hf_secret" }, "unsupported", "token"],
  ["a variant that is not there", { variant: "fp16" }, "not_found", undefined],
  ["a variant that is no word", { variant: "../fp16" }, "bad_request", "variant"],
  ["a revision of a path", { revision: "v2" }, "bad_request", "revision"],
  ["two dtypes", { dtype: "f32", torch_dtype: "bf16" }, "bad_request", "dtype"],
  ["an unknown dtype", { dtype: "int8" }, "bad_request", "dtype"],
  [
    "two quantizations",
    { quantization: "q4", load_in_8bit: true },
    "bad_request",
    "quantization_config",
  ],
])("fromPretrained refuses %s", async (_, options, code, param) => {
  const loading = AutoModelForCausalLM.fromPretrained(goldenPath("gqa"), options as object);
  await expect(loading).rejects.toMatchObject({ code, param });
  await expect(loading).rejects.not.toThrow(/hf_secret/);
});

test("a variant's weights are read, and named where they are missing", async () => {
  const folder = await temporaryFolder();
  const own = await pronk.LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
  const names = await own.savePretrained(folder, { variant: "bf16", dtype: "bfloat16" });
  expect(names).toContain("model.bf16.safetensors");
  const inputs = { input_ids: [[5, 6, 7]] };
  const model = await AutoModelForCausalLM.fromPretrained(folder, { variant: "bf16" });
  const rounded = await pronk.LlamaForCausalLM.fromPretrained(goldenPath("gqa"), { dtype: "bf16" });
  expect((await model.forward(inputs)).logits).toEqual((await rounded.forward(inputs)).logits);
  for (const one of [own, model, rounded]) one.dispose();
  await expect(AutoModelForCausalLM.fromPretrained(folder)).rejects.toThrow(/weights are missing/);
  const gguf = join(goldens, "gguf/F16.gguf");
  await expect(
    AutoModelForCausalLM.fromPretrained(gguf, { variant: "bf16" }),
  ).rejects.toMatchObject({ code: "bad_request", param: "variant" });
});

test("a configuration gives a model of random weights, and is saved by itself", async () => {
  const config = await pronk.LlamaConfig.fromPretrained(goldenPath("gqa"), { num_labels: 3 });
  const model = AutoModelForSequenceClassification.fromConfig(config, { seed: 4 });
  expect(model).toBeInstanceOf(pronk.LlamaForSequenceClassification);
  expect((await model.forward({ input_ids: [[1, 2]] })).logits.dims).toEqual([1, 3]);
  model.dispose();
  const fields = { ...config.toJSON(), hidden_act: "mish" };
  expect(() => AutoModelForCausalLM.fromConfig(fields)).toThrow(/hidden_act "mish"/);

  const folder = await temporaryFolder();
  expect(await config.savePretrained(pronk.outputDirectory(folder))).toEqual(["config.json"]);
  expect((await AutoConfig.fromPretrained(folder)).toJSON()).toEqual(config.toJSON());
  const files = new Map<string, Uint8Array>();
  await config.savePretrained((name, bytes) => void files.set(name, bytes));
  const text = await readFile(join(folder, "config.json"), "utf8");
  expect(new TextDecoder().decode(files.get("config.json"))).toBe(text);
});

test("GenerationConfig reads that of a folder, of old checkpoints in config.json, and of a GGUF file", async () => {
  const { GenerationConfig } = pronk;
  const flax = join(goldens, "checkpoints/flax");
  const own = JSON.parse(await readFile(join(flax, "generation_config.json"), "utf8"));
  expect(await GenerationConfig.fromPretrained(flax)).toMatchObject(own);
  const folder = await temporaryFolder();
  const old = { model_type: "llama", temperature: 0.5, hidden_size: 64 };
  await writeFile(join(folder, "config.json"), JSON.stringify(old));
  const config = await GenerationConfig.fromPretrained(folder, { do_sample: true });
  expect(config).toMatchObject({ temperature: 0.5, do_sample: true });
  expect(config.toDict()).not.toHaveProperty("hidden_size");
  const gguf = await GenerationConfig.fromPretrained(join(goldens, "gguf/F16.gguf"));
  expect(gguf).toBeInstanceOf(GenerationConfig);
  const model = await AutoModelForCausalLM.fromPretrained(flax);
  expect(model.generation_config).toBeInstanceOf(GenerationConfig);
  model.dispose();
  await expect(GenerationConfig.fromPretrained(await temporaryFolder())).rejects.toMatchObject({
    code: "not_found",
  });
});

test("the tokenizer classes take names", async () => {
  const text = "Hello this is a test";
  const fast = await pronk.LlamaTokenizerFast.fromPretrained(llama2, { subfolder: "fast" });
  expect(fast).toBeInstanceOf(pronk.LlamaTokenizerFast);
  expect(await AutoTokenizer.fromPretrained(join(llama2, "fast"))).toBeInstanceOf(
    pronk.LlamaTokenizerFast,
  );
  const slow = await pronk.LlamaTokenizer.fromPretrained(llama2, { add_eos_token: true });
  expect(slow).toBeInstanceOf(pronk.LlamaTokenizer);
  expect(slow.encode(text)).toEqual([...fast.encode(text), slow.eos_token_id]);
  const folder = openDirectory(llama2);
  const inner = await pronk.LlamaTokenizerFast.fromPretrained(folder, { subfolder: "fast" });
  expect(inner.encode(text)).toEqual(fast.encode(text));
  const gguf = join(goldens, "tokenizers/tok_sp.gguf");
  await expect(pronk.LlamaTokenizer.fromPretrained(gguf)).rejects.toThrow(/AutoTokenizer reads/);
  await expect(
    AutoTokenizer.fromPretrained(llama2, { token: "hf_secret" } as object),
  ).rejects.toMatchObject({ code: "unsupported", param: "token" });
});

test("what is harmless is accepted: devices, attention, remote code", async () => {
  const model = await AutoModelForCausalLM.fromPretrained(goldenPath("gqa"), {
    device_map: "auto",
    attn_implementation: "sdpa",
    low_cpu_mem_usage: true,
    trust_remote_code: true,
    torch_dtype: "auto",
    return_dict: true,
    force_download: false,
    output_hidden_states: true,
  } as object);
  expect(model.notes).toEqual([]);
  const { hidden_states } = await model.forward({ input_ids: [[1]] });
  expect(hidden_states).toHaveLength(model.config.num_hidden_layers + 1);
  model.dispose();
});
