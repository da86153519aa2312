import { expect, test } from "vitest";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { llamaTensors, rotaryRowOrder } from "../../../src/model/tensors.ts";

const config = parseLlamaConfig(
  {
    vocab_size: 100,
    hidden_size: 48,
    intermediate_size: 70,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    num_key_value_heads: 1,
    head_dim: 6,
    tie_word_embeddings: false,
    attention_bias: true,
  },
  "test",
);

test("every weight that the plan reads is a tensor of the model, with its rows, and none is unused", () => {
  const plan = planLlama(config);
  const tensors = new Map(llamaTensors(config).map((tensor) => [tensor.name, tensor]));
  const used = new Set<string>();
  for (const step of [...plan.steps, ...plan.head]) {
    if (step.op === "embed" || step.op === "rmsNorm") used.add(step.weight);
    if (step.op !== "matmul") continue;
    for (const { weight, bias, rows } of step.parts) {
      expect(tensors.get(weight)?.shape, weight).toEqual([rows, step.cols]);
      used.add(weight);
      if (bias === undefined) continue;
      expect(tensors.get(bias)?.shape, bias).toEqual([rows]);
      used.add(bias);
    }
  }
  expect([...used].sort()).toEqual([...tensors.keys()].sort());
});

test("outputs of one product start at multiples of 16 columns and do not overlap", () => {
  const plan = planLlama(config);
  for (const step of [...plan.steps, ...plan.head]) {
    if (step.op !== "matmul") continue;
    let end = 0;
    for (const { column, rows } of step.parts) {
      expect(column % 16).toBe(0);
      expect(column).toBeGreaterThanOrEqual(end);
      end = column + rows;
    }
    expect(end).toBeLessThanOrEqual(plan.buffers[step.out]);
  }
});

test("what only wanted rows need comes after the last layer's keys and values", () => {
  const { steps, head, gathered } = planLlama(config);
  expect(steps.at(-1)).toMatchObject({ op: "storeKv", layer: config.num_hidden_layers - 1 });
  expect(head[0]).toMatchObject({ op: "attention", layer: config.num_hidden_layers - 1 });
  // The first to touch a gathered buffer reads it; all others are written before they are read.
  const filled = new Set<string>(gathered);
  for (const step of head) {
    if ("in" in step) expect(filled.has(step.in), step.in).toBe(true);
    if (step.op === "matmul" && step.accumulate) expect(filled.has(step.out), step.out).toBe(true);
    if ("out" in step) filled.add(step.out);
  }
});

test("a tied head reads the embedding", () => {
  const { head } = planLlama({ ...config, tie_word_embeddings: true });
  expect(head.at(-1)).toMatchObject({ parts: [{ weight: "model.embed_tokens.weight" }] });
});

test("GGUF's interleaved rows become halves", () => {
  expect([...rotaryRowOrder(2, 6)]).toEqual([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
});
