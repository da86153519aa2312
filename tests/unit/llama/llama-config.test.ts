import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LlamaConfig } from "../../../src/llama/llama-config.ts";
import { LLAMA_SIZES } from "../../../src/model/presets.ts";

test("without arguments it is LLaMA-7B's, with the documented defaults", () => {
  expect(new LlamaConfig().toJSON()).toEqual({
    model_type: "llama",
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    hidden_act: "silu",
    max_position_embeddings: 2048,
    initializer_range: 0.02,
    rms_norm_eps: 1e-6,
    use_cache: true,
    pad_token_id: null,
    bos_token_id: 1,
    eos_token_id: 2,
    pretraining_tp: 1,
    tie_word_embeddings: false,
    rope_theta: 10000,
    rope_scaling: null,
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    head_dim: 128,
  });
});

const models = new URL("../../goldens/models/", import.meta.url);
const folders = readdirSync(models);

test.each(folders)("models/%s/config.json comes back with every key", (folder) => {
  const json = JSON.parse(readFileSync(new URL(`${folder}/config.json`, models), "utf8"));
  const config = LlamaConfig.fromJSON(json);
  const { label2id, ...others } = json;
  // Of labels that have no ids, these follow from the others.
  expect(config.toJSON()).toMatchObject(label2id === null ? others : json);
  expect(LlamaConfig.fromJSON(JSON.parse(JSON.stringify(config)))).toEqual(config);
});

test("keys that it does not know are kept, also those that are called as its own members", () => {
  const given = { torch_dtype: "float16", return_dict: false, extra: 1, transformers_version: "4" };
  const config = new LlamaConfig(given);
  expect(config.toJSON()).toMatchObject(given);
  expect(config.extra).toEqual(given);
});

test("a padding id of -1 is none, several ends of text are kept", () => {
  const config = new LlamaConfig({ pad_token_id: -1, eos_token_id: [128001, 128008, 128009] });
  expect(config.pad_token_id).toBeNull();
  expect(config.eos_token_id).toEqual([128001, 128008, 128009]);
});

test("transformers 5's rope_parameters are the same configuration as the fields before it", () => {
  const scaling = { rope_type: "linear", factor: 4 };
  const old = new LlamaConfig({ rope_theta: 5e5, rope_scaling: scaling });
  const new5 = new LlamaConfig({ rope_parameters: { rope_theta: 5e5, ...scaling } });
  expect(new5.toModelConfig()).toEqual(old.toModelConfig());
  expect(new5.toJSON()).toMatchObject({ rope_theta: 5e5, rope_scaling: scaling });
  const plain = new LlamaConfig({ rope_parameters: { rope_theta: 5e5, rope_type: "default" } });
  expect(plain.rope_scaling).toBeNull();
  expect(plain.rope_theta).toBe(5e5);
});

