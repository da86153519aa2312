/** SmolLM2 through the model classes against transformers in f32: every number of its golden file, at the README's tolerances. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tokenLogprob } from "../../src/generate/logprobs.ts";
import { LlamaForCausalLM } from "../../src/platform/node/index.ts";
import { modelPath } from "../support/smollm2.ts";

interface Chat {
  readonly messages: { content: string }[];
  readonly prompt_ids: number[];
  readonly greedy_ids: number[];
  readonly steps: { top_ids: number[]; logprobs: number[]; margin: number }[];
  /** Of each token of the prompt; null for the first. */
  readonly prompt_logprobs: (number | null)[];
  readonly hidden: { norm_last: number; norm_mean: number; first8_last: number[] }[];
}

const { chats }: { chats: Chat[] } = JSON.parse(
  readFileSync(new URL("../goldens/real/smollm2.json", import.meta.url), "utf8"),
);

/** The README's: log-probabilities, and the margin above which rounding decides nothing. */
const TOLERANCE = 5e-3;
const DECISIVE_MARGIN = 0.02;

/** States are of size 3 to 5,000 and sums of 576 products a layer: their error grows with both. */
const STATE_TOLERANCE = 2e-3;

describe.skipIf(!modelPath)("SmolLM2-135M-Instruct", { timeout: 300_000 }, () => {
  let model: LlamaForCausalLM;
  beforeAll(async () => {
    model = await LlamaForCausalLM.fromPretrained(modelPath as string, { ctx: 256, slots: 2 });
  }, 300_000);
  afterAll(() => model.dispose());

  test.each(chats.map((chat, i) => [i, chat] as const))("chat %d", async (_, chat) => {
    const { prompt_ids, greedy_ids, steps } = chat;
    const text = [...prompt_ids, ...greedy_ids];
    const out = await model.forward({ input_ids: [text], output_hidden_states: true });
    const vocab = out.logits.dims[2];
    const logprobs = (position: number): ((id: number) => number) => {
      const row = out.logits.data.subarray(position * vocab, (position + 1) * vocab);
      return (id) => tokenLogprob(row, id);
    };

    chat.prompt_logprobs.forEach((expected, i) => {
      if (expected === null) return;
      const found = logprobs(i - 1)(prompt_ids[i]);
      expect(Math.abs(found - expected), `token ${i} of the prompt`).toBeLessThan(TOLERANCE);
    });
    steps.forEach(({ top_ids, logprobs: expected }, step) => {
      const found = logprobs(prompt_ids.length - 1 + step);
      top_ids.forEach((id, i) => {
        expect(Math.abs(found(id) - expected[i]), `step ${step}`).toBeLessThan(TOLERANCE);
      });
    });
    checkStates(chat, out.hidden_states ?? []);

    const clear = steps.findIndex(({ margin }) => margin <= DECISIVE_MARGIN);
    const compared = clear < 0 ? greedy_ids.length : clear;
    const max_new_tokens = greedy_ids.length;
    const generated = await model.generate({
      input_ids: [prompt_ids],
      // Where nothing ends a text, the id 2 between the chat's messages would count as padding, as there.
      attention_mask: [prompt_ids.map(() => 1)],
      ...{ max_new_tokens, do_sample: false, eos_token_id: null },
    });
    const [ids] = generated.map((row) => row.slice(prompt_ids.length));
    expect(ids.slice(0, compared)).toEqual(greedy_ids.slice(0, compared));
    out.past_key_values?.release();
  });
});

function checkStates(
  { prompt_ids, hidden }: Chat,
  states: readonly { readonly dims: readonly number[]; readonly data: Float32Array }[],
): void {
  expect(states.length).toBe(hidden.length);
  hidden.forEach(({ norm_last, norm_mean, first8_last }, layer) => {
    const { dims, data } = states[layer];
    const width = dims[2];
    const rows = prompt_ids.map((_, i) => data.subarray(i * width, (i + 1) * width));
    const norms = rows.map((row) => Math.hypot(...row));
    const last = norms.at(-1) as number;
    const mean = norms.reduce((sum, norm) => sum + norm) / norms.length;
    const near = (found: number, expected: number, size: number): void => {
      expect(Math.abs(found - expected), `layer ${layer}`).toBeLessThan(STATE_TOLERANCE * size);
    };
    near(last, norm_last, norm_last);
    near(mean, norm_mean, norm_mean);
    first8_last.forEach((expected, i) => {
      near((rows.at(-1) as Float32Array)[i], expected, norm_last / Math.sqrt(width));
    });
  });
}
