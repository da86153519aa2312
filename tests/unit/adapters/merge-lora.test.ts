/** Adapters merged into checkpoints: PEFT's logits, of every kind of base, in the base's type. */
import { describe, expect, test } from "vitest";
import { mergeLora, type WeightedAdapter } from "../../../src/adapters/merge-lora.ts";
import { openLoraAdapter } from "../../../src/adapters/open-lora-adapter.ts";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { checkpointEntries } from "../../../src/checkpoints/checkpoint-entries.ts";
import { openGgufCheckpoint } from "../../../src/checkpoints/gguf-checkpoint.ts";
import { openPackCheckpoint } from "../../../src/checkpoints/pack-checkpoint.ts";
import { saveGguf } from "../../../src/checkpoints/save-gguf.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { castTensor, toF32 } from "../../../src/formats/cast-tensor.ts";
import type { FloatTensor } from "../../../src/formats/float-tensor.ts";
import { tensorBytes } from "../../../src/formats/stored-tensor.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { reference } from "../../conformance/backends.ts";
import { openGoldenModel } from "../../support/golden-model.ts";
import {
  adaptersOf,
  LORA_BASE,
  loraCases,
  loraLogits,
  openGoldenAdapter,
} from "../../support/lora.ts";
import { memoryFolder } from "../../support/memory-folder.ts";
import { factors, randomTensor, writeAdapter } from "../../support/written-adapter.ts";

const SIZES = { ctx: 32, slots: 2, maxRows: 24, maxLogits: 24, kv: "f32" } as const;

async function logitsOf(checkpoint: Checkpoint): Promise<Float32Array> {
  const config = parseLlamaConfig(checkpoint.config, "merged");
  const options = { quantization: "none", profile: "default" } as const;
  const entries = checkpointEntries(checkpoint, config, options);
  const runner = await reference(planLlama(config), entries, SIZES);
  const rows = loraCases()[0]!.inputs.input_ids as readonly (readonly number[])[];
  const ids = rows.flat();
  const spans = rows.map(({ length: count }, slot) => ({ slot, start: 0, count }));
  await runner.forward({ ids, spans, logitsRows: ids.map((_, row) => row) });
  const out = new Float32Array(ids.length * runner.vocab);
  for (const row of ids.keys()) out.set(runner.logits(row), row * runner.vocab);
  return out;
}

async function values(tensor: FloatTensor, rows = tensor.shape[0]!): Promise<Float32Array> {
  const out = new Uint8Array(tensorBytes(tensor));
  const bytes = out.length / tensor.shape[0]!;
  for (let row = 0; row < tensor.shape[0]!; row += rows) {
    const count = Math.min(rows, tensor.shape[0]! - row);
    await tensor.readRows(row, count, out.subarray(row * bytes, (row + count) * bytes));
  }
  return toF32(out, tensor.type);
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) ** 0.5;
}

function cast(checkpoint: Checkpoint, type: FloatTensor["type"]): Checkpoint {
  const tensors = [...checkpoint.tensors].map(
    ([name, tensor]) => [name, castTensor(tensor, type)] as const,
  );
  return { ...checkpoint, tensors: new Map(tensors) };
}

const golden = async (...names: string[]): Promise<WeightedAdapter[]> =>
  Promise.all(names.map(async (name) => ({ adapter: await openGoldenAdapter(name) })));

