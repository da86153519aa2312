/** `generate` over the golden models: what must be equal to what, and what is refused. */
import { beforeAll, describe, expect, test } from "vitest";
import type { PronkError } from "../../../../src/errors.ts";
import { logSoftmax } from "../../../../src/generate/logits-processors/softmax.ts";
import { SuppressTokensLogitsProcessor } from "../../../../src/generate/logits-processors/token-sets.ts";
import { generate } from "../../../../src/llama/generation/generate.ts";
import type { GenerateOptions } from "../../../../src/llama/generation/generate-options.ts";
import { GenerationConfig } from "../../../../src/llama/generation/generation-config.ts";
import type { GenerativeModel } from "../../../../src/llama/generation/generative-model.ts";
import type { RunnerModel } from "../../../../src/llama/generation/runner-model.ts";
import { MaxLengthCriteria } from "../../../../src/llama/generation/stopping-criteria.ts";
import { TextIteratorStreamer } from "../../../../src/llama/generation/streamers.ts";
import { computeTransitionScores } from "../../../../src/llama/generation/transition-scores.ts";
import { generativeModel } from "../../../support/generative-models.ts";

let model: RunnerModel;
let assistant: RunnerModel;
beforeAll(async () => {
  model = await generativeModel("gqa", "wasm");
  assistant = await generativeModel("mha", "wasm");
});

