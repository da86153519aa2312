/** Adapters' files: what is read of them, and what is refused with its reason. */
import { describe, expect, test } from "vitest";
import { fitAdapter } from "../../../src/adapters/fit-adapter.ts";
import { openLoraAdapter } from "../../../src/adapters/open-lora-adapter.ts";
import { writeTorch } from "../../../src/formats/torch/write-torch.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { memoryFolder } from "../../support/memory-folder.ts";
import {
  factors,
  randomTensor,
  type WrittenTensor,
  writeAdapter,
} from "../../support/written-adapter.ts";

const Q = "model.layers.0.self_attn.q_proj";
const V = "model.layers.1.self_attn.v_proj";
const TENSORS = factors({ [Q]: [64, 64, 4], [V]: [32, 64, 8] });
const CONFIG = {
  r: 4,
  lora_alpha: 6,
  rank_pattern: { v_proj: 8 },
  target_modules: ["q_proj", "v_proj"],
};

const open = async (
  config: Readonly<Record<string, unknown>> = CONFIG,
  tensors: Readonly<Record<string, WrittenTensor>> = TENSORS,
) => openLoraAdapter(await writeAdapter(config, tensors));

const base = (more: Readonly<Record<string, unknown>> = {}) =>
  parseLlamaConfig(
    {
      vocab_size: 100,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      ...more,
    },
    "base",
  );

describe("ranks and scaling", () => {
  const scalings = async (config: Readonly<Record<string, unknown>>): Promise<number[]> => {
    const { modules } = await open({ ...CONFIG, ...config });
    return [modules.get(Q)!.scaling, modules.get(V)!.scaling];
  };

  test("are alpha / r, by the patterns", async () => {
    expect(await scalings({})).toEqual([6 / 4, 6 / 8]);
    expect(await scalings({ alpha_pattern: { "layers.1.self_attn.v_proj": 3 } })).toEqual([
      6 / 4,
      3 / 8,
    ]);
  });

  test("are alpha / sqrt(r) with use_rslora", async () => {
    const found = await scalings({ use_rslora: true, alpha_pattern: { ".*q_proj": 5 } });
    expect(found).toEqual([5 / 2, 6 / Math.sqrt(8)]);
  });

  test("of a pattern: the first key that matches, as a part of the name", async () => {
    const alpha_pattern = { proj: 1, "[qv]_proj": 2, "self_attn.q_proj": 3 };
    expect(await scalings({ alpha_pattern })).toEqual([2 / 4, 2 / 8]);
  });
});

describe("patterns as names of modules, one each", () => {
  test("match the end of a name, whole parts of it, a dot being any character", async () => {
    const alpha_pattern = { "1.self_attn.v_proj": 2, _proj: 9, "0_self_attn.q_proj": 3 };
    const { modules } = await open({ ...CONFIG, alpha_pattern });
    expect(modules.get(V)!.scaling).toBe(2 / 8);
    expect(modules.get(Q)!.scaling).toBe(6 / 4);
    const dotted = await open({ ...CONFIG, alpha_pattern: { "self.attn.q.proj": 3 } });
    expect(dotted.modules.get(Q)!.scaling).toBe(3 / 4);
  });

  test("cost no more for thousands of them; thousands of expressions are refused", async () => {
    const many = (end: string) =>
      Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`layers.${i}.x_proj${end}`, 4]));
    const started = performance.now();
    await open({ ...CONFIG, rank_pattern: { v_proj: 8, ...many("") }, alpha_pattern: many("") });
    expect(performance.now() - started).toBeLessThan(2000);
    await expect(open({ ...CONFIG, alpha_pattern: many(".*") })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("20000 expressions"),
    });
  });
});

describe("reads", () => {
  test.each([
    ["names of modules", CONFIG],
    ["full names", { ...CONFIG, target_modules: [Q, V] }],
    ["an expression", { ...CONFIG, target_modules: ".*\\.\\d+\\.self_attn\\.(q|v)_proj" }],
    ["all linear layers", { ...CONFIG, target_modules: "all-linear" }],
    ["no target modules", { ...CONFIG, target_modules: null }],
    ["layers", { ...CONFIG, layers_to_transform: [0, 1] }],
    ["layers by pattern", { ...CONFIG, layers_to_transform: [0, 1], layers_pattern: "layers" }],
    ["other exclusions", { ...CONFIG, exclude_modules: ["k_proj"] }],
    ["fan_in_fan_out, which PEFT resets for linear layers", { ...CONFIG, fan_in_fan_out: true }],
  ])("%s", async (_, config) => {
    expect([...(await open(config)).modules.keys()].sort()).toEqual([Q, V]);
  });

  test("names of LlamaModel and of the question answering model", async () => {
    for (const prefix of ["", "transformer."]) {
      const renamed = Object.fromEntries(
        Object.entries(TENSORS).map(([key, tensor]) => [key.replace("model.", prefix), tensor]),
      );
      const { modules } = await open(CONFIG, renamed);
      expect([...modules.keys()].sort()).toEqual([Q, V]);
    }
  });

  test("adapter_model.bin through the restricted unpickler", async () => {
    const source = await writeAdapter(CONFIG, TENSORS);
    const folder = memoryFolder();
    folder.files.set("adapter_config.json", source.files.get("adapter_config.json")!);
    const adapter = await openLoraAdapter(source);
    const tensors = [...adapter.modules].flatMap(([name, { a, b }]) => [
      { ...a, name: `base_model.model.${name}.lora_A.weight` },
      { ...b, name: `base_model.model.${name}.lora_B.weight` },
    ]);
    const file = await folder.create("adapter_model.bin");
    await writeTorch(file, tensors, { archive: "adapter_model" });
    await file.close();
    const found = await openLoraAdapter(folder);
    for (const [name, { a, rank, scaling }] of adapter.modules) {
      const own = found.modules.get(name)!;
      expect({ rank: own.rank, scaling: own.scaling }).toEqual({ rank, scaling });
      const bytes = [new Uint8Array(rank * 64 * 4), new Uint8Array(rank * 64 * 4)];
      await a.readRows(0, rank, bytes[0]!);
      await own.a.readRows(0, rank, bytes[1]!);
      expect(bytes[1]).toEqual(bytes[0]);
    }
  });

  test("what is trained in full, by task and by name", async () => {
    const tensors = { ...TENSORS, "score.weight": randomTensor([3, 64], 1, 1) };
    const { replaced } = await open({ ...CONFIG, task_type: "SEQ_CLS" }, tensors);
    expect([...replaced.keys()]).toEqual(["score.weight"]);
  });
});

