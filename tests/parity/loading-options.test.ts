/** dtype and quantization_config of fromPretrained: which values the weights have then, and how many bytes. */
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { openHfDirectory } from "../../src/checkpoints/hf-directory.ts";
import { saveHfDirectory } from "../../src/checkpoints/save-hf.ts";
import type { FloatType } from "../../src/formats/float-tensor.ts";
import { loadParts } from "../../src/llama/modeling/load-parts.ts";
import type { PretrainedOptions } from "../../src/llama/modeling/pretrained-options.ts";
import { packRows } from "../../src/pack/pack-rows.ts";
import { searchingQuantizer } from "../../src/pack/panels/search-row.ts";
import { unpackRow } from "../../src/pack/unpack-row.ts";
import { loadKernels } from "../../src/platform/host/kernels.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import {
  AutoTokenizer,
  BitsAndBytesConfig,
  Int4WeightOnlyConfig,
  Int8WeightOnlyConfig,
  LlamaForCausalLM,
  TorchAoConfig,
} from "../../src/platform/node/index.ts";
import {
  goldenCases,
  goldenPath,
  goldenTensors,
  openGoldenModel,
} from "../support/golden-model.ts";
import { memoryFolder } from "../support/memory-folder.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";
import { modelPath } from "../support/smollm2.ts";

const SIZES = {
  vocab_size: 256,
  hidden_size: 192, // one and a half groups of 128
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 64,
};
const INPUTS = { input_ids: [[1, 200, 17, 33, 254, 90, 4, 111]] };

async function logitsOf(
  source: Checkpoint | string,
  options: PretrainedOptions = {},
): Promise<Float32Array> {
  const input = typeof source === "string" ? source : { checkpoint: source };
  const model = await LlamaForCausalLM.fromPretrained(input, options);
  const { logits } = await model.forward(INPUTS);
  model.dispose();
  return logits.data;
}

async function weightBytes(source: Checkpoint, options: PretrainedOptions): Promise<number> {
  const runtime = { kernels: await loadKernels(nodeHost), now: () => performance.now() };
  const { runner } = await loadParts({ checkpoint: source }, "causal-lm", runtime, options);
  const bytes = runner.weights.length;
  runner.dispose();
  return bytes;
}

/** Root mean square of the difference, relative. */
function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let size = 0;
  a.forEach((x, i) => {
    difference += (x - b[i]) ** 2;
    size += b[i] ** 2;
  });
  return Math.sqrt(difference / size);
}

describe("dtype", () => {
  const checkpoint = randomCheckpoint(SIZES, 3);

  test.each([
    ["bfloat16", "BF16"],
    ["torch.bfloat16", "BF16"],
    ["float16", "F16"],
    ["f16", "F16"],
    ["float32", "F32"],
  ] as const)("%s rounds the weights as a file of that dtype has them", async (dtype, type) => {
    const folder = memoryFolder();
    await saveHfDirectory(checkpoint, folder, { dtype: type as FloatType });
    const model = await LlamaForCausalLM.fromPretrained(folder);
    const { logits } = await model.forward(INPUTS);
    model.dispose();
    expect(await logitsOf(checkpoint, { dtype })).toEqual(logits.data);
    expect(await logitsOf(checkpoint, { torch_dtype: dtype })).toEqual(logits.data);
    const exact = await logitsOf(checkpoint);
    if (type === "F32") expect(logits.data).toEqual(exact);
    else expect(distance(logits.data, exact)).toBeGreaterThan(1e-5);
  });

  test("is told by the configuration, and auto takes it from there, else from the weights", async () => {
    const saved = async (config: object): Promise<unknown> => {
      const input = { checkpoint: { ...checkpoint, config: { ...checkpoint.config, ...config } } };
      const model = await LlamaForCausalLM.fromPretrained(input, { dtype: "auto" });
      model.dispose();
      return model.config.toJSON().dtype;
    };
    expect(await saved({})).toBe("float32");
    expect(await saved({ torch_dtype: "bfloat16" })).toBe("bfloat16");
    expect(await saved({ dtype: "float16" })).toBe("float16");
    const given = { ...checkpoint, config: { ...checkpoint.config, torch_dtype: "bfloat16" } };
    expect(await logitsOf(given, { dtype: "auto" })).toEqual(
      await logitsOf(checkpoint, { dtype: "bf16" }),
    );
    expect(await logitsOf(given)).toEqual(await logitsOf(checkpoint));
  });

  test("bf16 takes two bytes a weight, f32 four, whatever the files have", async () => {
    const asIs = await weightBytes(checkpoint, {});
    const half = await weightBytes(checkpoint, { dtype: "bfloat16" });
    expect(half / asIs).toBeLessThan(0.51);
    const folder = memoryFolder();
    await saveHfDirectory(checkpoint, folder, { dtype: "BF16" });
    const stored = await openHfDirectory(folder);
    expect(await weightBytes(stored, {})).toBe(half);
    expect(await weightBytes(stored, { dtype: "float32" })).toBe(asIs);
  });

  test("f16 refuses what passes 65504, with tensor and row, where bf16 holds it", async () => {
    const large = withValue(checkpoint, "model.layers.0.mlp.up_proj.weight", 5 * 192 + 3, 70_000);
    await expect(logitsOf(large, { dtype: "float16" })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/up_proj\.weight: row 5: 70000 is too large for F16/),
    });
    expect((await logitsOf(large, { dtype: "bfloat16" })).every(Number.isFinite)).toBe(true);
  });

  test.each([
    ["NaN", Number.NaN, "model.layers.0.mlp.up_proj.weight"],
    ["an infinity", Number.NEGATIVE_INFINITY, "model.embed_tokens.weight"],
    ["NaN in a norm", Number.NaN, "model.norm.weight"],
  ])("%s among the weights is an error with their name", async (_, value, name) => {
    const broken = withValue(checkpoint, name, 7, value);
    for (const dtype of [undefined, "bfloat16", "float16"]) {
      await expect(logitsOf(broken, { dtype })).rejects.toThrow(name);
    }
  });

  test("logits of bf16 arithmetic are within 3 % of those of f32 over the same weights", async () => {
    const [golden] = goldenCases("bf16_sharded").filter(({ kind }) => kind === "forward_bf16");
    const tensors = await goldenTensors("bf16_sharded");
    const expected = (name: string): Float32Array =>
      tensors.get((golden.outputs[name] as { $t: string }).$t)!;
    const model = await LlamaForCausalLM.fromPretrained(goldenPath("bf16_sharded"), {
      dtype: "bfloat16",
    });
    const { logits } = await model.forward({ input_ids: golden.inputs.input_ids as number[][] });
    model.dispose();
    const most = expected("logits").reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    logits.data.forEach((x, i) => {
      expect(Math.abs(x - expected("logits")[i])).toBeLessThanOrEqual(0.03 * most);
      const exact = expected("logits_f32")[i];
      expect(Math.abs(x - exact)).toBeLessThanOrEqual(2e-4 + 1e-4 * Math.abs(exact));
    });
  });
});

