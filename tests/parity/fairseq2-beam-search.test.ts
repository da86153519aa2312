/** fairseq2's beam search over the weights of models/gqa. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LogitsProcessorList } from "../../src/generate/logits-processors/logits-processor.ts";
import { SuppressTokensLogitsProcessor } from "../../src/generate/logits-processors/token-sets.ts";
import {
  BeamSearchSequenceGenerator,
  type VocabularyInfo,
} from "../../src/llama/generation/fairseq2-beam-search.ts";
import { BACKENDS, generativeModel } from "../support/generative-models.ts";

interface Golden {
  readonly name: string;
  readonly kind: string;
  readonly inputs: {
    readonly input_ids: number[][];
    readonly kwargs: Readonly<Record<string, number | boolean>>;
    readonly vocab_info: VocabularyInfo;
  };
  readonly outputs: { readonly hypotheses: { seq: number[]; score: number }[] };
}

const path = new URL("../goldens/fairseq2/forward.json", import.meta.url);
const cases: Golden[] = JSON.parse(readFileSync(path, "utf8")).cases.filter(
  ({ kind }: Golden) => kind === "fairseq2_beam",
);

describe.each(BACKENDS)("on %s", (backend) => {
  test.each(cases)("$name", async ({ inputs, outputs }) => {
    const model = await generativeModel("gqa", backend);
    const generator = new BeamSearchSequenceGenerator(model, inputs.vocab_info, {
      ...inputs.kwargs,
      echo_prompt: true,
    });
    const [found] = await generator.generate(inputs.input_ids);
    expect(found.map(({ seq }) => seq)).toEqual(outputs.hypotheses.map(({ seq }) => seq));
    outputs.hypotheses.forEach(({ score, seq }, i) => {
      // Sums of up to 12 log-probabilities, divided or not.
      const scale = inputs.kwargs.normalize_scores === false ? seq.length : 1;
      expect(Math.abs(found[i].score - score)).toBeLessThanOrEqual(1e-4 * scale);
    });
  });
});

describe("options", async () => {
  const model = await generativeModel("gqa", "wasm");
  const vocab = { eos_idx: 2, pad_idx: 0 };
  const [prompt] = cases[0].inputs.input_ids;
  const run = (
    options: ConstructorParameters<typeof BeamSearchSequenceGenerator>[2],
    prompts: number[][] = [prompt],
    info: VocabularyInfo = vocab,
  ): ReturnType<BeamSearchSequenceGenerator["generate"]> =>
    new BeamSearchSequenceGenerator(model, info, options).generate(prompts);

  test("leave the prompt out, with scores of each id that add up", async () => {
    const options = { beam_size: 2, max_gen_len: 6, normalize_scores: false };
    const [[whole]] = await run({ ...options, echo_prompt: true, prefill_chunk_size: 2 });
    const [[part]] = await run(options);
    expect(part.seq).toEqual(whole.seq.slice(5));
    expect(part.score).toBe(whole.score);
    for (const { step_scores, score } of [whole, part]) {
      expect(step_scores.reduce((a, b) => a + b)).toBeCloseTo(score, 3);
    }
    expect(whole.step_scores[0]).toBe(0);
  });

  test("set the least length, and how long the longest prompt lets others be", async () => {
    const common = { beam_size: 2, max_gen_len: 4 };
    const found = await run({ ...common, min_gen_len: 4 }, [prompt, prompt.slice(0, 3)]);
    expect(found.map((all) => all.map(({ seq }) => seq.length))).toEqual([
      [4, 4],
      [6, 6],
    ]);
    const short = await run({ beam_size: 1, max_gen_len: 9, max_seq_len: 7 });
    expect(short[0][0].seq).toHaveLength(2);
  });

  test("change scores: temperature, the unknown token and processors", async () => {
    const common = { beam_size: 2, max_gen_len: 4 };
    const plain = await run(common);
    const first = plain[0][0].seq[0];
    expect((await run({ ...common, temperature: 2 }))[0][0].score).not.toBe(plain[0][0].score);
    const unknown = await run({ ...common, unk_penalty: 100 }, [prompt], {
      ...vocab,
      unk_idx: first,
    });
    const step_processors = new LogitsProcessorList([new SuppressTokensLogitsProcessor([first])]);
    const suppressed = await run({ ...common, step_processors });
    for (const [all] of [unknown, suppressed]) {
      expect(all.map(({ seq }) => seq[0])).not.toContain(first);
    }
  });

  test.each([
    [{ min_gen_len: 0 }, "`min_gen_len` must be greater than or equal to 1, but is 0 instead."],
    [{ min_gen_len: 9, max_gen_len: 8 }, "must be less than or equal to `max_gen_len` (8)"],
    [{ max_seq_len: 5 }, "must be less than `max_seq_len` (5), but is 5 instead."],
  ])("refuse %o", async (options, message) => {
    await expect(async () => run(options)).rejects.toThrow(message);
  });
});
