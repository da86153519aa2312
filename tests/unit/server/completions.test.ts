import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { COMPLETIONS, chunks, completion, type Json, post, postJson } from "./client.ts";
import { createToy, tokenizer } from "./toy-engine.ts";

const REPLY = "There are 7 days.";
const toy = createToy({ reply: REPLY });
const app = createApp({ engine: toy.engine, randomId: () => "abc" });
const complete = async (fields: Record<string, unknown>): Promise<Json> =>
  (await postJson(app, COMPLETIONS, completion(fields))).json;

describe("a whole answer", () => {
  test("has every key that OpenAI's schema requires", async () => {
    expect(await complete({})).toMatchObject({
      id: "cmpl-abc",
      object: "text_completion",
      created: expect.any(Number),
      model: "toy/llama",
      system_fingerprint: "fp_toy",
      choices: [{ index: 0, text: REPLY, logprobs: null, finish_reason: "stop" }],
      usage: { prompt_tokens: tokenizer.encode("Once").length },
    });
  });

  test("has 16 tokens at most unless asked otherwise", async () => {
    const json = await complete({ ignore_eos: true });
    expect(json.usage.completion_tokens).toBe(16);
    expect(json.choices[0].finish_reason).toBe("length");
    expect((await complete({ max_tokens: 3 })).usage.completion_tokens).toBe(3);
  });
});

describe("the prompt", () => {
  const promptIds = async (prompt: unknown): Promise<number[]> =>
    (await complete({ prompt, return_token_ids: true })).prompt_token_ids;

  test("as text gets the tokenizer's BOS, and its special tokens are read", async () => {
    const bos = tokenizer.bosId ?? -1;
    const eot = tokenizer.eosId ?? -1;
    expect(await promptIds("Once")).toEqual([
      bos,
      ...tokenizer.encode("Once", { addSpecialTokens: false }),
    ]);
    expect((await promptIds("Once<|eot_id|>")).at(-1)).toBe(eot);
  });

  test("as ids is used as it stands, without BOS", async () => {
    expect(await promptIds([5, 6, 7])).toEqual([5, 6, 7]);
  });

  test("as a list gives choices in its order, n for each", async () => {
    const prompts = ["Once", "Twice"];
    const encoded = prompts.map((prompt) => tokenizer.encode(prompt));
    for (const prompt of [prompts, encoded]) {
      const json = await complete({ prompt, n: 2, return_token_ids: true });
      expect(json.choices.map((c: Json) => c.index)).toEqual([0, 1, 2, 3]);
      expect(json.choices.map((c: Json) => c.prompt_token_ids)).toEqual([
        encoded[0],
        encoded[0],
        encoded[1],
        encoded[1],
      ]);
      expect(json).not.toHaveProperty("prompt_token_ids");
      expect(json.usage.prompt_tokens).toBe(encoded.flat().length);
    }
  });

  test.each([
    ["without tokens", [], "prompt"],
    ["with an empty list of ids", [[]], "prompt[0]"],
    ["with an id beyond the vocabulary", [1, 1256], "prompt[1]"],
    ["with such an id in a list", [[1], [2, 9999]], "prompt[1][1]"],
    ["of mixed kinds", ["a", 1], "prompt[1]"],
    ["with a fraction", [1.5], "prompt[0]"],
    ["with a negative id", [1, -1], "prompt[1]"],
    ["that is an object", {}, "prompt"],
    ["that is longer than the context", Array(256).fill(1), "prompt"],
    ["that is one of several and too long", [[1], Array(256).fill(1)], "prompt[1]"],
  ])("%s is refused", async (_, prompt, param) => {
    const { status, json } = await postJson(app, COMPLETIONS, completion({ prompt }));
    expect(status).toBe(400);
    expect(json.error.param).toBe(param);
  });
});

