/** The last layer's normalised states instead of logits. */
import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import type { Tap } from "../../src/backends/runner-options.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import { readGolden } from "../support/tiny-gguf.ts";
import { BACKENDS, BACKENDS_AND_REFERENCE, type CreateRunner, expectSame } from "./backends.ts";

const VOCAB = 192;
const text = Array.from({ length: 61 }, (_, i) => (i * 7919 + 13) % VOCAB);

async function open(
  create: CreateRunner,
  file: string,
  kv: "f32" | "int16",
  onStates?: (tap: Tap) => void,
): Promise<Runner> {
  const quantization = kv === "f32" ? "none" : "auto";
  const model = await openGguf([readGolden(file)], { quantization, profile: "default" });
  const plan = planLlama(model.config, { hiddenStates: onStates !== undefined });
  // Fewer rows of logits than of states.
  const sizes = { ctx: 128, slots: 3, maxRows: 64, maxLogits: onStates ? 64 : 1, kv };
  return create(plan, model.entries, { ...sizes, ...(onStates && { tap: onStates }) });
}

async function statesOf(runner: Runner, slot: number, chunks: number[]): Promise<number[][]> {
  const states: number[][] = [];
  for (let start = 0, i = 0; start < text.length; i++) {
    const count = Math.min(chunks[i % chunks.length]!, text.length - start);
    const ids = text.slice(start, start + count);
    const logitsRows = ids.map((_, row) => row);
    await runner.forward({ ids, spans: [{ slot, start, count }], logitsRows, states: true });
    for (const row of logitsRows) states.push([...runner.states(row)]);
    start += count;
  }
  return states;
}

describe.each(["f32", "int16"] as const)("with a cache of %s", (kv) => {
  const file = "MIX_Q4_1_Q8_0.gguf";
  const tested = kv === "f32" ? BACKENDS_AND_REFERENCE : BACKENDS;
  const backends = tested.map((backend) => [backend.name, backend] as const);

  test.each(backends)("%s shows what a plan with taps shows", async (_, { create }) => {
    let tapped: number[][] = [];
    const watched = await open(create, file, kv, ({ name, data, rows, stride }) => {
      if (name !== "hidden_states.1") return;
      tapped = Array.from({ length: rows }, (_, r) => [
        ...data.subarray(r * stride, (r + 1) * stride),
      ]);
    });
    const logitsRows = text.map((_, row) => row);
    const spans = [{ slot: 0, start: 0, count: text.length }];
    await watched.forward({ ids: text, spans, logitsRows });
    const runner = await open(create, file, kv);
    expect(await statesOf(runner, 0, [61])).toEqual(tapped);
  });

  test.each(backends)("%s gives the same bits for every chunking", async (_, backend) => {
    const runner = await open(backend.create, file, kv);
    const whole = await statesOf(runner, 0, [61]);
    for (const chunks of [[1], [4], [3, 1, 17]]) {
      expectSame(backend, (await statesOf(runner, 1, chunks)).flat(), whole.flat());
    }
  });

  test.each(backends)("%s gives the same logits after it", async (_, { create }) => {
    const runner = await open(create, file, kv);
    const batch = {
      ids: text,
      spans: [{ slot: 0, start: 0, count: text.length }],
      logitsRows: [60],
    };
    await runner.forward(batch);
    const logits = [...runner.logits(0)];
    expect(() => runner.states(0)).toThrow("states 0 of 0");
    await statesOf(runner, 1, [9]);
    expect(() => runner.logits(0)).toThrow();
    await runner.forward(batch);
    expect([...runner.logits(0)]).toEqual(logits);
  });
});