describe("quantization_config", () => {
  const checkpoint = randomCheckpoint(SIZES, 3);

  test.each([
    ["TorchAoConfig int4", new TorchAoConfig("int4_weight_only", { group_size: 128 }), "int4g128"],
    ["groups of 32", new TorchAoConfig("int4_weight_only", { group_size: 32 }), "int4g32"],
    ["its default", new TorchAoConfig("int4_weight_only"), "int4g128"],
    ["its object", new TorchAoConfig(new Int4WeightOnlyConfig({ group_size: 64 })), "int4g64"],
    ["TorchAoConfig int8", new TorchAoConfig("int8_weight_only"), "int8"],
    ["the object of int8", new TorchAoConfig(new Int8WeightOnlyConfig()), "int8"],
    ["bitsandbytes 8", new BitsAndBytesConfig({ load_in_8bit: true }), "int8"],
    [
      "bitsandbytes nf4",
      new BitsAndBytesConfig({
        load_in_4bit: true,
        bnb_4bit_quant_type: "nf4",
        bnb_4bit_use_double_quant: true,
        bnb_4bit_compute_dtype: "bfloat16",
      }),
      "q4",
    ],
    [
      "fields as a file has them",
      {
        quant_method: "torchao",
        quant_type: "int4_weight_only",
        quant_type_kwargs: { group_size: 64 },
      },
      "int4g64",
    ],
    [
      "an object as a file has it",
      {
        quant_method: "torchao",
        quant_type: { default: { _type: "Int4WeightOnlyConfig", _data: { group_size: 32 } } },
      },
      "int4g32",
    ],
  ] as const)("%s is one of our forms, and told", async (_, quantization_config, quantization) => {
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    expect(await logitsOf(checkpoint, { quantization_config, onNote })).toEqual(
      await logitsOf(checkpoint, { quantization }),
    );
    expect(notes).toEqual([expect.stringMatching(/[48] bits|16 even steps/)]);
  });

  test("its last group of a row of 576 columns has 64, with a scale of its own", () => {
    const cols = 576;
    const row = Float32Array.from({ length: cols }, (_, i) =>
      i < 512 ? Math.sin(i * i) : Math.sin(i * i) / 100,
    );
    const packed = packRows("q4m", row, 1, cols, searchingQuantizer("q4m", cols, undefined, 128));
    const found = new Float32Array(cols);
    unpackRow("q4m", packed, cols, 0, found);
    const errors = found.map((value, i) => Math.abs(value - row[i]));
    // Half a step of 15: what the others' scale would make of the tail is all of it.
    expect(Math.max(...errors.subarray(512))).toBeLessThan(0.01 / 15 + 1e-4);
    expect(Math.max(...errors.subarray(0, 512))).toBeGreaterThan(0.01);
  });

  test("load_in_4bit and load_in_8bit stand for bitsandbytes", async () => {
    expect(await logitsOf(checkpoint, { load_in_4bit: true })).toEqual(
      await logitsOf(checkpoint, { quantization: "q4" }),
    );
    expect(await logitsOf(checkpoint, { load_in_8bit: true })).toEqual(
      await logitsOf(checkpoint, { quantization: "int8" }),
    );
    await expect(
      logitsOf(checkpoint, { load_in_8bit: true, load_in_4bit: true }),
    ).rejects.toMatchObject({ code: "bad_request", param: "quantization_config" });
  });

  test.each([
    "gptq",
    "awq",
    "aqlm",
    "hqq",
    "quanto",
    "eetq",
    "fp8",
    "fbgemm_fp8",
    "compressed-tensors",
    "higgs",
    "bitnet",
    "mxfp4",
    "vptq",
    "spqr",
    "auto-round",
  ])("%s is refused by name, asked for or found in config.json", async (quant_method) => {
    const refusal = { code: "unsupported", message: expect.stringContaining(quant_method) };
    const quantization_config = { quant_method, bits: 4 };
    await expect(logitsOf(checkpoint, { quantization_config })).rejects.toMatchObject(refusal);
    const folder = memoryFolder();
    const config = { ...checkpoint.config, quantization_config };
    for (const file of ["model.safetensors", "pytorch_model.bin", "flax_model.msgpack"]) {
      folder.files.clear();
      folder.files.set("config.json", new TextEncoder().encode(JSON.stringify(config)));
      // Refused before anything of it is read.
      folder.files.set(file, new Uint8Array(1));
      await expect(LlamaForCausalLM.fromPretrained(folder)).rejects.toMatchObject(refusal);
    }
  });

  test.each([
    ["activations", () => new TorchAoConfig("int8_dynamic_activation_int8_weight"), /int8_dynamic/],
    ["a group of 256", () => new TorchAoConfig("int4_weight_only", { group_size: 256 }), /256/],
    [
      "an unknown option",
      () => new TorchAoConfig("int4_weight_only", { use_hqq: true }),
      /use_hqq/,
    ],
    [
      "modules",
      () => new TorchAoConfig("int4_weight_only", { modules_to_not_convert: ["mlp"] }),
      /modules_to_not_convert mlp/,
    ],
    [
      "another type",
      () => new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_quant_type: "int4" }),
      /bnb_4bit_quant_type int4/,
    ],
    [
      "training",
      () => new BitsAndBytesConfig({ load_in_8bit: true, llm_int8_has_fp16_weight: true }),
      /has_fp16_weight/,
    ],
    [
      "its own unknown option",
      () => new BitsAndBytesConfig({ load_in_2bit: true } as object),
      /load_in_2bit/,
    ],
  ])("%s is refused with what was asked for", (_, make, message) => {
    expect(make).toThrow(message);
  });

  test("a dtype rounds first, then the quantization", async () => {
    const half = await logitsOf(checkpoint, { dtype: "bfloat16", quantization: "int8" });
    expect(half).not.toEqual(await logitsOf(checkpoint, { quantization: "int8" }));
  });
});