describe("refuses", () => {
  test.each([
    ["another method", { peft_type: "IA3" }, "unsupported", /peft_type: "IA3"/],
    ["prompt tuning", { peft_type: "PROMPT_TUNING" }, "unsupported", /PROMPT_TUNING/],
    ["DoRA", { use_dora: true }, "unsupported", /use_dora: DoRA/],
    ["QALoRA", { use_qalora: true }, "unsupported", /use_qalora/],
    ["aLoRA", { alora_invocation_tokens: [1] }, "unsupported", /alora_invocation_tokens/],
    ["token indices", { trainable_token_indices: [1] }, "unsupported", /trainable_token_indices/],
    ["replicated layers", { layer_replication: [[0, 1]] }, "unsupported", /layer_replication/],
    ["target parameters", { target_parameters: ["x"] }, "unsupported", /target_parameters/],
    ["a changed base", { init_lora_weights: "pissa_niter_4" }, "unsupported", /pissa/],
    ["a rank of 0", { r: 0 }, "bad_format", /r: 0 is not a rank/],
    ["a rank that is no number", { rank_pattern: { q: "8" } }, "bad_format", /rank_pattern: q/],
    ["modules that are numbers", { target_modules: [1] }, "bad_format", /target_modules/],
    ["another rank than the tensors'", { r: 5 }, "bad_format", /\[4,64\].*rank 5/],
    ["tensors of excluded modules", { exclude_modules: ["v_proj"] }, "unsupported", /no factors/],
    ["tensors of layers left out", { layers_to_transform: [1] }, "unsupported", /no factors/],
    ["tensors of modules not named", { target_modules: ["q_proj"] }, "unsupported", /no factors/],
    ["patterns that hang", { target_modules: "(?<=a)b" }, "unsupported", /pattern/],
  ])("%s", async (_, config, code, message) => {
    const error = expect.objectContaining({ code, message: expect.stringMatching(message) });
    await expect(open({ ...CONFIG, ...config })).rejects.toEqual(error);
  });

  const one = TENSORS[`${Q}.lora_A.weight`]!;
  test.each([
    ["a missing factor", { [`${Q}.lora_B.weight`]: undefined }, "bad_format", /lora_B is missing/],
    [
      "a vector for a factor",
      { [`${Q}.lora_A.weight`]: randomTensor([4], 1, 1) },
      "bad_format",
      /\[4\]/,
    ],
    [
      "a magnitude vector",
      { [`${Q}.lora_magnitude_vector.weight`]: one },
      "unsupported",
      /no rule/,
    ],
    ["another module's weight", { "model.norm.weight": one }, "unsupported", /no rule/],
    ["a bias without lora_bias", { [`${Q}.lora_B.bias`]: one }, "unsupported", /lora_bias/],
  ])("%s", async (_, change, code, message) => {
    const tensors = Object.fromEntries(
      Object.entries({ ...TENSORS, ...change }).filter(([, tensor]) => tensor !== undefined),
    ) as Record<string, WrittenTensor>;
    const error = expect.objectContaining({ code, message: expect.stringMatching(message) });
    await expect(open(CONFIG, tensors)).rejects.toEqual(error);
  });

  test("a folder that has none", async () => {
    await expect(openLoraAdapter(memoryFolder())).rejects.toMatchObject({ code: "not_found" });
    const folder = await writeAdapter(CONFIG, TENSORS);
    folder.files.delete("adapter_model.safetensors");
    await expect(openLoraAdapter(folder)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("of another base", () => {
  test.each([
    ["too few layers", { num_hidden_layers: 1 }, /layers\.1.*no such matrix/],
    ["another width", { hidden_size: 128, head_dim: 16 }, /64 inputs.*128 and 64/],
    ["other heads", { num_key_value_heads: 4 }, /32 outputs, the base 64 and 64/],
    ["more layers than it has factors for", { num_hidden_layers: 3 }, /are missing/],
  ])("%s", async (_, config, message) => {
    const full = {
      ...CONFIG,
      rank_pattern: {},
      target_modules: ["q_proj"],
      layers_to_transform: null,
    };
    const two = factors({ [Q]: [64, 64, 4], "model.layers.1.self_attn.q_proj": [64, 64, 4] });
    const isMissing = String(message).includes("missing");
    const adapter = isMissing
      ? await open(full, two)
      : await open({ ...CONFIG, target_modules: null });
    expect(() => fitAdapter(adapter, base(config))).toThrowError(message);
  });

  test("a vocabulary of another size", async () => {
    const config = { ...CONFIG, modules_to_save: ["lm_head"] };
    const adapter = await open(
      { ...config, target_modules: null },
      { ...TENSORS, "lm_head.weight": randomTensor([101, 64], 1, 1) },
    );
    expect(() => fitAdapter(adapter, base())).toThrowError(/resize the base's vocabulary/);
  });
});
