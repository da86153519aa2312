/**
 * Rotary scalings that go by the length of a sequence, through the engine: prompts cut into batches, slots used again
 * and tokens run ahead must not show.
 */
import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { perplexity, wholeRunner } from "../../src/generate/perplexity.ts";
import { planLlama } from "../../src/model/plan.ts";
import { type CreateRunner, reference, wasm } from "../conformance/backends.ts";
import { goldenCases, goldenTensors, openGoldenModel } from "../support/golden-model.ts";
import { engineOver } from "../unit/engine/toy-engine.ts";

const VOCAB = 256;
const greedy = { temperature: 0, ignore_eos: true };

async function open(model: string, create: CreateRunner, maxRows: number): Promise<Runner> {
  const checkpoint = await openGoldenModel(model);
  const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
  const sizes = { ctx: 64, slots: 2, maxRows, maxLogits: maxRows, kv: "f32" } as const;
  return create(planLlama(opened.config), opened.entries, sizes);
}

function idsOf(model: string, name: string): number[] {
  const { inputs } = goldenCases(model).find((c) => c.name === name)!;
  return (inputs.input_ids as number[][])[0];
}

describe.each<[string, CreateRunner]>([
  ["reference", reference],
  ["wasm", wasm("simd")],
])("%s", (_, create) => {
  describe.each(["rope_dynamic", "rope_longrope"])("%s", (model) => {
    test("goes on as the reference does, again in a slot that was used", async () => {
      const { outputs } = goldenCases(model).find((c) => c.name === "gen/greedy")!;
      const prompt_ids = idsOf(model, "gen/greedy");
      const expected = (outputs.sequences as number[][])[0].slice(prompt_ids.length);
      const { engine } = engineOver(await open(model, create, 16));
      const request = { prompt_ids, max_tokens: expected.length, ...greedy };
      for (let round = 0; round < 3; round++) {
        const { ids, timings } = await engine.generate(request);
        expect(ids).toEqual(expected);
        expect(timings.cached_n).toBe(0);
      }
      const both = await Promise.all([engine.generate(request), engine.generate(request)]);
      for (const { ids } of both) expect(ids).toEqual(expected);
      // Rows that are run ahead would change the frequencies of the row before them.
      const predicted = await engine.generate({ ...request, prediction_ids: expected });
      expect(predicted.ids).toEqual(expected);
      expect(engine.stats().draft_tokens).toBe(0);
    });

    test.each([64, 16, 7, 1])("reads a long prompt as a whole in batches of %i", async (rows) => {
      const prompt_ids = idsOf(model, "long40");
      const logits = (await goldenTensors(model)).get("long40/logits")!.slice(-VOCAB);
      const { engine } = engineOver(await open(model, create, rows));
      const { ids } = await engine.generate({ prompt_ids, max_tokens: 1, ...greedy });
      expect(ids).toEqual([logits.indexOf(Math.max(...logits))]);
    });

    test("scores a text as a whole, however it is cut", async () => {
      const ids = idsOf(model, "long40");
      const logits = (await goldenTensors(model)).get("long40/logits")!;
      let sum = 0;
      for (let row = 0; row + 1 < ids.length; row++) {
        const scores = logits.subarray(row * VOCAB, (row + 1) * VOCAB);
        const total = scores.reduce((all, x) => all + Math.exp(x), 0);
        sum += Math.log(total) - scores[ids[row + 1]];
      }
      for (const rows of [64, 9]) {
        const { nll } = await perplexity(wholeRunner(await open(model, create, rows)), ids, {
          ctx: 64,
        });
        expect(nll).toBeCloseTo(sum / (ids.length - 1), 4);
      }
    });

    test("a copied slot goes on as the one that it was copied from", async () => {
      const runner = await open(model, create, 64);
      const ids = idsOf(model, "long40");
      const spanOf = (slot: number, start: number, count: number) => ({ slot, start, count });
      const run = async (slot: number, start: number, count: number): Promise<number[]> => {
        const logitsRows = [count - 1];
        const spans = [spanOf(slot, start, count)];
        await runner.forward({ ids: ids.slice(start, start + count), spans, logitsRows });
        return Array.from(runner.logits(0));
      };
      await run(0, 0, 30);
      await run(1, 0, 5); // short: with the frequencies of a short sequence
      runner.copySlot(0, 1, 20);
      // Shorter than what slot 0 was: dynamic keeps the frequencies of the longest length.
      const copied = await run(1, 20, 4);
      const original = await run(0, 20, 4);
      expect(copied).toEqual(original);
    });
  });
});