const prompt = [363, 102, 116, 246, 275];
const repeating = [...prompt, ...prompt, ...prompt];
const two = {
  input_ids: [
    [0, 0, 91, 271, 375, 374],
    [4, 47, 414, 280, 294, 387],
  ],
  attention_mask: [
    [0, 0, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
  ],
};
const sampling = { do_sample: true, top_k: 0, seed: 7 };

describe("gives the same tokens", () => {
  const same: [string, GenerateOptions, GenerateOptions][] = [
    ["without a cache", { max_new_tokens: 10 }, { use_cache: false }],
    ["however a prompt is cut", { max_new_tokens: 4, ...two }, { prefill_chunk_size: 3 }],
    ["sampled without a cache", { max_new_tokens: 10, ...sampling }, { use_cache: false }],
    ["of beams without a cache", { max_new_tokens: 6, num_beams: 3 }, { use_cache: false }],
    ["from a static cache", { max_new_tokens: 6 }, { cache_implementation: "static" }],
    [
      "looked up in the prompt",
      { input_ids: repeating, max_new_tokens: 16 },
      { prompt_lookup_num_tokens: 4, max_matching_ngram_size: 3 },
    ],
    [
      "sampled, looked up in the prompt",
      { input_ids: repeating, max_new_tokens: 16, ...sampling, temperature: 0.3 },
      { prompt_lookup_num_tokens: 4 },
    ],
    [
      "where a penalty looks back, looked up in the prompt",
      { input_ids: repeating, max_new_tokens: 16, repetition_penalty: 1.3 },
      { prompt_lookup_num_tokens: 3 },
    ],
    [
      "where an end token is looked up, too",
      { input_ids: repeating, max_new_tokens: 16, eos_token_id: [223, 116] },
      { prompt_lookup_num_tokens: 4 },
    ],
  ];
  test.each(same)("%s", async (_, options, change) => {
    const base = { input_ids: prompt, pad_token_id: 0, ...options };
    const plain = await generate(model, base);
    expect(await generate(model, { ...base, ...change })).toEqual(plain);
  });

  test.each([
    ["the model itself", () => model, {}],
    ["another model", () => assistant, {}],
    ["another model, sampled", () => assistant, sampling],
    ["the model itself, sampled", () => model, { ...sampling, min_new_tokens: 12 }],
  ])("with %s as assistant", async (_, of, options) => {
    const base = { input_ids: [two.input_ids[0]], attention_mask: [two.attention_mask[0]] };
    const run = { ...base, max_new_tokens: 14, pad_token_id: 0, eos_token_id: 2, ...options };
    const plain = await generate(model, run);
    const assisted = await generate(model, { ...run, assistant_model: of() });
    expect(assisted).toEqual(plain);
  });
});

/** How often the model is asked while it generates. */
async function stepsOf(options: GenerateOptions, isCutDependent = false): Promise<number> {
  let steps = 0;
  const counted: GenerativeModel = {
    config: model.config,
    generation_config: model.generation_config,
    isCutDependent,
    createCache(rows, length) {
      const cache = model.createCache(rows, length);
      const forward = cache.forward.bind(cache);
      cache.forward = (...args) => {
        steps++;
        return forward(...args);
      };
      return cache;
    },
  };
  await generate(counted, { input_ids: prompt, ...options });
  return steps;
}

test("an assistant that is right saves steps, but where what comes depends on them", async () => {
  const run = { max_new_tokens: 16, assistant_model: model };
  expect(await stepsOf({ max_new_tokens: 16 })).toBe(16);
  expect(await stepsOf(run)).toBeLessThan(10);
  expect(await stepsOf(run, true)).toBe(16);
});

test("num_assistant_tokens grows with its schedule where proposals are right", async () => {
  const { generation_config: own } = model;
  const before = own.toDict();
  own.update({ num_assistant_tokens: 1, assistant_confidence_threshold: 0 });
  const run = { max_new_tokens: 40, assistant_model: model };
  const constant = await stepsOf(run);
  own.update({ num_assistant_tokens_schedule: "heuristic_transient" });
  expect(await stepsOf(run)).toBeLessThan(constant);
  expect(own.num_assistant_tokens).toBe(1);
  own.update({ num_assistant_tokens_schedule: "heuristic" });
  await stepsOf(run);
  expect(own.num_assistant_tokens).toBeGreaterThan(1);
  own.update(before);
});

test("beam search ends when better beams are unlikely, impossible or unwanted", async () => {
  const run = { num_beams: 3, max_new_tokens: 30, eos_token_id: 408, pad_token_id: 0 };
  const steps = (length_penalty: number, early_stopping: boolean | "never"): Promise<number> =>
    stepsOf({ ...run, length_penalty, early_stopping });
  // The longer, the worse: a beam that is behind the finished ones stays there.
  const behind = await steps(0, "never");
  expect(behind).toBeLessThan(30);
  expect(await steps(0, false)).toBe(behind);
  // The longer, the better: only the end of the room can tell, unless the first three are enough.
  const enough = await steps(2, true);
  expect(enough).toBeLessThan(30);
  expect(await steps(2, "never")).toBeGreaterThan(enough);
});

test("several returns are sampled apart, the same again with the same seed", async () => {
  const run = { input_ids: two.input_ids, ...sampling, max_new_tokens: 6, num_return_sequences: 3 };
  const rows = await generate(model, { ...run, attention_mask: two.attention_mask });
  expect(rows.map((row) => row.slice(0, 6))).toEqual(
    [0, 0, 0, 1, 1, 1].map((i) => two.input_ids[i]),
  );
  expect(new Set(rows.map(String)).size).toBe(6);
  expect(await generate(model, { ...run, attention_mask: two.attention_mask })).toEqual(rows);
  const other = await generate(model, { ...run, attention_mask: two.attention_mask, seed: 8 });
  expect(other).not.toEqual(rows);
});

test("sampling with one possible token is greedy", async () => {
  const greedy = await generate(model, { input_ids: prompt, max_new_tokens: 8 });
  const run = { input_ids: prompt, max_new_tokens: 8, do_sample: true };
  expect(await generate(model, { ...run, top_k: 1 })).toEqual(greedy);
});

test("draws as often as a token is likely", async () => {
  const run = { input_ids: prompt, do_sample: true, top_k: 3, max_new_tokens: 1 };
  const { scores } = await generate(model, {
    ...run,
    return_dict_in_generate: true,
    output_scores: true,
  });
  const expected = logSoftmax(scores![0][0]).map((x) => Math.exp(x));
  const counts = new Map<number, number>();
  for (let seed = 0; seed < 40; seed++) {
    for (const row of await generate(model, { ...run, num_return_sequences: 10, seed })) {
      counts.set(row[5], (counts.get(row[5]) ?? 0) + 1);
    }
  }
  expect(counts.size).toBe(3);
  for (const [id, count] of counts) {
    // Five standard deviations of 400 draws.
    const sigma = Math.sqrt(400 * expected[id] * (1 - expected[id]));
    expect(Math.abs(count - 400 * expected[id])).toBeLessThan(5 * sigma);
  }
});

test("beam sampling goes other ways than beam search, and the same with the same seed", async () => {
  const run = { input_ids: prompt, max_new_tokens: 8, num_beams: 3, num_return_sequences: 2 };
  const searched = await generate(model, run);
  const sampled = await generate(model, { ...run, ...sampling });
  expect(sampled).toHaveLength(2);
  expect(sampled).not.toEqual(searched);
  expect(await generate(model, { ...run, ...sampling })).toEqual(sampled);
});

test("transition scores add up to the scores of sequences", async () => {
  const output = await generate(model, {
    input_ids: prompt,
    max_new_tokens: 8,
    num_beams: 4,
    num_return_sequences: 3,
    length_penalty: 0.5,
    eos_token_id: 408,
    pad_token_id: 0,
    return_dict_in_generate: true,
    output_scores: true,
  });
  const parts = computeTransitionScores(output.sequences, output.scores!, output.beam_indices);
  parts.forEach((row, i) => {
    const length = output.beam_indices![i].filter((beam) => beam >= 0).length;
    const sum = row.reduce((a, b) => a + b) / length ** 0.5;
    expect(sum).toBeCloseTo(output.sequences_scores![i], 4);
  });
});

test("transition scores of greedy search are log-probabilities where that is asked", async () => {
  const { sequences, scores, logits } = await generate(model, {
    input_ids: prompt,
    max_new_tokens: 3,
    temperature: 2,
    return_dict_in_generate: true,
    output_scores: true,
    output_logits: true,
  });
  expect(scores).toEqual(logits);
  const [row] = computeTransitionScores(sequences, scores!, undefined, true);
  expect(row).toEqual(scores!.map(([one], i) => logSoftmax(one)[sequences[0][5 + i]]));
});

describe("guidance", () => {
  const run = { input_ids: prompt, max_new_tokens: 8 };
  const negative = { negative_prompt_ids: [[91, 271, 375]] };

  test("moves scores away from another prompt, token by token", async () => {
    const scores = { return_dict_in_generate: true, output_scores: true } as const;
    const guided = await generate(model, { ...run, ...negative, ...scores, guidance_scale: 1.5 });
    const [ids] = guided.sequences;
    for (let step = 0; step < 8; step++) {
      const after = async (start: number[]): Promise<Float32Array> => {
        const input_ids = [...start, ...ids.slice(5, 5 + step)];
        const one = await generate(model, { input_ids, max_new_tokens: 1, ...scores });
        return logSoftmax(one.scores![0][0]);
      };
      const [with_, without] = [await after(prompt), await after(negative.negative_prompt_ids[0])];
      guided.scores![step][0].forEach((score, id) => {
        expect(score).toBeCloseTo(1.5 * (with_[id] - without[id]) + without[id], 3);
      });
    }
  });

  test("is the same without a cache, in beams, and with padding that is masked", async () => {
    const guided = { ...run, ...negative, guidance_scale: 1.5 };
    const plain = await generate(model, guided);
    expect(plain).not.toEqual(await generate(model, run));
    expect(await generate(model, { ...guided, use_cache: false })).toEqual(plain);
    const padded = {
      negative_prompt_ids: [[0, 91, 271, 375]],
      negative_prompt_attention_mask: [[0, 1, 1, 1]],
    };
    expect(await generate(model, { ...guided, ...padded })).toEqual(plain);
    const beams = { ...guided, num_beams: 3 };
    const searched = await generate(model, beams);
    expect(await generate(model, { ...beams, use_cache: false })).toEqual(searched);
  });

  test("goes without another prompt from the last token on", async () => {
    const last = { ...run, guidance_scale: 2, negative_prompt_ids: [[275]] };
    expect(await generate(model, { ...run, guidance_scale: 2 })).toEqual(
      await generate(model, last),
    );
  });
});

describe("lengths", () => {
  const length = async (
    options: Omit<GenerateOptions, "return_dict_in_generate">,
  ): Promise<number> => (await generate(model, { input_ids: prompt, ...options }))[0].length;

  test("are the prompt and 20 more by default, within the model's positions", async () => {
    expect(await length({})).toBe(25);
    expect(await length({ input_ids: new Array(50).fill(7) })).toBe(64);
  });

  test("count the prompt when they are given", async () => {
    expect(await length({ max_length: 20 })).toBe(20);
    expect(await length({ max_length: 20, max_new_tokens: 3 })).toBe(8);
    expect(await length({ generation_config: new GenerationConfig({ max_length: 9 }) })).toBe(9);
  });

  test("leave room for a token", async () => {
    await expect(generate(model, { input_ids: prompt, max_length: 5 })).rejects.toThrow(
      "Input length of input_ids is 5, but `max_length` is set to 5.",
    );
  });
});

test("without input it begins with bos_token_id", async () => {
  const rows = await generate(model, { bos_token_id: 1, max_new_tokens: 2 });
  expect(rows[0]).toEqual((await generate(model, { input_ids: [1], max_new_tokens: 2 }))[0]);
  await expect(generate(model, {})).rejects.toThrow(
    "`bos_token_id` has to be defined when no `input_ids` are provided.",
  );
});

test("takes pad ids for padding where nobody says, unless they end texts, too", async () => {
  const run = { input_ids: two.input_ids, max_new_tokens: 4 };
  const masked = await generate(model, { ...run, attention_mask: two.attention_mask });
  expect(await generate(model, { ...run, pad_token_id: 0 })).toEqual(masked);
  const ones = two.input_ids.map((row) => row.map(() => 1));
  expect(await generate(model, { ...run, pad_token_id: 0, eos_token_id: 0 })).toEqual(
    await generate(model, { ...run, attention_mask: ones, eos_token_id: 0 }),
  );
});

test("fills complete rows with the end token where there is no pad token", async () => {
  const rows = await generate(model, { ...two, max_new_tokens: 5, eos_token_id: 494 });
  expect(rows[0].slice(6)).toEqual([16, 494, 494, 494, 494]);
});

test("takes defaults from the model's configuration, unless it is told not to", async () => {
  const own = await generativeModel("gqa", "reference");
  own.generation_config.update({ max_new_tokens: 2, suppress_tokens: [97] });
  expect((await generate(own, { input_ids: prompt }))[0]).toHaveLength(7);
  const generation_config = new GenerationConfig({ max_new_tokens: 3 });
  const [filled] = await generate(own, { input_ids: prompt, generation_config });
  expect(filled).toHaveLength(8);
  expect(filled[5]).not.toBe(97);
  const [bare] = await generate(own, {
    input_ids: prompt,
    generation_config,
    use_model_defaults: false,
  });
  expect(bare[5]).toBe(97);
  const [over] = await generate(own, { input_ids: prompt, suppress_tokens: null });
  expect(over[5]).toBe(97);
});

test("the caller's processors and criteria stand in for those of their class", async () => {
  const rows = await generate(model, {
    input_ids: prompt,
    max_new_tokens: 9,
    suppress_tokens: [63],
    logits_processor: [new SuppressTokensLogitsProcessor([97])],
    stopping_criteria: [new MaxLengthCriteria(7)],
  });
  expect(rows[0]).toHaveLength(7);
  expect(rows[0][5]).toBe(63);
});

test("prefix_allowed_tokens_fn decides alone", async () => {
  const [row] = await generate(model, {
    input_ids: prompt,
    max_new_tokens: 4,
    prefix_allowed_tokens_fn: (batch, ids) => [10 + ids.length + batch],
  });
  expect(row.slice(5)).toEqual([15, 16, 17, 18]);
});

test("a streamer gets the prompt, then each token", async () => {
  const seen: number[][] = [];
  let ended = 0;
  const streamer = {
    put: (rows: readonly (readonly number[])[]) => void seen.push([...rows[0]]),
    end: () => void ended++,
  };
  for (const extra of [{}, { prompt_lookup_num_tokens: 2 }]) {
    seen.length = 0;
    const run = { input_ids: repeating, max_new_tokens: 5, ...extra };
    const [row] = await generate(model, { ...run, streamer });
    expect(seen[0]).toEqual(repeating);
    expect(seen.flat()).toEqual(row);
  }
  expect(ended).toBe(2);
});

test("tells a streamer that nothing comes any more", async () => {
  const streamer = new TextIteratorStreamer({ decode: () => "" });
  const run = generate(model, { input_ids: [512], streamer });
  await expect(run).rejects.toMatchObject({ param: "input_ids" });
  await expect(streamer[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    param: "input_ids",
  });
});

test("stops between tokens when it is aborted, and gives its rows back", async () => {
  const controller = new AbortController();
  let tokens = 0;
  const streamer = {
    put: () => {
      if (++tokens === 4) controller.abort();
    },
    end: () => {},
  };
  for (let i = 0; i < 15; i++) {
    tokens = 0;
    const run = generate(model, { input_ids: prompt, streamer, signal: controller.signal });
    await expect(run).rejects.toMatchObject({ code: "aborted" });
  }
  expect(
    (await generate(model, { input_ids: prompt, num_beams: 12, max_new_tokens: 2 })).length,
  ).toBe(1);
});

test.each<[string, GenerateOptions, Partial<PronkError>, string]>([
  [
    "a name that it does not know",
    { max_tokens: 3 } as object,
    { code: "bad_request" },
    "['max_tokens']",
  ],
  ["ids outside the vocabulary", { input_ids: [512] }, { param: "input_ids" }, "512 is not an id"],
  [
    "rows of different lengths",
    { input_ids: [[1], [1, 2]] },
    { param: "input_ids" },
    "row 1 has 2",
  ],
  ["empty rows", { input_ids: [[]] }, { param: "input_ids" }, "row 0 is empty"],
  [
    "a mask of another length",
    { attention_mask: [[1, 1]] },
    { param: "attention_mask" },
    "row 0: 2 of 5 tokens",
  ],
  [
    "padding on the right",
    { attention_mask: [[1, 1, 1, 1, 0]] },
    { param: "attention_mask" },
    "ends with padding",
  ],
  [
    "embeddings of another width",
    { inputs_embeds: [[new Float32Array(3)]], input_ids: [[]] },
    { param: "inputs_embeds" },
    "3 numbers, not 64",
  ],
  [
    "a streamer beside beams",
    { num_beams: 2, streamer: { put() {}, end() {} } },
    { param: "streamer" },
    "beam search",
  ],
  ["stop strings without a tokenizer", { stop_strings: "x" }, { param: "tokenizer" }, "tokenizer"],
  [
    "several returns of assisted decoding",
    { prompt_lookup_num_tokens: 2, do_sample: true, num_return_sequences: 2 },
    { param: "num_return_sequences" },
    "has to be 1 when doing assisted generate",
  ],
  [
    "assisted decoding without a cache",
    { prompt_lookup_num_tokens: 2, use_cache: false },
    { code: "bad_request" },
    "requires `use_cache=True`",
  ],
  ["more rows than there are slots", { num_beams: 13 }, { code: "overloaded" }, "13 rows"],
  [
    "more tokens than the context holds",
    { max_length: 80 },
    { code: "context_overflow" },
    "context of 64",
  ],
  [
    "an exponential decay without an end",
    { exponential_decay_length_penalty: [1, 2] },
    { code: "bad_request" },
    "eos_token_id",
  ],
  ["DoLa", { dola_layers: "high" }, { code: "unsupported" }, "DoLa"],
])("refuses %s", async (_, options, error, message) => {
  const run = generate(model, { input_ids: prompt, ...options });
  await expect(run).rejects.toMatchObject(error);
  await expect(run).rejects.toThrow(message);
});

test("an assistant of another vocabulary is refused", async () => {
  const other = await generativeModel("mqa", "reference");
  const run = generate(model, { input_ids: prompt, assistant_model: other });
  await expect(run).rejects.toMatchObject({ code: "unsupported", param: "assistant_model" });
});
