/** The examples of the page "Llama" with its API reference, one by one, over small models under the page's names. */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  AttentionMaskVisualizer,
  AutoModelForCausalLM,
  AutoTokenizer,
  FlaxLlamaForCausalLM,
  FlaxLlamaModel,
  LlamaConfig,
  LlamaForCausalLM,
  LlamaForTokenClassification,
  LlamaModel,
  LlamaTokenizerFast,
  pipeline,
  TorchAoConfig,
} from "../../../src/platform/node/index.ts";
import { type SeedHub, startSeedHub, writeTinyFlax } from "../../support/seed-models.ts";

const PROMPT = "Plants create energy through a process known as";

let root: string;
let hub: SeedHub;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pronk-seeds-"));
  hub = await startSeedHub(root, {
    "huggyllama/llama-7b": {},
    "huggyllama/llama-30b": { fields: { hidden_size: 128 }, seed: 2 },
    "meta-llama/Llama-2-7b-hf": {},
  });
  await writeTinyFlax(join(root, "flax"), join(root, "huggyllama/llama-7b"));
  await hub.publish("afmck/testing-llama-tiny", join(root, "flax"));
  for (const [name, value] of Object.entries(hub.env)) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true, force: true });
});

test("Pipeline", async () => {
  using pipe = await pipeline("text-generation", "huggyllama/llama-7b", {
    torch_dtype: "float16",
    device: 0,
  });
  const [{ generated_text }] = await pipe(PROMPT);
  expect(generated_text.startsWith(PROMPT)).toBe(true);
});

test("Quantization: TorchAoConfig", async () => {
  const quantization_config = new TorchAoConfig("int4_weight_only", { group_size: 128 });
  const model = await AutoModelForCausalLM.fromPretrained("huggyllama/llama-30b", {
    torch_dtype: "bfloat16",
    device_map: "auto",
    quantization_config,
  });
  const tokenizer = await AutoTokenizer.fromPretrained("huggyllama/llama-30b");
  const input_ids = tokenizer.call([PROMPT], { return_tensors: "pt" });

  const output = await model.generate({ ...input_ids, cache_implementation: "static" });
  expect(tokenizer.decode(output[0], { skip_special_tokens: true }).startsWith(PROMPT)).toBe(true);
  model.dispose();
});

test("AttentionMaskVisualizer", async () => {
  const visualizer = await AttentionMaskVisualizer.fromPretrained("huggyllama/llama-7b");
  expect(visualizer.visualize(PROMPT)).toContain("huggyllama/llama-7b");
});

