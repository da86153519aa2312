/**
 * Padded batches with rotary scalings that go by the length of a text. A row gives what it gives alone; transformers
 * takes the batch's longest row, and what its module saw before, for all.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { openGoldenModel } from "../support/golden-model.ts";
import { BACKENDS, expectClose, models } from "../support/llama-models.ts";

interface Case {
  readonly name: string;
  readonly kind: "forward" | "generate" | "state";
  readonly inputs: {
    readonly model: string;
    readonly input_ids: number[][];
    readonly attention_mask: number[][];
    readonly position_ids: number[][];
    readonly first: number[];
    readonly then: number[];
  };
  readonly outputs: {
    readonly alone: number[][];
    readonly batch: number[][];
    readonly batch_with_position_ids: number[][];
    readonly fresh: number[];
    readonly after: number[];
  };
}

const path = new URL("../goldens/padded_rope/golden.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(path, "utf8")).cases;
const ofKind = (kind: Case["kind"]): Case[] => cases.filter((found) => found.kind === kind);

function largestDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** The short row among longer ones is another text to transformers: by far more than rounding. */
test("transformers gives rows of a batch something else than alone", () => {
  for (const { outputs } of ofKind("forward")) {
    for (const found of [outputs.batch, outputs.batch_with_position_ids]) {
      expect(largestDifference(found[0], outputs.alone[0])).toBeLessThan(1e-4);
      expect(largestDifference(found[1], outputs.alone[1])).toBeGreaterThan(0.3);
    }
  }
});

describe.each([...BACKENDS, { backend: "wasm", quantization: "q8", ctx: 64 } as const])(
  "$backend $quantization",
  (options) => {
    const load = async ({ inputs }: Case): Promise<LlamaForCausalLM> =>
      models.LlamaForCausalLM.fromPretrained(
        { checkpoint: await openGoldenModel(inputs.model) },
        options,
      );
    const isExact = options.quantization === undefined;

    test.each(ofKind("forward"))("$name gives each row what it gives alone", async (golden) => {
      const model = await load(golden);
      const { input_ids, attention_mask, position_ids } = golden.inputs;
      const texts = input_ids.map((row, b) => row.filter((_, i) => attention_mask[b][i] === 1));
      const alone: number[][] = [];
      for (const row of texts) {
        const { logits } = await model.forward({ input_ids: [row], logits_to_keep: 1 });
        alone.push([...logits.data]);
      }
      if (isExact) expectClose(alone.flat(), golden.outputs.alone.flat());
      // Positions of columns are others after padding on the left: 8-bit activations round otherwise there.
      const byColumn = isExact || golden.name.endsWith("right");
      for (const inputs of [
        ...(byColumn ? [{ input_ids, attention_mask }] : []),
        { input_ids, attention_mask, position_ids },
      ]) {
        const { logits } = await model.forward(inputs);
        const [, length, vocab] = logits.dims;
        attention_mask.forEach((mask, b) => {
          const at = (b * length + mask.lastIndexOf(1)) * vocab;
          expectClose(logits.data.subarray(at, at + vocab), alone[b]);
        });
      }
      model.dispose();
    });

    test.each(ofKind("generate"))("$name goes on as each row alone", async (golden) => {
      const model = await load(golden);
      const { input_ids, attention_mask } = golden.inputs;
      const options = { max_new_tokens: 8, do_sample: false, eos_token_id: null, pad_token_id: 0 };
      const together = await model.generate({ input_ids, attention_mask, ...options });
      const alone: number[][] = [];
      for (const [b, row] of input_ids.entries()) {
        const text = row.filter((_, i) => attention_mask[b][i] === 1);
        const [whole] = await model.generate({ input_ids: [text], ...options });
        alone.push(whole.slice(text.length));
      }
      expect(together.map((row) => row.slice(input_ids[0].length))).toEqual(alone);
      if (isExact) expect(alone).toEqual(golden.outputs.alone);
      model.dispose();
    });

    test.each(ofKind("state"))("$name is that of the text, not of the model", async (golden) => {
      const model = await load(golden);
      const { first, then } = golden.inputs;
      const last = async (ids: number[]): Promise<number[]> => [
        ...(await model.forward({ input_ids: [ids], logits_to_keep: 1 })).logits.data,
      ];
      const fresh = await last(then);
      if (isExact) expectClose(fresh, golden.outputs.fresh);
      await last(first);
      expect(await last(then)).toEqual(fresh);
      model.dispose();
    });
  },
);