describe("labels", () => {
  test("are two unless said otherwise, and follow num_labels", () => {
    expect(new LlamaConfig().num_labels).toBe(2);
    const three = new LlamaConfig({ num_labels: 3 });
    expect(three.id2label).toEqual({ 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" });
    expect(three.label2id).toEqual({ LABEL_0: 0, LABEL_1: 1, LABEL_2: 2 });
    expect(LlamaConfig.fromJSON(three.toJSON()).num_labels).toBe(3);
  });

  test("have the names that are given", () => {
    const config = new LlamaConfig({ id2label: { 0: "NEGATIVE", 1: "POSITIVE", 2: "NEUTRAL" } });
    expect(config.num_labels).toBe(3);
    expect(config.label2id).toEqual({ NEGATIVE: 0, POSITIVE: 1, NEUTRAL: 2 });
    expect(config.toJSON()).toMatchObject({ id2label: config.id2label });
  });
});

test("fields may be set, and are checked when a model is planned", () => {
  const config = new LlamaConfig();
  config.vocab_size = 32001;
  config.pad_token_id = 32000;
  expect(config.toModelConfig().vocab_size).toBe(32001);
  expect(config.toJSON()).toMatchObject({ vocab_size: 32001, pad_token_id: 32000 });
  config.hidden_act = "swoosh";
  expect(() => config.toModelConfig()).toThrow(/hidden_act "swoosh"/);
});

describe("refuses, naming field and value,", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["a text for a size", { hidden_size: "4096" }, /hidden_size: "4096"/],
    ["no heads", { num_attention_heads: 0 }, /num_attention_heads: 0/],
    ["a negative id", { pad_token_id: -2 }, /pad_token_id: -2/],
    ["an id that is none", { eos_token_id: [2, "3"] }, /eos_token_id: "3"/],
    ["a hole in the ends", { eos_token_id: [null] }, /eos_token_id: \[null\]/],
    ["a cache of maybe", { use_cache: "maybe" }, /use_cache: "maybe"/],
    ["a negative range", { initializer_range: -1 }, /initializer_range: -1/],
    ["a dropout over 1", { attention_dropout: 1.5 }, /attention_dropout: 1.5/],
    ["no labels", { num_labels: 0 }, /num_labels: 0/],
    [
      "too many labels beside names of some",
      { num_labels: 2 ** 31, id2label: { 0: "a" } },
      /num_labels: 2147483648/,
    ],
    ["too many labels", { num_labels: 2 ** 31 }, /num_labels: 2147483648/],
    ["a label without a name", { id2label: { 0: 7 } }, /id2label: {"0":7}/],
    ["a label's id that is none", { label2id: { A: "0" } }, /label2id: {"A":"0"}/],
    ["another model", { model_type: "mistral" }, /model_type mistral/],
    ["an unknown scaling", { rope_scaling: { type: "su", factor: 2 } }, /rope_scaling: type "su"/],
  ])("%s", (_, fields, message) => {
    expect(() => new LlamaConfig(fields, "config.json")).toThrow(message);
    expect(() => LlamaConfig.fromJSON(fields)).toThrow(/^config\.json: /);
  });

  test("what is no object", () => {
    expect(() => LlamaConfig.fromJSON([])).toThrow("config.json: [] is not an object");
  });
});

describe("published sizes", () => {
  /** Parameters in millions, as transformers counts them. */
  const PARAMETERS: Record<string, number> = {
    "llama-7b": 6738,
    "llama-13b": 13016,
    "llama-30b": 32529,
    "llama-65b": 65286,
    "llama-2-7b": 6738,
    "llama-2-13b": 13016,
    "llama-2-70b": 68977,
    "llama-3-8b": 8030,
    "llama-3-70b": 70554,
    "llama-3.1-8b": 8030,
    "llama-3.1-70b": 70554,
    "llama-3.1-405b": 405853,
    "llama-3.2-1b": 1236,
    "llama-3.2-3b": 3213,
    "llama-3.3-70b": 70554,
  };

  test.each(Object.keys(LLAMA_SIZES))("%s has its number of parameters", (name) => {
    const config = LlamaConfig.fromName(name);
    const { hidden_size: dim, intermediate_size: ffn, head_dim } = config;
    const attention =
      dim * head_dim * 2 * (config.num_attention_heads + config.num_key_value_heads);
    const layer = attention + 3 * dim * ffn + 2 * dim;
    const embeddings = config.vocab_size * dim * (config.tie_word_embeddings ? 1 : 2);
    const total = layer * config.num_hidden_layers + embeddings + dim;
    expect(Math.round(total / 1e6)).toBe(PARAMETERS[name]);
  });

  test("another name is refused with the known ones", () => {
    expect(() => LlamaConfig.fromName("llama-9b")).toThrow(/llama-9b; known: llama-7b/);
    expect(() => LlamaConfig.fromName("toString")).toThrow(/no Llama is called toString/);
  });
});
