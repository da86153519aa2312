import { expect, test } from "vitest";
import { type LlamaConfig, parseLlamaConfig } from "../../../src/model/config.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { llamaTensors } from "../../../src/model/tensors.ts";
import { alignUp, type WeightForm, weightBytes } from "../../../src/pack/forms.ts";
import type { PackedTensor } from "../../../src/pack/manifest.ts";
import { planStage, planStages, type StageModel } from "../../../src/stages/stage-plan.ts";

const TINY = {
  model_type: "llama",
  vocab_size: 1000,
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  tie_word_embeddings: true,
};

const LLAMA_1B = {
  ...TINY,
  vocab_size: 128_256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
};

const SIZES = { ctx: 128, slots: 2, maxRows: 16, maxLogits: 2, kv: "int16" } as const;

function modelOf(fields: Record<string, unknown>, shardSize = 0): StageModel {
  const config: LlamaConfig = parseLlamaConfig(fields, "test");
  let offset = 0;
  const tensors = llamaTensors(config).map(({ name, shape, role }): PackedTensor => {
    const form: WeightForm = role === "vector" ? "vector" : role === "embedding" ? "q8" : "q4m";
    const tensor = { name, shape, form, offset, bytes: weightBytes(form, shape) };
    offset = alignUp(offset + tensor.bytes);
    return tensor;
  });
  const shardBytes: number[] = [];
  for (let at = 0; shardSize > 0 && at < offset; at += shardSize) {
    shardBytes.push(Math.min(shardSize, offset - at));
  }
  return { plan: planLlama(config), tensors, shardBytes };
}

function imageBytes({ tensors }: StageModel): number {
  const last = tensors[tensors.length - 1];
  return last.offset + last.bytes;
}

test("Llama 3.2 1B is divided into stages that each fit an isolate, and that together are the whole image", () => {
  const model = modelOf(LLAMA_1B, 16 * 1024 * 1024);
  const options = { ctx: 1024, slots: 1, maxRows: 64, maxLogits: 1, kv: "int16" } as const;
  const { stages, memory } = planStages(model, options, { stageBytes: 112e6 });
  expect(stages).toHaveLength(11);
  let end = 0;
  for (const stage of stages) {
    expect(stage.start).toBe(end);
    end = stage.end;
    expect(stage.memory.total + stage.spareBytes).toBeLessThanOrEqual(112e6);
    expect(stage.part.head).toEqual(stage.part.embedding);
  }
  expect(end).toBe(imageBytes(model));
  expect(stages.flatMap(({ part: { layers } }) => [layers.to - layers.from])).toEqual([
    ...[0, 0, 0],
    ...new Array(8).fill(2),
  ]);
  expect(memory.total).toBe(stages.reduce((sum, stage) => sum + stage.memory.total, 0));
});

test("a head of its own is divided by rows, behind the layers", () => {
  const model = modelOf({ ...TINY, vocab_size: 20_008, tie_word_embeddings: false });
  const whole = planStages(model, SIZES, { stageBytes: 1e9 });
  expect(whole.stages).toHaveLength(1);
  const limit = whole.memory.total / 5;
  const { stages } = planStages(model, SIZES, { stageBytes: limit });
  expect(stages.length).toBeGreaterThan(4);
  expect(stages[0].part).toMatchObject({ layers: { from: 0, to: 0 }, head: { from: 0, to: 0 } });
  expect(stages.at(-1)?.part.embedding).toEqual({ from: 0, to: 0 });
  expect(stages.at(-1)?.part.head.to).toBe(20_008);
  expect(stages.every(({ memory }) => memory.total <= limit)).toBe(true);
  expect(stages.filter(({ part }) => part.head.to > 0).length).toBeGreaterThan(1);
});

test("more stages than the limit needs can be asked for, and are about equal", () => {
  const model = modelOf({ ...TINY, num_hidden_layers: 12 });
  const { stages } = planStages(model, SIZES, { stageBytes: 1e9, count: 3 });
  expect(stages).toHaveLength(3);
  const sizes = stages.map(({ memory }) => memory.total);
  expect(Math.max(...sizes) / Math.min(...sizes)).toBeLessThan(1.4);
});

test("a stage of the plan is planned the same from its part alone", () => {
  const model = modelOf(TINY);
  const { stages } = planStages(model, SIZES, { stageBytes: 1e9, count: 2 });
  for (const { part, start, memory } of stages) {
    const { image, ...stage } = planStage(model, part, SIZES);
    expect(stage).toMatchObject({ start, memory });
    expect(image.tensors[0].offset).toBe(0);
    const last = image.tensors[image.tensors.length - 1];
    expect(last.offset + last.bytes).toBe(stage.end - stage.start);
  }
});

test("shards that a stage needs but a part of count while it loads", () => {
  const model = modelOf(TINY, 20_000);
  const { stages } = planStages(model, SIZES, { stageBytes: 1e9, count: 2 });
  expect(stages[0].shards.from).toBe(0);
  expect(stages[0].shards.to).toBe(stages[1].shards.from + 1);
  expect(stages.map(({ spareBytes }) => spareBytes)).toEqual([20_000, 20_000]);
  const whole = planStages(model, SIZES, { stageBytes: 1e9 });
  expect(whole.stages[0].spareBytes).toBe(0);
});

test("a limit that one layer is over is refused with what it needs", () => {
  const model = modelOf(LLAMA_1B);
  expect(() => planStages(model, SIZES, { stageBytes: 40e6 })).toThrow(
    /a stage with layer 0 alone needs \d+ bytes, the limit is 40000000/,
  );
  expect(() => planStages(modelOf(TINY), SIZES, { stageBytes: 1e9, count: 80 })).toThrow(
    /the model can be divided into \d+ parts, 80 stages were asked for/,
  );
});

test("parts that the model has not are refused", () => {
  const model = modelOf(TINY);
  const nothing = { from: 0, to: 0 };
  const part = { embedding: nothing, layers: { from: 0, to: 5 }, head: nothing };
  expect(() => planStage(model, part, SIZES)).toThrow("layers 0 to 5 of 4");
  const rows = { embedding: { from: 0, to: 24 }, layers: nothing, head: nothing };
  expect(() => planStage(model, rows, SIZES)).toThrow("embedding rows 0 to 24 of 1000");
});
