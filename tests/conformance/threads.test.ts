/** Several threads give the bits that one gives: the suite's small models, and heads of every kind. */
import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { planLlama } from "../../src/model/plan.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { isQuantized } from "../../src/pack/forms.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { threaded } from "../support/threads.ts";
import { entriesOf, wasm } from "./backends.ts";
import { noise } from "./op-plans.ts";

const THREADS = [2, 3];

/** 100 tokens: 7 panels, the last one padded, so that shares differ. */
const VOCAB = 100;

const MODELS: Record<string, { heads: number; kvHeads: number; headDim: number; bias?: boolean }> =
  {
    "three groups of three": { heads: 9, kvHeads: 3, headDim: 32 },
    "as many K/V heads as heads": { heads: 3, kvHeads: 3, headDim: 32 },
    "one K/V head of five": { heads: 5, kvHeads: 1, headDim: 32 },
    "two groups of four, with biases": { heads: 8, kvHeads: 2, headDim: 16, bias: true },
    "six K/V heads of six dimensions": { heads: 6, kvHeads: 6, headDim: 16, bias: true },
  };

const FORMS: [MatrixForm, KvType][] = [
  ["q4m", "int16"],
  ["q4s", "int8"],
  ["q8", "int8"],
  ["bf16", "bf16"],
  ["f32", "f32"],
];

function modelOf({ heads, kvHeads, headDim, bias = false }: (typeof MODELS)[string]) {
  const config = parseLlamaConfig(
    {
      vocab_size: VOCAB,
      hidden_size: heads * headDim,
      intermediate_size: 160,
      num_hidden_layers: 2,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      head_dim: headDim,
      max_position_embeddings: 256,
      attention_bias: bias,
      mlp_bias: bias,
    },
    "threads",
  );
  const tensors = llamaTensors(config).map(({ name, shape }, i) => ({
    name,
    shape,
    values: noise(
      shape.reduce((a, b) => a * b, 1),
      i,
      shape.length === 1 ? 1 : 1.5 / Math.sqrt(shape[1]),
    ),
  }));
  return { plan: planLlama(config), tensors };
}

/** Logits of prompts in two slots, cut in different ways, then of both slots step by step. */
function logitsOf(runner: Runner): Uint32Array[] {
  const found: Uint32Array[] = [];
  const run = (spans: { slot: number; start: number; count: number }[]): void => {
    const rows = spans.reduce((sum, { count }) => sum + count, 0);
    const ids = spans.flatMap(({ slot, start, count }) =>
      Array.from({ length: count }, (_, i) => (31 * (start + i) + 7 * slot + 1) % VOCAB),
    );
    const wanted = Array.from({ length: rows }, (_, row) => row).filter((row) => row % 3 !== 1);
    runner.forward({ ids, spans, logitsRows: wanted });
    for (let i = 0; i < wanted.length; i++) {
      found.push(new Uint32Array(runner.logits(i).slice().buffer));
    }
  };
  run([{ slot: 1, start: 0, count: 33 }]);
  run([
    { slot: 0, start: 0, count: 2 },
    { slot: 1, start: 33, count: 19 },
  ]);
  run([{ slot: 0, start: 2, count: 1 }]);
  for (let step = 0; step < 3; step++) {
    run([{ slot: 1, start: 52 + step, count: 1 }]);
    run([
      { slot: 0, start: 3 + step, count: 1 },
      { slot: 2, start: step, count: 1 },
    ]);
  }
  return found;
}

describe.each(Object.entries(MODELS))("%s", (_, sizes) => {
  test.each(FORMS)("%s, %s cache: the bits of one thread on 2 and 3", async (form, kv) => {
    const { plan, tensors } = modelOf(sizes);
    const options = { ctx: 64, slots: 3, maxRows: 40, maxLogits: 40, kv };
    // Rows of 80 columns and the like are no whole blocks: they stay f32.
    const formOf = (name: string): MatrixForm => {
      const shape = tensors.find((tensor) => tensor.name === name)?.shape ?? [];
      return isQuantized(form) && shape[1] % 32 !== 0 ? "f32" : form;
    };
    const entries = entriesOf(tensors, formOf);
    for (const build of BUILDS) {
      const expected = logitsOf(await wasm(build)(plan, entries, options));
      expect(expected.some((row) => row.some((bits) => bits !== 0))).toBe(true);
      for (const threads of THREADS) {
        const runner = await threaded(build, threads)(plan, entries, options);
        expect(runner.threads).toEqual({ asked: threads, used: threads, reason: "as asked for" });
        const found = logitsOf(runner);
        runner.dispose();
        expect(found).toEqual(expected);
      }
    }
  });
});
