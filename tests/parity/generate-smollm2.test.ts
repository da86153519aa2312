/** SmolLM2: stop strings, beams and batches as the reference's text-generation pipeline has them. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../src/llama/generation/generate.ts";
import { GenerationConfig } from "../../src/llama/generation/generation-config.ts";
import { RunnerModel } from "../../src/llama/generation/runner-model.ts";
import { TextIteratorStreamer } from "../../src/llama/generation/streamers.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { wasm } from "../conformance/backends.ts";
import { modelPath, openSmolLm2 } from "../support/smollm2.ts";

interface StopStrings {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly stop_strings: string[];
  readonly max_new_tokens: number;
  readonly ids: number[];
  readonly text: string;
}

interface Generated {
  readonly generated_text: string;
}

interface Pipeline {
  readonly input: string | string[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly output: readonly (Generated | Generated[])[];
}

const golden: {
  pipeline: Pipeline[];
  stop_strings: StopStrings[];
  generation_config: Record<string, unknown>;
} = JSON.parse(readFileSync(new URL("../goldens/real/pipeline.json", import.meta.url), "utf8"));

/** Of texts; chats and the forms of outputs are the pipeline's own. */
const texts = golden.pipeline.filter(
  ({ input, kwargs }) =>
    [input].flat().every((one) => typeof one === "string") &&
    kwargs.return_full_text !== false &&
    kwargs.return_tensors !== true,
);

describe.skipIf(modelPath === undefined)("SmolLM2", { timeout: 300_000 }, () => {
  let model: RunnerModel;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const opened = await openSmolLm2(
      (plan, entries, options) => wasm("simd")(plan, entries, { ...options, slots: 4 }),
      { quantization: "none", kv: "f32" },
    );
    tokenizer = (await opened.model.loadTokenizer())!;
    model = new RunnerModel(opened.runner, {
      ...opened.model.config,
      generation_config: new GenerationConfig(golden.generation_config),
    });
  }, 300_000);

  test.each(golden.stop_strings)("$prompt until $stop_strings", async (one) => {
    const streamer = new TextIteratorStreamer(tokenizer, { skip_prompt: true });
    const [row] = await generate(model, {
      input_ids: one.prompt_ids,
      stop_strings: one.stop_strings,
      max_new_tokens: one.max_new_tokens,
      tokenizer: { decode: (ids) => tokenizer.decode(ids) },
      streamer,
    });
    const ids = row.slice(one.prompt_ids.length);
    expect(ids).toEqual(one.ids);
    let streamed = "";
    for await (const text of streamer) streamed += text;
    expect(streamed).toBe(one.text);
  });

  test.each(texts)("$input with $kwargs", async ({ input, kwargs, output }) => {
    const rows = [input].flat().map((text) => tokenizer.encode(text));
    const length = Math.max(...rows.map((row) => row.length));
    const pad = (row: readonly number[], by: number): number[] => [
      ...new Array<number>(length - row.length).fill(by),
      ...row,
    ];
    const sequences = await generate(model, {
      input_ids: rows.map((row) => pad(row, 2)),
      attention_mask: rows.map((row) =>
        pad(
          row.map(() => 1),
          0,
        ),
      ),
      ...kwargs,
      return_dict_in_generate: false,
    });
    const found = sequences.map((ids) => tokenizer.decode(ids, { skipSpecialTokens: true }));
    expect(found).toEqual(output.flat().map(({ generated_text }) => generated_text));
  });
});