describe("log-probabilities", () => {
  test("are four lists of one length, with an entry for every token", async () => {
    const { choices } = await complete({ logprobs: 2, return_token_ids: true });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs;
    expect(tokens).toEqual(toy.replyIds.map((id) => tokenizer.decode([id])));
    const offsets: number[] = [];
    let offset = 0;
    for (const id of toy.replyIds) {
      offsets.push(offset);
      offset += [...tokenizer.decode([id], { skipSpecialTokens: true })].length;
    }
    expect(text_offset).toEqual(offsets);
    expect(token_logprobs).toHaveLength(tokens.length);
    expect(top_logprobs).toHaveLength(tokens.length);
    // Clients find out whether a token was greedy by comparing these numbers.
    for (const [i, token] of tokens.entries()) {
      expect(top_logprobs[i][token]).toBe(token_logprobs[i]);
      expect(Math.max(...(Object.values(top_logprobs[i]) as number[]))).toBe(token_logprobs[i]);
    }
  });

  test("hold the chosen token even when no alternatives are asked for", async () => {
    const { choices } = await complete({ logprobs: 0, max_tokens: 1 });
    expect(Object.keys(choices[0].logprobs.top_logprobs[0])).toEqual(choices[0].logprobs.tokens);
  });

  test("are the same in a stream", async () => {
    const whole = (await complete({ logprobs: 3 })).choices[0].logprobs;
    const body = completion({ logprobs: 3, stream: true });
    const parts = (await chunks(await post(app, COMPLETIONS, body))).flatMap(
      ({ choices: [c] }) => c.logprobs ?? [],
    );
    for (const list of ["tokens", "token_logprobs", "top_logprobs", "text_offset"]) {
      expect(parts.flatMap((part) => part[list])).toEqual(whole[list]);
    }
  });
});

test("a stream has partial texts, then the reason, then the usage on request", async () => {
  const body = completion({ stream: true, stream_options: { include_usage: true } });
  const all = await chunks(await post(app, COMPLETIONS, body));
  expect(all[0]).toEqual({
    id: "cmpl-abc",
    object: "text_completion",
    created: expect.any(Number),
    model: "toy/llama",
    system_fingerprint: "fp_toy",
    choices: [
      { index: 0, text: tokenizer.decode([toy.replyIds[0]!]), logprobs: null, finish_reason: null },
    ],
    usage: null,
  });
  expect(all.at(-2).choices).toEqual([
    { index: 0, text: "", logprobs: null, finish_reason: "stop" },
  ]);
  expect(all.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } });
  expect(all.flatMap(({ choices }) => choices.map((c: Json) => c.text)).join("")).toBe(REPLY);
});

test("a stream over several prompts carries each one's ids in its first chunk", async () => {
  const body = completion({ prompt: [[1, 2], [3]], stream: true, return_token_ids: true });
  const all = await chunks(await post(app, COMPLETIONS, body));
  const withPrompt = all.flatMap(({ choices: [c] }) => (c.prompt_token_ids ? [c] : []));
  expect(withPrompt.map((c) => [c.index, c.prompt_token_ids])).toEqual([
    [0, [1, 2]],
    [1, [3]],
  ]);
});

describe("what is not built", () => {
  test.each([
    ["suffix", { suffix: "end" }],
    ["best_of", { best_of: 3, n: 2 }],
  ])("is refused by name: %s", async (param, fields) => {
    const { status, json } = await postJson(app, COMPLETIONS, completion(fields));
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ param, code: "unsupported_parameter" });
  });

  test("is accepted where it asks for nothing", async () => {
    const fields = { echo: false, suffix: "", best_of: 2, n: 2 };
    expect((await postJson(app, COMPLETIONS, completion(fields))).status).toBe(200);
  });

  test("best_of below n is a mistake", async () => {
    const { json } = await postJson(app, COMPLETIONS, completion({ best_of: 1, n: 2 }));
    expect(json.error).toMatchObject({ param: "best_of", code: "invalid_value" });
  });
});
