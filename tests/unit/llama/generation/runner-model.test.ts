import { expect, test } from "vitest";
import { PronkError } from "../../../../src/errors.ts";
import { generate } from "../../../../src/llama/generation/generate.ts";
import { BACKENDS, generativeModel } from "../../../support/generative-models.ts";

const PROMPTS = [
  [363, 102, 116, 246, 275, 9, 8, 7, 6, 5],
  [91, 271],
  [47, 414, 280],
];

test.each(BACKENDS)("rows go on as their sources would have, on %s", async (backend) => {
  const model = await generativeModel("gqa", backend);
  /** The last logits of a row that was read alone. */
  const alone = async (tokens: number[]): Promise<Float32Array> => {
    const cache = model.createCache(1, 20);
    const [[logits]] = await cache.forward([{ row: 0, tokens, logits: 1 }]);
    cache.dispose();
    return logits;
  };
  const cache = model.createCache(4, 20);
  await cache.forward(PROMPTS.map((tokens, row) => ({ row, tokens, logits: 0 })));
  let rows = [...PROMPTS, []];
  for (const sources of [
    [1, 0, 0, 2],
    [3, 3, 1, 0],
    [2, 0, 1, 3],
    [1, 1, 1, 1],
  ]) {
    await cache.reorder(sources);
    rows = sources.map((source) => rows[source]);
    const next = rows.map((_, row) => 20 + row);
    const inputs = next.map((id, row) => ({ row, tokens: [id], logits: 1 }));
    const found = await cache.forward(inputs);
    rows = rows.map((ids, row) => [...ids, next[row]]);
    for (const [row, ids] of rows.entries()) expect(found[row][0]).toEqual(await alone(ids));
  }
  cache.truncate(2, 3);
  const [[logits]] = await cache.forward([{ row: 2, tokens: [5, 6], logits: 1 }]);
  expect(logits).toEqual(await alone([...rows[2].slice(0, 3), 5, 6]));
  cache.dispose();
});

test("all wanted logits of a text that is cut into batches come in order", async () => {
  const model = await generativeModel("gqa", "reference", { maxRows: 4, maxLogits: 2 });
  const whole = await generativeModel("gqa", "reference", { maxRows: 16, maxLogits: 16 });
  const inputs = [
    { row: 0, tokens: PROMPTS[0], logits: 7 },
    { row: 1, tokens: PROMPTS[1], logits: 2 },
  ];
  const cut = await model.createCache(2, 16).forward(inputs);
  expect(cut.map(({ length }) => length)).toEqual([7, 2]);
  expect(cut).toEqual(await whole.createCache(2, 16).forward(inputs));
});

test("ids and embeddings may follow each other", async () => {
  const model = await generativeModel("gqa", "reference");
  const embedding = new Float32Array(64).fill(0.01);
  const cache = model.createCache(2, 16);
  const tokens = [7, embedding, embedding, 8];
  const [[mixed]] = await cache.forward([{ row: 0, tokens, logits: 1 }]);
  for (const token of tokens.slice(0, 3)) {
    await cache.forward([{ row: 1, tokens: [token], logits: 0 }]);
  }
  const [[single]] = await cache.forward([{ row: 1, tokens: [8], logits: 1 }]);
  expect(single).toEqual(mixed);
});

test("slots are lent, and come back", async () => {
  const model = await generativeModel("gqa", "reference");
  const caches = [model.createCache(5, 8), model.createCache(7, 8)];
  expect(() => model.createCache(1, 8)).toThrow(PronkError);
  caches[0].dispose();
  caches[0].dispose();
  model.createCache(5, 8);
  expect(() => model.createCache(1, 8)).toThrow("1 rows, and 0 of 12 slots are free");
});

test.each(BACKENDS)("generations that run at once do not meet, on %s", async (backend) => {
  const model = await generativeModel("gqa", backend);
  const options = PROMPTS.map((input_ids, i) => ({
    input_ids,
    max_new_tokens: 6,
    num_beams: i + 1,
  }));
  const apart: number[][][] = [];
  for (const one of options) apart.push(await generate(model, one));
  expect(await Promise.all(options.map((one) => generate(model, one)))).toEqual(apart);
});
