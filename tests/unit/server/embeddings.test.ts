import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { type Json, postJson } from "./client.ts";
import { createToy, tokenizer } from "./toy-engine.ts";

const { engine } = createToy();
const app = createApp({ engine });
const EMBEDDINGS = "/v1/embeddings";
const request = (fields: Record<string, unknown> = {}) => ({
  model: "toy/llama",
  input: "There are 7 days.",
  ...fields,
});
const embed = async (fields: Record<string, unknown> = {}): Promise<Json> =>
  (await postJson(app, EMBEDDINGS, request(fields))).json;

/** As clients read base64. */
function fromBase64(text: string): number[] {
  const bytes = Buffer.from(text, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

const vectorOf = async (text: string | number[], options = {}): Promise<number[]> => [
  ...(await engine.embed([text], options))[0]!,
];

test("an answer has the vector, its place and the tokens", async () => {
  const json = await embed();
  const tokens = tokenizer.encode("There are 7 days.").length;
  expect(json).toEqual({
    object: "list",
    model: "toy/llama",
    data: [{ object: "embedding", index: 0, embedding: await vectorOf("There are 7 days.") }],
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
  expect(Math.hypot(...json.data[0].embedding)).toBeCloseTo(1, 6);
});

describe("input", () => {
  test.each([
    ["texts", ["One", "Two", "One"]],
    ["lists of ids", [[5, 60], [7], [5, 60]]],
  ])("%s give vectors in their order", async (_, input) => {
    const { data } = await embed({ input });
    expect(data.map(({ index }: Json) => index)).toEqual([0, 1, 2]);
    expect(data[0].embedding).toEqual(data[2].embedding);
    for (const [i, one] of input.entries()) {
      expect(data[i].embedding).toEqual(await vectorOf(one));
    }
  });

  test("ids are told that they are this model's, texts are not", async () => {
    const ids = await postJson(app, EMBEDDINGS, request({ input: [5, 6] }));
    expect(ids.json.data).toHaveLength(1);
    expect(ids.headers.get("warning")).toMatch(/^299 - "input: ids are read/);
    expect((await postJson(app, EMBEDDINGS, request())).headers.get("warning")).toBeNull();
  });

  test("special tokens in texts stay text", async () => {
    const { usage } = await embed({ input: "<|eot_id|>" });
    expect(usage.prompt_tokens).toBeGreaterThan(2);
  });
});

test("base64 is little-endian f32 of the same numbers, null is float", async () => {
  const [{ embedding }] = (await embed({ encoding_format: "float" })).data;
  const [{ embedding: coded }] = (await embed({ encoding_format: "base64" })).data;
  expect(typeof coded).toBe("string");
  expect(fromBase64(coded)).toEqual(embedding);
  expect((await embed({ encoding_format: null })).data[0].embedding).toEqual(embedding);
});

test("dimensions cuts and brings to length 1 again", async () => {
  const [{ embedding }] = (await embed({ dimensions: 3 })).data;
  expect(embedding).toEqual(await vectorOf("There are 7 days.", { dimensions: 3 }));
  expect(embedding).toHaveLength(3);
  expect(Math.hypot(...embedding)).toBeCloseTo(1, 6);
});

test("pooling and normalize are what the engine's are; none has a vector for each token", async () => {
  const text = "There are 7 days.";
  for (const options of [{ pooling: "last" }, { normalize: false }] as const) {
    expect((await embed(options)).data[0].embedding).toEqual(await vectorOf(text, options));
  }
  const { data, usage } = await embed({ pooling: "none" });
  expect(data[0].embedding).toHaveLength(usage.prompt_tokens);
  expect(data[0].embedding.flat()).toEqual(await vectorOf(text, { pooling: "none" }));
  const { data: coded } = await embed({ pooling: "none", encoding_format: "base64" });
  expect(coded[0].embedding.map(fromBase64)).toEqual(data[0].embedding);
});

test.each([
  ["input", [undefined, null, 1, "", [], [""], [[]], ["a", 1], [-1], [1256], {}]],
  ["input", [Array(2049).fill("a"), Array(257).fill(60)]],
  ["model", [undefined, null, 1]],
  ["encoding_format", ["int8", 1]],
  ["dimensions", [0, 9, 1.5, "3"]],
  ["pooling", ["max", 1]],
  ["normalize", ["true", 1]],
])("refuses %s", async (field, values) => {
  for (const value of values) {
    const { status, json } = await postJson(app, EMBEDDINGS, request({ [field]: value }));
    expect(status).toBe(400);
    expect(json.error.param.split(/[.[]/)[0]).toBe(field);
  }
});

test("a model that is not served is not found, one input that is too long is named", async () => {
  expect((await postJson(app, EMBEDDINGS, request({ model: "other" }))).status).toBe(404);
  const input = [[1], Array(257).fill(60)];
  const { json } = await postJson(app, EMBEDDINGS, request({ input }));
  expect(json.error).toMatchObject({ param: "input[1]", code: "context_length_exceeded" });
});
