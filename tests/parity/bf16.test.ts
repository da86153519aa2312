/**
 * bfloat16, as transformers computes in it: every operation rounded to 8 bits. Here weights are bf16 and arithmetic
 * is f32, which is nearer to the f32 outputs and within the tolerance of those in bf16.
 */
import { describe, expect, test } from "vitest";
import { goldenCases, goldenTensors, openGoldenModel } from "../support/golden-model.ts";
import { BACKENDS, expectClose, models } from "../support/llama-models.ts";

const cases = goldenCases("bf16_sharded").filter(({ kind }) => kind === "forward_bf16");

/** Of the largest logit: goldens/README.md. */
const TOLERANCE = 0.03;

test("there is such a case", () => expect(cases).toHaveLength(1));

describe.each(BACKENDS)("on $backend", (options) => {
  test.each(["auto", "bfloat16", "torch.bfloat16"])("dtype %s", async (dtype) => {
    const checkpoint = await openGoldenModel("bf16_sharded");
    const model = await models.LlamaForCausalLM.fromPretrained(
      { checkpoint },
      { ...options, dtype },
    );
    const tensors = await goldenTensors("bf16_sharded");
    for (const { name, inputs } of cases) {
      const { logits } = await model.forward(inputs);
      const expected = tensors.get(`${name}/logits`)!;
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const worst = logits.data.reduce(
        (most, x, i) => Math.max(most, Math.abs(x - expected[i])),
        0,
      );
      expect(worst).toBeLessThan(TOLERANCE * largest);
      expect(worst).toBeGreaterThan(0);
      expectClose(logits.data, [...tensors.get(`${name}/logits_f32`)!]);
    }
    model.dispose();
  });

  test("f16 weights rounded to bf16 stay within the tolerance of bf16, and do change", async () => {
    const checkpoint = await openGoldenModel("bias");
    const { inputs } = goldenCases("bias").find(({ name }) => name === "basic")!;
    const run = async (dtype: string): Promise<Float32Array> => {
      const model = await models.LlamaForCausalLM.fromPretrained(
        { checkpoint },
        { ...options, dtype },
      );
      expect(model.config.toJSON().dtype).toBe(dtype);
      const { logits } = await model.forward(inputs);
      model.dispose();
      return logits.data;
    };
    const [whole, rounded] = [await run("float32"), await run("bfloat16")];
    const largest = whole.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const worst = rounded.reduce((most, x, i) => Math.max(most, Math.abs(x - whole[i])), 0);
    expect(worst).toBeLessThan(TOLERANCE * largest);
    expect(worst).toBeGreaterThan(1e-3);
  });
});
