/** /score, /perplexity, /tokenize, /detokenize, /tokenizer_info. */
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { type Json, postJson, question } from "./client.ts";
import { createToy, jinja, template, tokenizer } from "./toy-engine.ts";

const { engine } = createToy({ random: true });
const app = createApp({ engine });
const ask = async (path: string, body: unknown): Promise<Json> =>
  (await postJson(app, path, body)).json;
const TEXT = "Seven days make a week.";

describe("/score", () => {
  test("gives what the engine gives, in the order of the continuations", async () => {
    const continuations = [" a week", " a month", " a"];
    const scores = await engine.scoreContinuations(
      continuations.map((continuation) => ({ prompt: "Seven days make", continuation })),
    );
    const json = await ask("/score", { context: "Seven days make", continuations });
    expect(json).toMatchObject({ object: "list", model: "toy/llama" });
    expect(json.data).toEqual(scores.map((score, index) => ({ object: "score", index, ...score })));
    const ids = { context: [5, 6, 7], continuations: [[8], [9, 10]] };
    expect((await ask("/score", ids)).data[1].token_ids).toEqual([9, 10]);
  });

  test.each([
    [{ continuations: ["a"] }, "context"],
    [{ context: "a" }, "continuations"],
    [{ context: "a", continuations: [] }, "continuations"],
    [{ context: "a b", continuations: [" c", ""] }, "continuations[1]"],
    [{ context: "a", continuations: [[1]] }, "continuations[0]"],
    [{ context: [1], continuations: [[1], [1256]] }, "continuations[1]"],
    [{ context: [1], continuations: [Array(400).fill(1)] }, "continuations[0]"],
  ])("refuses %j", async (body, param) => {
    const { status, json } = await postJson(app, "/score", body);
    expect(status).toBe(400);
    expect(json.error.param).toBe(param);
  });
});

test("/perplexity is that of the tokens' scores, window by window", async () => {
  const ids = tokenizer.encode(TEXT);
  const [whole] = await engine.scoreContinuations([
    { prompt_ids: ids.slice(0, 1), continuation_ids: ids.slice(1) },
  ]);
  const json = await ask("/perplexity", { prompt: TEXT });
  expect(json).toMatchObject({ object: "perplexity", tokens: ids.length - 1, window: 256 });
  expect(json.nll).toBeCloseTo(-whole!.logprob / (ids.length - 1), 9);
  expect(json.perplexity).toBeCloseTo(Math.exp(json.nll), 6);
  expect(await ask("/perplexity", { prompt: ids, model: "toy/llama" })).toEqual(json);
  expect((await ask("/perplexity", { prompt: TEXT, window: 4 })).tokens).toBeLessThan(
    ids.length - 1,
  );
  for (const body of [{}, { prompt: [5] }, { prompt: TEXT, window: 257 }, { prompt: [1, 1256] }]) {
    expect((await postJson(app, "/perplexity", body)).status).toBe(400);
  }
});

