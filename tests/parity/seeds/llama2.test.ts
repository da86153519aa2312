/**
 * The examples of the pages "Llama 2" in English and Korean, one by one, over small models on a hub of the test's own
 * that has them under the pages' names.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  AttentionMaskVisualizer,
  AutoModelForCausalLM,
  AutoTokenizer,
  pipeline,
  TorchAoConfig,
} from "../../../src/platform/node/index.ts";
import { type SeedHub, startSeedHub } from "../../support/seed-models.ts";
import { pronk } from "../../unit/cli/fake-cli.ts";

const PROMPT = "Plants create energy through a process known as";

let root: string;
let hub: SeedHub;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pronk-seeds-"));
  hub = await startSeedHub(root, {
    "meta-llama/Llama-2-7b-hf": {},
    // Half of its rows are no multiple of a group.
    "meta-llama/Llama-2-13b-hf": { fields: { hidden_size: 192, intermediate_size: 256 } },
    "meta-llama/Llama-2-7b-chat-hf": { seed: 3 },
  });
  for (const [name, value] of Object.entries(hub.env)) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true, force: true });
});

describe("Llama 2", () => {
  test("Pipeline", async () => {
    using pipe = await pipeline("text-generation", "meta-llama/Llama-2-7b-hf", {
      torch_dtype: "float16",
      device: 0,
    });
    const [{ generated_text }] = await pipe(PROMPT);
    expect(generated_text.startsWith(PROMPT)).toBe(true);
    expect(generated_text.length).toBeGreaterThan(PROMPT.length);
  });

  test("AutoModel", async () => {
    const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-7b-hf");
    const model = await AutoModelForCausalLM.fromPretrained("meta-llama/Llama-2-7b-hf", {
      torch_dtype: "float16",
      device_map: "auto",
      attn_implementation: "sdpa",
    });
    const input_ids = tokenizer.call([PROMPT], { return_tensors: "pt" });

    const output = await model.generate({ ...input_ids, cache_implementation: "static" });
    const text = tokenizer.decode(output[0], { skip_special_tokens: true });
    expect(text.startsWith(PROMPT)).toBe(true);
    // transformers' default is 20 tokens in all, of which the prompt has these.
    const dynamic = await model.generate({ input_ids: [tokenizer.encode(PROMPT)] });
    expect(output).toEqual(dynamic);
    expect(output[0].length).toBeGreaterThan(input_ids.input_ids.shape[1]);
    model.dispose();
  });

  test("transformers CLI", async () => {
    const options = ["--torch_dtype", "auto", "--attn_implementation", "flash_attention_2"];
    const settings = ["max_new_tokens=4", "do_sample=False"];
    const { code, out, err } = await pronk(
      ["chat", "meta-llama/Llama-2-7b-chat-hf", ...options, ...settings],
      { env: hub.env, stdin: "Hello\n!exit\n" },
    );
    expect(code, err).toBe(0);
    expect(err).toContain("--torch_dtype has no effect");
    expect(err).toContain("--attn_implementation has no effect");
    expect(out.trim()).not.toBe("");
  });

  test("Quantization: TorchAoConfig", async () => {
    const quantization_config = new TorchAoConfig("int4_weight_only", { group_size: 128 });
    const model = await AutoModelForCausalLM.fromPretrained("meta-llama/Llama-2-13b-hf", {
      torch_dtype: "bfloat16",
      device_map: "auto",
      quantization_config,
    });
    const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-13b-hf");
    const input_ids = tokenizer.call([PROMPT], { return_tensors: "pt" });

    const output = await model.generate({ ...input_ids, cache_implementation: "static" });
    expect(tokenizer.decode(output[0], { skip_special_tokens: true }).startsWith(PROMPT)).toBe(
      true,
    );

    const whole = await AutoModelForCausalLM.fromPretrained("meta-llama/Llama-2-13b-hf");
    const [found, exact] = await Promise.all(
      [model, whole].map(async (one) => (await one.forward(input_ids)).logits.data),
    );
    expect(found).not.toEqual(exact);
    expect(correlation(found, exact)).toBeGreaterThan(0.95);
    model.dispose();
    whole.dispose();
  });

  test("AttentionMaskVisualizer", async () => {
    const visualizer = await AttentionMaskVisualizer.fromPretrained("meta-llama/Llama-2-7b-hf");
    const shown = visualizer.visualize(PROMPT);
    expect(shown).toContain("meta-llama/Llama-2-7b-hf");
    const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-7b-hf");
    const tokens = tokenizer.convertIdsToTokens(tokenizer.encode(PROMPT));
    const { tokens: drawn, mask } = visualizer.grid(PROMPT);
    expect(drawn).toEqual(tokens);
    expect(mask.map((row) => row.filter(Boolean).length)).toEqual(tokens.map((_, i) => i + 1));
  });

  test("Notes: the first token's space (Banana)", async () => {
    const tokenizer = await AutoTokenizer.fromPretrained("meta-llama/Llama-2-7b-hf");
    const ids = tokenizer.encode("Banana", { add_special_tokens: false });
    expect(tokenizer.convertIdsToTokens(ids)[0]?.startsWith("▁")).toBe(true);
    expect(tokenizer.decode(ids)).toBe("Banana");
  });

  test("Notes: config.pretraining_tp", async () => {
    const logits = await Promise.all(
      [1, 2].map(async (pretraining_tp) => {
        const options = { pretraining_tp, backend: "reference" } as const;
        const name = "meta-llama/Llama-2-7b-hf";
        const model = await AutoModelForCausalLM.fromPretrained(name, options);
        expect(model.config.pretraining_tp).toBe(pretraining_tp);
        const out = await model.forward({ input_ids: [[1, 500, 600, 700]] });
        model.dispose();
        return out.logits.data;
      }),
    );
    expect(logits[0]).not.toEqual(logits[1]);
    expect(correlation(logits[0], logits[1])).toBeGreaterThan(0.999999);
  });

  test("Notes: a padding token, whose embedding is zero", async () => {
    const name = "meta-llama/Llama-2-7b-hf";
    const tokenizer = await AutoTokenizer.fromPretrained(name);
    const model = await AutoModelForCausalLM.fromPretrained(name);
    expect(tokenizer.addSpecialTokens({ pad_token: "<pad>" })).toBe(1);
    await model.resizeTokenEmbeddings(tokenizer.length);
    model.config.pad_token_id = tokenizer.pad_token_id;

    const embed_tokens = model.getInputEmbeddings();
    expect(embed_tokens.padding_idx).toBe(tokenizer.pad_token_id);
    const { data } = await embed_tokens.forward([[tokenizer.pad_token_id as number]]);
    expect(data.every((value) => value === 0)).toBe(true);

    // Padding on the left changes nothing that a text gives.
    const texts = ["Hello", PROMPT];
    const batch = tokenizer.call(texts, {
      ...{ padding: true, padding_side: "left", return_tensors: "pt" },
    });
    const padded = await model.generate({ ...batch, max_new_tokens: 4 });
    for (const [i, text] of texts.entries()) {
      const input_ids = [tokenizer.encode(text)];
      const [alone] = await model.generate({ input_ids, max_new_tokens: 4 });
      expect(padded[i].slice(-alone.length)).toEqual(alone);
    }
    model.dispose();
  });
});

describe("Llama2 (Korean)", () => {
  test.each([
    ["auto", "auto"],
    ["the framework's default", undefined],
  ])('AutoModelForCausalLM.from_pretrained("path", dtype=...): %s', async (_, dtype) => {
    const path = join(root, "meta-llama/Llama-2-7b-hf");
    const model = await AutoModelForCausalLM.fromPretrained(path, dtype ? { dtype } : {});
    const exact = await AutoModelForCausalLM.fromPretrained(path, { dtype: "float32" });
    const input = { input_ids: [[1, 500, 600, 700]] };
    // The files have float16, which every one of these widens exactly.
    expect((await model.forward(input)).logits).toEqual((await exact.forward(input)).logits);
    model.dispose();
    exact.dispose();
  });
});

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (x: Float32Array): number => x.reduce((sum, value) => sum + value, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - ma) * (b[i] - mb);
    aa += (value - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}
