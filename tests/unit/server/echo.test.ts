/** echo of /v1/completions, as lm-evaluation-harness and others ask for log-likelihoods. */
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { completionLogprobs } from "../../../src/server/logprobs.ts";
import { COMPLETIONS, chunks, completion, type Json, post, postJson } from "./client.ts";
import { createToy, tokenizer } from "./toy-engine.ts";

const toy = createToy({ reply: "There are 7 days.", random: true });
const { engine } = toy;
const app = createApp({ engine });
const TEXT = "Seven days, or 168 hours, make a week.";
const ids = tokenizer.encode(TEXT);
const complete = async (fields: Record<string, unknown>): Promise<Json> =>
  (await postJson(app, COMPLETIONS, completion(fields))).json;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe("a prompt's log-probabilities", () => {
  test("are one entry a token, then the generated one's; nothing is known of the first", async () => {
    const fields = { prompt: [ids], max_tokens: 1, logprobs: 1, seed: 1234, echo: true };
    const { choices, usage } = await complete(fields);
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs;
    for (const list of [tokens, token_logprobs, top_logprobs, text_offset]) {
      expect(list).toHaveLength(ids.length + 1);
    }
    expect([token_logprobs[0], top_logprobs[0]]).toEqual([null, null]);
    for (const [i, token] of tokens.entries()) {
      if (i === 0) continue;
      expect(token_logprobs[i]).toBeLessThan(0);
      expect(top_logprobs[i]).toHaveProperty([token]);
    }
    expect(usage).toMatchObject({ prompt_tokens: ids.length, completion_tokens: 1 });
    expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
  });

  test("are those of scored continuations, and greedy where these say so", async () => {
    const context = ids.slice(0, 5);
    const { ids: greedy } = await engine.generate({
      prompt_ids: context,
      max_tokens: 4,
      temperature: 0,
      ignore_eos: true,
    });
    for (const continuation of [ids.slice(5), greedy]) {
      const prompt = [...context, ...continuation];
      const fields = { prompt: [prompt], max_tokens: 1, logprobs: 1, echo: true };
      const { token_logprobs, top_logprobs } = (await complete(fields)).choices[0].logprobs;
      const [score] = await engine.scoreContinuations([
        { prompt_ids: context, continuation_ids: continuation },
      ]);
      // As the harness reads them: without the first `context` entries and the generated one.
      const own = token_logprobs.slice(context.length, -1);
      expect(own).toEqual(score?.token_logprobs);
      expect(sum(own)).toBe(score?.logprob);
      const isGreedy = own.every(
        (logprob: number, i: number) =>
          logprob === Math.max(...(Object.values(top_logprobs[context.length + i]) as number[])),
      );
      expect(isGreedy).toBe(score?.is_greedy);
    }
  });

  test("are those that a generation of the same tokens reports", async () => {
    const fields = { prompt: [ids], max_tokens: 8, logprobs: 3, ignore_eos: true };
    const first = await complete({ ...fields, return_token_ids: true, temperature: 1, seed: 5 });
    const { token_ids, logprobs } = first.choices[0];
    const prompt = [[...ids, ...token_ids]];
    const { choices } = await complete({ ...fields, prompt, max_tokens: 0, echo: true });
    for (const list of ["token_logprobs", "top_logprobs", "tokens"]) {
      expect(choices[0].logprobs[list].slice(ids.length)).toEqual(logprobs[list]);
    }
  });

  test("read what prompts have in common once, with the same numbers", async () => {
    const prompts = [ids, [...ids.slice(0, -2), 40], ids, ids.slice(0, 4)];
    const alone = await Promise.all(prompts.map((prompt) => engine.promptLogprobs([prompt])));
    const before = toy.forwards();
    expect(await engine.promptLogprobs(prompts)).toEqual(alone.flat());
    const apart = toy.forwards() - before;
    await engine.promptLogprobs([ids]);
    expect(apart).toBeLessThan(2 * (toy.forwards() - before - apart));
  });
});

describe("the text", () => {
  test("begins with the prompt, and the offsets count on from there", async () => {
    const fields = { prompt: TEXT, max_tokens: 2, logprobs: 0, echo: true, ignore_eos: true };
    const { text, logprobs } = (await complete(fields)).choices[0];
    expect(text.startsWith(TEXT)).toBe(true);
    const { tokens, text_offset } = logprobs;
    // BOS, which was added, has no text.
    expect(text_offset.slice(0, 2)).toEqual([0, 0]);
    const pieces = text_offset.map((from: number, i: number) =>
      text.slice(from, text_offset[i + 1] ?? text.length),
    );
    expect(pieces.slice(1)).toEqual(tokens.slice(1));
  });

  test("of a prompt of ids spells them out; without logprobs nothing is read for it", async () => {
    const before = toy.forwards();
    const { choices } = await complete({ prompt: [5, 60, 7], max_tokens: 0, echo: true });
    expect(choices[0]).toMatchObject({
      text: tokenizer.decode([5, 60, 7]),
      logprobs: null,
      finish_reason: "length",
    });
    expect(toy.forwards()).toBe(before);
  });

  test("of every choice begins with its own prompt", async () => {
    const fields = { prompt: ["One", "Two"], n: 2, max_tokens: 1, logprobs: 0, echo: true };
    const { choices } = await complete(fields);
    expect(choices.map(({ index, text }: Json) => [index, text.slice(0, 3)])).toEqual([
      [0, "One"],
      [1, "One"],
      [2, "Two"],
      [3, "Two"],
    ]);
    for (const { logprobs } of choices) expect(logprobs.token_logprobs[0]).toBeNull();
  });

  test("is the same in a stream, with its log-probabilities", async () => {
    const fields = { prompt: ["One", TEXT], max_tokens: 5, logprobs: 2, echo: true, seed: 3 };
    const whole = await complete({ ...fields, temperature: 1 });
    const body = completion({ ...fields, temperature: 1, stream: true });
    const all = await chunks(await post(app, COMPLETIONS, body));
    for (const { index, text, logprobs } of whole.choices) {
      const own = all.map(({ choices: [c] }) => c).filter((c) => c.index === index);
      expect(own.map((c) => c.text).join("")).toBe(text);
      for (const list of Object.keys(logprobs)) {
        expect(own.flatMap((c) => c.logprobs?.[list] ?? [])).toEqual(logprobs[list]);
      }
    }
  });
});

test("a prompt that fills the context can be scored, not continued", async () => {
  const prompt = Array(256).fill(60);
  const fields = { prompt, logprobs: 0, echo: true };
  expect((await complete({ ...fields, max_tokens: 0 })).choices[0].logprobs.tokens).toHaveLength(
    256,
  );
  const { error } = await complete({ ...fields, max_tokens: 1 });
  expect(error).toMatchObject({ param: "prompt", code: "context_length_exceeded" });
});

test("of tokens with one text the likelier keeps the key, so that the other is not greedy", () => {
  const partial = [...Array(tokenizer.vocabSize).keys()].filter(
    (id) => new TextDecoder().decode(tokenizer.tokenBytes(id)) === "\ufffd",
  );
  const [likely = 0, chosen = 0] = partial;
  expect(partial.length).toBeGreaterThan(1);
  const writer = completionLogprobs(tokenizer);
  writer.push({
    token: chosen,
    text: "x",
    logprob: -3,
    top_logprobs: [
      { token: likely, logprob: -1 },
      { token: chosen, logprob: -3 },
    ],
  });
  expect(writer.take()).toMatchObject({
    token_logprobs: [-3],
    top_logprobs: [{ "\ufffd": -1 }],
  });
});