describe("/tokenize", () => {
  test("cuts a text as a prompt is cut, with or without BOS", async () => {
    const tokens = tokenizer.encode(TEXT);
    expect(await ask("/tokenize", { prompt: TEXT })).toEqual({
      tokens,
      count: tokens.length,
      max_model_len: 256,
    });
    const plain = await ask("/tokenize", { prompt: TEXT, add_special_tokens: false });
    expect(plain.tokens).toEqual(tokens.slice(1));
    const named = await ask("/tokenize", { prompt: "a b", return_token_strs: true });
    expect(named.token_strs).toEqual(named.tokens.map((id: number) => tokenizer.tokenText(id)));
  });

  test("says of each token where it stands, its bytes, and whether it is special", async () => {
    const { eos_token } = (await (await app.request("/tokenizer_info")).json()) as Json;
    const prompt = `a ö🙂${eos_token}`;
    const { tokens, pieces } = await ask("/tokenize", { prompt, return_pieces: true });
    expect(pieces.map(({ id }: Json) => id)).toEqual(tokens);
    expect(pieces[0]).toMatchObject({ id: tokenizer.bosId, start: 0, end: 0, special: true });
    expect(pieces.at(-1)).toMatchObject({
      id: tokenizer.eosId,
      start: prompt.length - eos_token.length,
      end: prompt.length,
      special: true,
    });
    const text = pieces.slice(1, -1) as { bytes: number[]; start: number; special: boolean }[];
    const spelled = new TextDecoder().decode(new Uint8Array(text.flatMap(({ bytes }) => bytes)));
    expect(spelled.trimStart()).toBe("a ö🙂");
    expect(text.some(({ special }) => special)).toBe(false);

    const messages = [{ role: "user", content: "a" }];
    const refused = await postJson(app, "/tokenize", { messages, return_pieces: true });
    expect(refused).toMatchObject({
      status: 400,
      json: { error: { param: "return_pieces" } },
    });
  });

  test("reads the text of a special token as its id: how clients find BOS and EOS", async () => {
    const { bos_token, eos_token } = (await (await app.request("/tokenizer_info")).json()) as Json;
    for (const [prompt, id] of [
      [bos_token, tokenizer.bosId],
      [eos_token, tokenizer.eosId],
    ]) {
      const { tokens } = await ask("/tokenize", { prompt, add_special_tokens: false });
      expect(tokens).toEqual([id]);
    }
  });

  test("puts messages through the template, with the assistant's opening unless told not to", async () => {
    const messages = question;
    const { tokens } = await ask("/tokenize", { messages });
    const rendered = template.render(messages as never);
    expect(tokens).toEqual(
      tokenizer.encode(rendered, { addSpecialTokens: false, parseSpecial: true }),
    );
    const source =
      "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %} Me:{% endif %}";
    const other = createApp({ engine: createToy({ template: jinja(source) }).engine });
    const textOf = async (fields: Json): Promise<string> => {
      const { json } = await postJson(other, "/tokenize", { messages, ...fields });
      return tokenizer.decode(json.tokens);
    };
    expect(await textOf({})).toBe(`${question[0]?.content} Me:`);
    expect(await textOf({ add_generation_prompt: false })).toBe(question[0]?.content);
  });

  test.each([{}, { prompt: "a", messages: question }, { prompt: 1 }, { messages: [] }])(
    "refuses %j",
    async (body) => {
      expect((await postJson(app, "/tokenize", body)).status).toBe(400);
    },
  );
});

test("/detokenize spells tokens, special ones, too", async () => {
  const { tokens } = await ask("/tokenize", { prompt: `${TEXT}<|eot_id|>` });
  expect(await ask("/detokenize", { tokens })).toEqual({
    prompt: `<|begin_of_text|>${TEXT}<|eot_id|>`,
  });
  expect(await ask("/detokenize", { tokens: [], model: "toy/llama" })).toEqual({ prompt: "" });
  const { json } = await postJson(app, "/detokenize", { tokens: [1, 1256] });
  expect(json.error.param).toBe("tokens[1]");
});

test("/tokenizer_info has the keys that clients look for", async () => {
  const json = (await (await app.request("/tokenizer_info")).json()) as Json;
  expect(json).toMatchObject({
    tokenizer_class: expect.any(String),
    bos_token: "<|begin_of_text|>",
    eos_token: expect.stringMatching(/^<\|e/),
    chat_template: template.source,
    vocab_size: tokenizer.vocabSize,
    model_max_length: 256,
  });
  expect(json).toHaveProperty("pad_token");
});

test.each(["/score", "/perplexity", "/tokenize", "/detokenize"])(
  "%s does not know another model",
  async (path) => {
    const body = { model: "other", context: "a", continuations: ["b"], prompt: "a b", tokens: [1] };
    expect((await postJson(app, path, body)).status).toBe(404);
  },
);

test("/v1/rerank refuses a model without a classification head, by name", async () => {
  const body = { model: "toy/llama", query: "a", documents: ["b"] };
  const { status, json } = await postJson(app, "/v1/rerank", body);
  expect(status).toBe(400);
  expect(json.error).toMatchObject({ param: "model", code: "unsupported_parameter" });
  expect(json.error.message).toContain("no classification head");
});