test("a golden checkpoint in four bits keeps near its logits", async () => {
  const checkpoint = await openGoldenModel("gqa");
  const exact = await logitsOf(checkpoint);
  expect(distance(await logitsOf(checkpoint, { quantization: "int8" }), exact)).toBeLessThan(0.05);
});

test.skipIf(!modelPath)("SmolLM2 in groups of 128, the last of 64, still knows Paris", async () => {
  const path = modelPath as string;
  const quantization_config = new TorchAoConfig("int4_weight_only", { group_size: 128 });
  const sizes = { ctx: 64, slots: 1, quantization_config };
  const tokenizer = await AutoTokenizer.fromPretrained(path);
  const input_ids = [tokenizer.encode("The capital of France is")];
  // Rounded to bf16 first, so that no block of the file is kept.
  const model = await LlamaForCausalLM.fromPretrained(path, { ...sizes, dtype: "bfloat16" });
  const [ids] = await model.generate({ input_ids, max_new_tokens: 2 });
  expect(tokenizer.decode(ids)).toContain("Paris");
  expect(model.notes).toHaveLength(1);
  model.dispose();
  const kept = await LlamaForCausalLM.fromPretrained(path, { ...sizes, dtype: "auto" });
  expect(kept.notes[1]).toContain("blocks of 4 bits that the GGUF file has");
  kept.dispose();
});

/** The checkpoint with one weight replaced. */
function withValue(checkpoint: Checkpoint, name: string, index: number, value: number): Checkpoint {
  const tensor = checkpoint.tensors.get(name)!;
  const cols = tensor.shape[1] ?? 1;
  const changed = {
    ...tensor,
    async readRows(first: number, count: number, into: Uint8Array, signal?: AbortSignal) {
      await tensor.readRows(first, count, into, signal);
      const at = index - first * cols;
      if (at < 0 || at >= count * cols) return;
      new DataView(into.buffer, into.byteOffset).setFloat32(at * 4, value, true);
    },
  };
  return { ...checkpoint, tensors: new Map([...checkpoint.tensors, [name, changed]]) };
}
