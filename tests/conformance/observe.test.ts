import { expect, test } from "vitest";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { openTiny, type TinyOptions } from "../support/tiny-gguf.ts";
import { BACKENDS, type CreateRunner, expectSame, reference } from "./backends.ts";

const ids = Array.from({ length: 21 }, (_, i) => (i * 7919 + 13) % 192);
const FILE = "MIX_Q4_1_Q8_0.gguf";

interface Observed {
  readonly weight: string;
  readonly cols: number;
  /** (rows, cols) */
  readonly input: number[];
}

async function run(
  create: CreateRunner,
  options: TinyOptions,
  chunk: number,
): Promise<{ logits: number[]; observed: Observed[] }> {
  const observed: Observed[] = [];
  const observe: RunnerOptions["observe"] = ({ step, input, rows, stride }) => {
    const found = Array.from({ length: rows }, (_, r) =>
      Array.from(input.subarray(r * stride, r * stride + step.cols)),
    );
    observed.push({ weight: step.parts[0].weight, cols: step.cols, input: found.flat() });
  };
  const runner = await openTiny(FILE, create, { ...options, observe });
  for (let start = 0; start < ids.length; start += chunk) {
    const part = ids.slice(start, start + chunk);
    await runner.forward({
      ids: part,
      spans: [{ slot: 0, start, count: part.length }],
      logitsRows: [part.length - 1],
    });
  }
  return { logits: Array.from(runner.logits(0)), observed };
}

test("an observer sees the input of every product of the plan, after the last keys of wanted rows", async () => {
  const { observed } = await run(reference, { quantization: "none", kv: "f32" }, 32);
  expect(observed.map(({ weight, cols, input }) => [weight, cols, input.length / cols])).toEqual([
    ["model.layers.0.self_attn.q_proj.weight", 256, 21],
    ["model.layers.0.self_attn.o_proj.weight", 256, 1],
    ["model.layers.0.mlp.gate_proj.weight", 256, 1],
    ["model.layers.0.mlp.down_proj.weight", 512, 1],
    [expect.stringMatching(/lm_head|embed_tokens/), 256, 1],
  ]);
});

const tested = BACKENDS.map((backend) => [backend.name, backend] as const);

test.each(tested)("%s shows an observer what the reference does", async (_, { create }) => {
  const expected = await run(reference, { quantization: "none", kv: "f32" }, 32);
  const found = await run(create, { quantization: "none", kv: "f32" }, 32);
  expect(found.observed.length).toBe(expected.observed.length);
  for (const [i, { weight, input }] of found.observed.entries()) {
    expect(weight).toBe(expected.observed[i].weight);
    input.forEach((value, at) => {
      const wanted = expected.observed[i].input[at];
      expect(Math.abs(value - wanted), `${weight}: ${at}`).toBeLessThanOrEqual(
        1e-4 * (1 + Math.abs(wanted)),
      );
    });
  }
});

test.each(tested)("%s computes the same bits with and without an observer", async (_, backend) => {
  for (const chunk of [1, 7]) {
    const options: TinyOptions = { quantization: "auto", kv: "int16" };
    const { logits } = await run(backend.create, options, chunk);
    const plain = await openTiny(FILE, backend.create, options);
    await plain.forward({
      ids,
      spans: [{ slot: 0, start: 0, count: ids.length }],
      logitsRows: [ids.length - 1],
    });
    expectSame(backend, logits, plain.logits(0));
  }
});