describe("a merged checkpoint", () => {
  test.each(loraCases().map((item) => [item.name, item] as const))(
    "%s gives PEFT's logits",
    async (name, item) => {
      const base = await openGoldenModel(LORA_BASE);
      const found = await logitsOf(mergeLora(base, await golden(...adaptersOf(item))));
      for (const [i, wanted] of (await loraLogits(name)).entries()) {
        const difference = Math.abs(found[i]! - wanted);
        if (!(difference <= 2e-4 + 1e-4 * Math.abs(wanted))) {
          throw new Error(`${i}: ${found[i]}, expected ${wanted}`);
        }
      }
    },
  );

  test("has the weights of the formula, read in pieces or at once, and others untouched", async () => {
    const base = await openGoldenModel(LORA_BASE);
    const [{ adapter }] = (await golden("qv_r8")) as [WeightedAdapter];
    const merged = mergeLora(base, [{ adapter, weight: -0.5 }]);
    const name = "model.layers.2.self_attn.v_proj";
    const { a, b, scaling } = adapter.modules.get(name)!;
    const [A, B] = [await values(a), await values(b)];
    const own = await values(base.tensors.get(`${name}.weight`)!);
    const expected = own.map((value, at) => {
      const [n, i] = [Math.floor(at / 64), at % 64];
      let sum = 0;
      for (let j = 0; j < 8; j++) sum += B[n * 8 + j]! * A[j * 64 + i]!;
      return value - 0.5 * scaling * sum;
    });
    const tensor = merged.tensors.get(`${name}.weight`)!;
    const found = await values(tensor);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 6);
    expect(await values(tensor, 5)).toEqual(found);
    expect(await values(tensor, 1)).toEqual(found);
    for (const other of ["model.layers.2.self_attn.k_proj.weight", "model.norm.weight"]) {
      expect(merged.tensors.get(other)).toBe(base.tensors.get(other));
    }
  });

  test("keeps the base's type, rounded once", async () => {
    const base = await openGoldenModel(LORA_BASE);
    const name = "model.layers.0.self_attn.q_proj.weight";
    const bf16 = cast(base, "BF16");
    const wide = cast(bf16, "F32");
    const adapters = await golden("qv_r8");
    const found = mergeLora(bf16, adapters).tensors.get(name)!;
    expect(found.type).toBe("BF16");
    const expected = castTensor(mergeLora(wide, adapters).tensors.get(name)!, "BF16");
    expect(await values(found)).toEqual(await values(expected));
  });

  test("of a tied model has two matrices where the adapter changes one", async () => {
    // Of bf16 the merged would be rounded.
    const base = cast(await openGoldenModel("tied"), "F32");
    const config = parseLlamaConfig(base.config, "tied");
    const { vocab_size: vocab, hidden_size: dim } = config;
    const folder = await writeAdapter(
      { r: 4, lora_alpha: 4, target_modules: ["lm_head"] },
      factors({ lm_head: [vocab, dim, 4] }),
    );
    const adapter = await openLoraAdapter(folder);
    const merged = mergeLora(base, [{ adapter }]);
    expect(merged.config.tie_word_embeddings).toBe(false);
    const embedding = "model.embed_tokens.weight";
    const own = await values(base.tensors.get(embedding)!);
    expect(await values(merged.tensors.get(embedding)!)).toEqual(own);
    const options = { quantization: "none", profile: "default" } as const;
    const runner = await reference(
      planLlama(config),
      checkpointEntries(base, config, options),
      SIZES,
    );
    const span = {
      slot: 0,
      start: 0,
      count: 3,
      adapters: [{ handle: await runner.loadAdapter(adapter), scale: 1 }],
    };
    await runner.forward({ ids: [1, 2, 3], spans: [span], logitsRows: [2] });
    const expected = runner.logits(0).slice();
    const other = parseLlamaConfig(merged.config, "merged");
    const second = await reference(
      planLlama(other),
      checkpointEntries(merged, other, options),
      SIZES,
    );
    await second.forward({
      ids: [1, 2, 3],
      spans: [{ slot: 0, start: 0, count: 3 }],
      logitsRows: [2],
    });
    expect(distance(second.logits(0), expected)).toBeLessThan(1e-4);
  });

  test("brings the head that the base lacks, and the model's class with it", async () => {
    const base = await openGoldenModel(LORA_BASE);
    const folder = await writeAdapter(
      { r: 8, target_modules: ["q_proj"], layers_to_transform: [0], task_type: "SEQ_CLS" },
      {
        ...factors({ "model.layers.0.self_attn.q_proj": [64, 64, 8] }),
        "score.weight": randomTensor([3, 64], 1, 1),
      },
    );
    const merged = mergeLora(base, [{ adapter: await openLoraAdapter(folder) }]);
    expect(merged.tensors.get("score.weight")?.shape).toEqual([3, 64]);
    expect(merged.config).toMatchObject({
      architectures: ["LlamaForSequenceClassification"],
      id2label: { 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" },
    });
  });

  test("is refused where two adapters replace the same tensor, or a bias has no place", async () => {
    const base = await openGoldenModel(LORA_BASE);
    const norm = await openLoraAdapter(
      await writeAdapter(
        { r: 8, modules_to_save: ["norm"] },
        { "model.norm.weight": randomTensor([64], 1, 1) },
      ),
    );
    const twice = [{ adapter: norm }, { adapter: norm }];
    expect(() => mergeLora(base, twice)).toThrowError(/replaces model\.norm\.weight, too/);
    const q = "model.layers.0.self_attn.q_proj";
    const biased = await openLoraAdapter(
      await writeAdapter(
        { r: 8, target_modules: ["q_proj"], layers_to_transform: [0], lora_bias: true },
        { ...factors({ [q]: [64, 64, 8] }), [`${q}.lora_B.bias`]: randomTensor([64], 1, 1) },
      ),
    );
    expect(() => mergeLora(base, [{ adapter: biased }])).toThrowError(/no bias to merge/);
  });
});

describe("over a quantized base", () => {
  test.each(["GGUF", "pack"])("%s: the base's weights change by the adapter's", async (kind) => {
    const plain = await openGoldenModel(LORA_BASE);
    const folder = memoryFolder();
    let base: Checkpoint;
    if (kind === "GGUF") {
      const file = await folder.create("model.gguf");
      await saveGguf(plain, file, { type: "Q8_0" });
      await file.close();
      base = await openGgufCheckpoint([
        memorySource(folder.files.get("model.gguf")!, "model.gguf"),
      ]);
    } else {
      const target = {
        name: "pack",
        exists: async (name: string) => folder.files.has(name),
        async write(name: string, bytes: Uint8Array) {
          folder.files.set(name, bytes.slice());
        },
      };
      await packModel({ checkpoint: plain }, target, { quantization: "q8" });
      base = await openPackCheckpoint(folder);
    }
    const adapters = await golden("all_r8");
    const name = "model.layers.1.self_attn.q_proj.weight";
    const change = async (checkpoint: Checkpoint): Promise<Float32Array> => {
      const own = await values(checkpoint.tensors.get(name)!);
      const merged = await values(mergeLora(checkpoint, adapters).tensors.get(name)!);
      return merged.map((value, i) => value - own[i]!);
    };
    expect(distance(await change(base), await change(plain))).toBeLessThan(1e-4);
    const expected = await loraLogits("all_r8");
    const without = distance(await logitsOf(base), expected);
    const found = distance(await logitsOf(mergeLora(base, adapters)), expected);
    const error = distance(await logitsOf(base), await logitsOf(plain));
    expect(found).toBeLessThan(3 * error);
    expect(without).toBeGreaterThan(10 * found);
  });
});
