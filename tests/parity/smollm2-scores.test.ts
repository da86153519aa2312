import { describe, expect, test } from "vitest";
import { createHostEngine } from "../../src/platform/host/create-engine.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { golden, modelPath } from "../support/smollm2.ts";

/** The README's for an engine in f32. */
const TOLERANCE = 5e-3;

const { ids, first64_logprobs } = golden.perplexity;

describe.skipIf(!modelPath)("SmolLM2-135M-Instruct against transformers in f32", () => {
  test("the engine scores a text's tokens as transformers does", { timeout: 300_000 }, async () => {
    const engine = await createHostEngine(nodeHost, modelPath ?? "", {
      ...{ quantization: "none", kv: "f32", ctx: 128, slots: 1 },
    });
    try {
      const [whole, cut] = await engine.scoreContinuations([
        { prompt_ids: ids.slice(0, 1), continuation_ids: ids.slice(1, 64) },
        { prompt_ids: ids.slice(0, 40), continuation_ids: ids.slice(40, 64) },
      ]);
      for (const [i, value] of whole.token_logprobs.entries()) {
        const difference = Math.abs(value - (first64_logprobs[i + 1] as number));
        expect(difference, `token ${i + 1}`).toBeLessThan(TOLERANCE);
      }
      expect(cut.token_logprobs).toEqual(whole.token_logprobs.slice(39));
    } finally {
      await engine.dispose();
    }
  });
});