test("LlamaConfig: its defaults are those of LLaMA-7B, and a model has its configuration", async () => {
  const configuration = new LlamaConfig();
  expect(configuration.toJSON()).toMatchObject({
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

test("LlamaModel(configuration): random weights, and model.config", async () => {
  // The page's LLaMA-7B of random numbers would take 27 GB.
  const configuration = new LlamaConfig({
    ...{ vocab_size: 320, hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2 },
    num_attention_heads: 4,
  });
  const model = new LlamaModel(configuration);
  expect(model.config).toBe(configuration);
  const { last_hidden_state } = await model.forward({ input_ids: [[1, 2, 3]] });
  expect(last_hidden_state.dims).toEqual([1, 3, 64]);
  expect(last_hidden_state.data.every(Number.isFinite)).toBe(true);
  expect(new Set(last_hidden_state.data).size).toBeGreaterThan(100);
  model.dispose();
});

describe("LlamaTokenizerFast", () => {
  // The vocabulary of the real Llama 2, which the repository does not hold.
  const real = ".cache/real-tokenizers/llama2";
  test.skipIf(!existsSync(join(real, "tokenizer.json")))(
    'encode("Hello this is a test") (needs scripts/real-tokenizers.mjs)',
    async () => {
      await hub.publish("hf-internal-testing/llama-tokenizer", real);
      const tokenizer = await LlamaTokenizerFast.fromPretrained(
        "hf-internal-testing/llama-tokenizer",
      );
      expect(tokenizer.encode("Hello this is a test")).toEqual([1, 15043, 445, 338, 263, 1243]);
    },
  );

  test("update_post_processor() after another bos_token or eos_token", async () => {
    const tokenizer = await LlamaTokenizerFast.fromPretrained("huggyllama/llama-7b", {
      add_eos_token: true,
    });
    const [bos, ...rest] = tokenizer.encode("Hello");
    expect([bos, rest.at(-1)]).toEqual([1, 2]);
    tokenizer.bos_token = "<unk>";
    tokenizer.eos_token = "<s>";
    tokenizer.updatePostProcessor();
    expect(tokenizer.encode("Hello")).toEqual([0, ...rest.slice(0, -1), 1]);
  });

  test("masks and type ids of one sequence and of two", async () => {
    const tokenizer = await LlamaTokenizerFast.fromPretrained("huggyllama/llama-7b");
    const ids = tokenizer.encode("Hello");
    expect(tokenizer.getSpecialTokensMask(ids, undefined, true)[0]).toBe(1);
    expect(tokenizer.createTokenTypeIdsFromSequences([5, 6], [7])).toEqual([0, 0, 1]);
    expect(tokenizer.createTokenTypeIdsFromSequences([5, 6])).toEqual([0, 0]);
    expect(tokenizer.buildInputsWithSpecialTokens([5], [6])).toEqual([1, 5, 1, 6]);
  });
});

test("LlamaForCausalLM", async () => {
  const model = await LlamaForCausalLM.fromPretrained("meta-llama/Llama-2-7b-hf");
  const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-7b-hf");

  const prompt = "Hey, are you conscious? Can you talk to me?";
  const inputs = tokenizer.call([prompt], { return_tensors: "pt" });

  const generate_ids = await model.generate({ input_ids: inputs.input_ids, max_length: 30 });
  const [text] = tokenizer.batchDecode(generate_ids, {
    skip_special_tokens: true,
    clean_up_tokenization_spaces: false,
  });
  // What a random model says may go on from the last character's byte.
  expect(text.startsWith(prompt.slice(0, -1))).toBe(true);
  expect(generate_ids[0].length).toBeLessThanOrEqual(30);
  model.dispose();
});

test("LlamaForTokenClassification", async () => {
  const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-7b-hf");
  // The page's repository has no such head either: it is made at random, and said so.
  const notes: string[] = [];
  const model = await LlamaForTokenClassification.fromPretrained("meta-llama/Llama-2-7b-hf", {
    onNote: (note) => notes.push(note),
  });
  expect(notes.join()).toContain("score.weight");

  const inputs = tokenizer.call(["HuggingFace is a company based in Paris and New York"], {
    add_special_tokens: false,
    return_tensors: "pt",
  });
  const { logits } = await model.forward(inputs);
  const [, length, labelCount] = logits.dims;
  expect(labelCount).toBe(model.config.num_labels);

  const predicted_token_class_ids = Array.from({ length }, (_, i) => {
    const row = [...logits.data.subarray(i * labelCount, (i + 1) * labelCount)];
    return row.indexOf(Math.max(...row));
  });
  const predicted_tokens_classes = predicted_token_class_ids.map((t) => model.config.id2label[t]);
  expect(new Set(predicted_tokens_classes).size).toBeGreaterThan(0);
  expect(predicted_tokens_classes.every((label) => /^LABEL_[01]$/.test(label))).toBe(true);

  const labels = [predicted_token_class_ids];
  const { loss } = await model.forward({ ...inputs, labels });
  // The likeliest label of two has at least half of the probability.
  expect(loss).toBeGreaterThan(0);
  expect(loss).toBeLessThanOrEqual(Math.log(2));
  model.dispose();
});

test("FlaxLlamaModel", async () => {
  const tokenizer = await AutoTokenizer.fromPretrained("afmck/testing-llama-tiny");
  const model = await FlaxLlamaModel.fromPretrained("afmck/testing-llama-tiny");

  const inputs = tokenizer.call(["Hello, my dog is cute"], { return_tensors: "jax" });
  const outputs = await model.forward(inputs);
  const { last_hidden_state } = outputs;
  expect(last_hidden_state.dims).toEqual([1, inputs.input_ids.shape[1], 64]);

  const twin = await AutoModelForCausalLM.fromPretrained("huggyllama/llama-7b");
  const states = await twin.forward({ ...inputs, output_hidden_states: true });
  expect(last_hidden_state).toEqual(states.hidden_states?.at(-1));
  model.dispose();
  twin.dispose();
});

test("FlaxLlamaForCausalLM", async () => {
  const tokenizer = await AutoTokenizer.fromPretrained("afmck/testing-llama-tiny");
  const model = await FlaxLlamaForCausalLM.fromPretrained("afmck/testing-llama-tiny");

  const inputs = tokenizer.call(["Hello, my dog is cute"], { return_tensors: "np" });
  const outputs = await model.forward(inputs);
  const [, length, vocab] = outputs.logits.dims;
  const next_token_logits = outputs.logits.data.slice((length - 1) * vocab);

  const twin = await LlamaForCausalLM.fromPretrained("huggyllama/llama-7b");
  const { logits } = await twin.forward({ ...inputs, logits_to_keep: 1 });
  expect(next_token_logits).toEqual(logits.data);
  model.dispose();
  twin.dispose();
});
