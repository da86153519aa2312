import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, COMPLETIONS, chat, chunks, completion, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

/** Every token is about as likely as another: what comes out is the grammar's doing. */
const app = createApp({ engine: createToy({ random: true }).engine });

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 8 },
    age: { type: "integer", maximum: 99, minimum: 0 },
  },
  required: ["name", "age"],
  additionalProperties: false,
};
const json_schema = { name: "person", strict: true, schema: SCHEMA };

/** Fields, and what the answer then is. */
const FORMATS: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [
    { response_format: { type: "json_schema", json_schema } },
    /^\{"name": ?".*", ?"age": ?\d{1,2}\}$/s,
  ],
  [
    { response_format: { type: "json_object", schema: { type: "object", properties: {} } } },
    /^\{.*\}$/s,
  ],
  [{ json_schema: { enum: ["a", "b"] } }, /^"[ab]"$/],
  [{ guided_json: JSON.stringify({ const: 7 }) }, /^7$/],
  [{ guided_regex: "\\d{3}-[a-z]{2}" }, /^\d{3}-[a-z]{2}$/],
  [{ guided_choice: ["yes", "no"] }, /^(yes|no)$/],
  [{ grammar: 'root ::= "<" [a-c]{2,4} ">"' }, /^<[a-c]{2,4}>$/],
  [{ guided_grammar: 'root ::= "x" | "yy"' }, /^(x|yy)$/],
  [{ structured_outputs: { json: { type: "boolean" } } }, /^(true|false)$/],
  [{ structured_outputs: { regex: "a|b" } }, /^[ab]$/],
  [{ structured_outputs: { choice: ["é😀"] } }, /^é😀$/],
  [{ structured_outputs: { grammar: 'root ::= "q"' } }, /^q$/],
];

describe("an answer is what was asked for", () => {
  for (const [fields, pattern] of FORMATS) {
    test(JSON.stringify(fields), async () => {
      for (const seed of [1, 2, 3]) {
        const body = { ...fields, seed, temperature: 1.5, max_tokens: 200 };
        const { status, json } = await postJson(app, CHAT, chat(body));
        expect(status).toBe(200);
        const [{ message, finish_reason }] = json.choices;
        if (finish_reason === "stop") expect(message.content).toMatch(pattern);
        else expect(finish_reason).toBe("length");
        const events = await chunks(await post(app, CHAT, chat({ ...body, stream: true })));
        const text = events.map(({ choices: [c] }) => c.delta.content ?? "").join("");
        expect(text).toBe(message.content);
        const raw = await postJson(app, COMPLETIONS, completion(body));
        const [choice] = raw.json.choices;
        if (choice.finish_reason === "stop") expect(choice.text).toMatch(pattern);
      }
    });
  }
});

test("a schema's answer is the same with log-probabilities of all its tokens", async () => {
  const body = { response_format: { type: "json_schema", json_schema }, seed: 5, max_tokens: 200 };
  const { json } = await postJson(app, CHAT, chat({ ...body, logprobs: true, top_logprobs: 2 }));
  const [{ message, logprobs }] = json.choices;
  const plain = await postJson(app, CHAT, chat(body));
  expect(plain.json.choices[0].message).toEqual(message);
  expect(plain.json.usage.completion_tokens).toBe(json.usage.completion_tokens);
  const tokens = logprobs.content.map((entry: { token: string }) => entry.token);
  expect(tokens.join("")).toBe(message.content);
  for (const { token, logprob, top_logprobs } of logprobs.content) {
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top_logprobs.map((top: { token: string }) => top.token)).toContain(token);
  }
});

test("without an end the answer still ends where nothing can follow", async () => {
  const body = { guided_regex: "[ab]{3}", ignore_eos: true, seed: 2, max_tokens: 50 };
  const { json } = await postJson(app, CHAT, chat(body));
  expect(json.choices[0].message.content).toMatch(/^[ab]{3}$/);
  expect(json.choices[0].finish_reason).toBe("stop");
});

test("two fields that ask for something are a mistake", async () => {
  const body = chat({ guided_choice: ["a"], grammar: 'root ::= "b"' });
  const { json } = await postJson(app, CHAT, body);
  expect(json.error).toMatchObject({ param: "guided_choice", code: "invalid_value" });
});

test("a keyword that cannot be kept is refused by name", async () => {
  const schema = { type: "array", items: { $dynamicRef: "#x" } };
  const format = { type: "json_schema", json_schema: { name: "x", schema } };
  const { json } = await postJson(app, CHAT, chat({ response_format: format }));
  expect(json.error).toMatchObject({ param: "response_format", code: "unsupported_schema" });
  expect(json.error.message).toContain("schema at /items: keyword $dynamicRef is not supported");
});

test("what asks for nothing changes nothing", async () => {
  const plain = await postJson(app, CHAT, chat({ seed: 3, max_tokens: 9 }));
  const fields = { response_format: { type: "text" }, grammar: "", guided_json: null };
  const { json } = await postJson(app, CHAT, chat({ seed: 3, max_tokens: 9, ...fields }));
  expect(json.choices).toEqual(plain.json.choices);
});
