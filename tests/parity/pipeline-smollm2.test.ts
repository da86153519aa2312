/** SmolLM2 through `pipeline()` by its name: the objects of the reference's text-generation pipeline. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pipeline } from "../../src/platform/node/index.ts";
import type { TextGenerationPipeline } from "../../src/platform/types.ts";
import { modelPath } from "../support/smollm2.ts";

interface Golden {
  readonly pipeline: readonly {
    readonly input: unknown;
    readonly kwargs: Readonly<Record<string, unknown>>;
    readonly output: unknown;
  }[];
  readonly stop_strings: readonly {
    readonly prompt: string;
    readonly stop_strings: readonly string[];
    readonly max_new_tokens: number;
    readonly prompt_ids: readonly number[];
    readonly ids: readonly number[];
    readonly text: string;
  }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../goldens/real/pipeline.json", import.meta.url), "utf8"),
);

describe.skipIf(modelPath === undefined)("SmolLM2's pipeline", { timeout: 300_000 }, () => {
  let pipe: TextGenerationPipeline;
  beforeAll(async () => {
    pipe = await pipeline("text-generation", modelPath as string, { ctx: 256, device: "cpu" });
  }, 300_000);
  afterAll(() => pipe.dispose());

  test.each(golden.pipeline)("pipeline %#: its own output", async ({ input, kwargs, output }) => {
    const call = pipe as unknown as (...args: unknown[]) => Promise<unknown>;
    expect(await call(input, kwargs)).toEqual(output);
  });

  test.each(golden.stop_strings)("stop_strings %#: $prompt", async (one) => {
    const { stop_strings, max_new_tokens } = one;
    const options = { stop_strings, max_new_tokens, do_sample: false };
    const [record] = await pipe(one.prompt, { ...options, return_full_text: false });
    expect(record).toEqual({ generated_text: one.text });
    const [tokens] = await pipe(one.prompt, { ...options, return_tensors: true });
    expect(tokens?.generated_token_ids).toEqual([...one.prompt_ids, ...one.ids]);
  });
});
