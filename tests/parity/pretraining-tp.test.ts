/** Linear layers summed in the slices of tensor parallel training, against transformers 4.44.2, which did so. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import { planLlama } from "../../src/model/plan.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { reference } from "../conformance/backends.ts";
import { openGoldenModel } from "../support/golden-model.ts";
import { BACKENDS, expectClose, models } from "../support/llama-models.ts";

const folder = new URL("../goldens/legacy/", import.meta.url);

interface LegacyCase {
  readonly name: string;
  readonly inputs: { model: string; pretraining_tp: number; input_ids: number[][] };
  readonly outputs: { logits: { $t: string }; max_abs_diff_to_tp1: number };
}

const cases = (
  JSON.parse(readFileSync(new URL("golden.json", folder), "utf8")).cases as LegacyCase[]
).filter(({ name }) => name.startsWith("pretraining_tp"));

async function goldenLogits(key: string): Promise<Float32Array> {
  const bytes = new Uint8Array(readFileSync(new URL("golden.safetensors", folder)));
  const { start, bytes: size } = (await readSafetensors(memorySource(bytes, "legacy"))).get(key)!;
  return new Float32Array(bytes.slice(start, start + size).buffer);
}

async function logitsOf({ inputs }: LegacyCase, pretraining_tp: number): Promise<Float32Array> {
  const checkpoint = await openGoldenModel(inputs.model.replace("models/", ""));
  const config = { ...checkpoint.config, pretraining_tp };
  const opened = await openCheckpoint(
    { ...checkpoint, config },
    { quantization: "none", profile: "default" },
  );
  const sizes = { ctx: 16, slots: 1, maxRows: 16, maxLogits: 16, kv: "f32" } as const;
  const runner = await reference(planLlama(opened.config), opened.entries, sizes);
  const logits: number[] = [];
  for (const ids of inputs.input_ids) {
    const rows = ids.map((_, row) => row);
    const spans = [{ slot: 0, start: 0, count: ids.length }];
    await runner.forward({ ids, spans, logitsRows: rows });
    for (const row of rows) logits.push(...runner.logits(row));
  }
  return Float32Array.from(logits);
}

describe.each(cases.map((c) => [c.name, c] as const))("%s", (_, golden) => {
  test("gives the logits of the sliced layers", async () => {
    const expected = await goldenLogits(golden.outputs.logits.$t);
    const found = await logitsOf(golden, golden.inputs.pretraining_tp);
    expect(found.length).toBe(expected.length);
    expected.forEach((value, i) => {
      expect(Math.abs(found[i] - value)).toBeLessThanOrEqual(2e-4 + 1e-4 * Math.abs(value));
    });
  });

  test("rounds otherwise than whole layers, and no more than that", async () => {
    const whole = await logitsOf(golden, 1);
    const sliced = await logitsOf(golden, golden.inputs.pretraining_tp);
    const difference = sliced.reduce((most, x, i) => Math.max(most, Math.abs(x - whole[i])), 0);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(2 * golden.outputs.max_abs_diff_to_tp1);
  });
});

describe.each(BACKENDS)("the model class on $backend", (options) => {
  test.each(cases)("$name is within the tolerance, and says what it sums", async (golden) => {
    const { model: name, pretraining_tp, input_ids } = golden.inputs;
    const checkpoint = await openGoldenModel(name.replace("models/", ""));
    const model = await models.LlamaForCausalLM.fromPretrained(
      { checkpoint },
      { ...options, pretraining_tp },
    );
    const { logits } = await model.forward({ input_ids });
    expectClose(logits.data, [...(await goldenLogits(golden.outputs.logits.$t))]);
    const isWhole = options.backend === "wasm";
    expect(model.notes.some((note) => note.includes("pretraining_tp 2"))).toBe(isWhole);
    model.dispose();
  });
});

test("both golden cases are compared", () => expect(cases.length).toBe(2));
