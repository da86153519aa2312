/** A model of a class is what the generators of both libraries take. */
import { expect, test } from "vitest";
import { BeamSearchSequenceGenerator } from "../../../../src/llama/generation/fairseq2-beam-search.ts";
import { generate } from "../../../../src/llama/generation/generate.ts";
import { LlamaConfig } from "../../../../src/llama/llama-config.ts";
import { models } from "../../../support/llama-models.ts";

const CONFIG = {
  ...{ vocab_size: 64, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, max_position_embeddings: 64 },
};
const random = (seed: number, slots?: number) =>
  new models.LlamaForCausalLM(new LlamaConfig(CONFIG), { seed, slots });
const PROMPT = { input_ids: [[1, 5, 9]], max_new_tokens: 8 };

test("generate over a model is the model's own", async () => {
  using model = random(1);
  const own = await model.generate(PROMPT);
  expect(own[0]).toHaveLength(11);
  expect(await generate(model, PROMPT)).toEqual(own);
  const beams = { ...PROMPT, num_beams: 3 };
  expect(await generate(model, beams)).toEqual(await model.generate(beams));
});

test("fairseq2's generator searches with a model", async () => {
  using model = random(1);
  const vocabulary = { eos_idx: 2, pad_idx: 0 };
  const options = { beam_size: 1, max_gen_len: 8, echo_prompt: true };
  const [[{ seq }]] = await new BeamSearchSequenceGenerator(model, vocabulary, options).generate([
    PROMPT.input_ids[0],
  ]);
  // Which ends the longest with eos_idx whatever its score.
  const [ids] = await model.generate(PROMPT);
  expect(seq).toEqual([...ids.slice(0, seq.length - 1), vocabulary.eos_idx]);
});

test("another model, and the model itself, assist to the same ids", async () => {
  using model = random(1);
  using other = random(2);
  const alone = await model.generate(PROMPT);
  expect(await model.generate({ ...PROMPT, assistant_model: other })).toEqual(alone);
  expect(await model.generate({ ...PROMPT, assistant_model: model })).toEqual(alone);
  expect(await generate(model, { ...PROMPT, assistant_model: model })).toEqual(alone);
});

test("while a cache is open the model's other work waits, and other caches share its slots", async () => {
  using model = random(1, 2);
  const expected = await model.generate(PROMPT);
  const cache = await model.createCache(1, 16);
  const second = await model.createCache(1, 16);
  await expect(model.createCache(1, 16)).rejects.toMatchObject({ code: "overloaded" });
  let isDone = false;
  const waiting = model.generate(PROMPT).then((ids) => {
    isDone = true;
    return ids;
  });
  const [[logits]] = await cache.forward([{ row: 0, tokens: [1, 5, 9], logits: 1 }]);
  expect(logits.indexOf(Math.max(...logits))).toBe(expected[0][3]);
  cache.dispose();
  cache.dispose();
  await second.forward([{ row: 0, tokens: [1], logits: 1 }]);
  expect(isDone).toBe(false);
  second.dispose();
  expect(await waiting).toEqual(expected);
});

test("a cache for which there is no room leaves the model free", async () => {
  using model = random(1);
  await expect(model.createCache(1, 65)).rejects.toMatchObject({ code: "context_overflow" });
  await model.generate(PROMPT);
  model.dispose();
  await expect(model.createCache(1, 8)).rejects.toThrow("the model was disposed");
});
