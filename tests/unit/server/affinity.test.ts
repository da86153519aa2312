import { describe, expect, test } from "vitest";
import {
  AFFINITY_HEADER,
  affinityKey,
  affinityOfId,
  keyedId,
} from "../../../src/server/affinity.ts";

const SYSTEM = { role: "system", content: "You are a helpful assistant." };
const user = (content: unknown): object => ({ role: "user", content });
const assistant = (content: unknown): object => ({ role: "assistant", content });
const chat = (...messages: object[]): object => ({ model: "m", messages });

describe("the key of a later turn is that of the first", () => {
  const prompt = `${"A tale of many words. ".repeat(40)}\nUser: `;
  const ids = Array.from({ length: 200 }, (_, i) => i);
  test.each([
    ["chat", chat(SYSTEM, user("Hi")), chat(SYSTEM, user("Hi"), assistant("Hello"), user("And?"))],
    [
      "Anthropic's messages, whose mark for the cache moves",
      {
        model: "m",
        system: "Be brief.",
        messages: [user([{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }])],
      },
      {
        model: "m",
        system: "Be brief.",
        max_tokens: 9,
        messages: [user([{ type: "text", text: "Hi" }]), assistant("Hello"), user("And?")],
      },
    ],
    [
      "responses that repeat their input",
      { model: "m", instructions: "Be brief.", input: "Hi" },
      {
        model: "m",
        instructions: "Be brief.",
        input: [{ type: "message", ...user([{ type: "input_text", text: "Hi" }]) }, assistant("x")],
      },
    ],
    ["long raw prompts", { model: "m", prompt }, { model: "m", prompt: `${prompt}Hi` }],
    ["long prompts of ids", { model: "m", prompt: ids }, { model: "m", prompt: [[...ids, 5]] }],
  ])("%s", async (_, first, later) => {
    const key = await affinityKey(first);
    expect(key).toMatch(/^[0-9a-f]{16}$/);
    expect(await affinityKey(later)).toBe(key);
  });
});

test.each([
  ["another first question", chat(SYSTEM, user("Hi")), chat(SYSTEM, user("Ho"))],
  ["another system prompt", chat(SYSTEM, user("Hi")), chat(user("Hi"))],
  ["another model", chat(user("Hi")), { ...chat(user("Hi")), model: "n" }],
  ["another prompt_cache_key", chat(user("Hi")), { ...chat(user("Hi")), prompt_cache_key: "k" }],
  ["another cache_salt", chat(user("Hi")), { ...chat(user("Hi")), cache_salt: "s" }],
  ["another raw prompt", { prompt: "One" }, { prompt: "Two" }],
  ["other ids", { prompt: [1, 2] }, { prompt: [1, 3] }],
])("%s has another key", async (_, one, other) => {
  expect(await affinityKey(one)).not.toBe(await affinityKey(other));
});

test("a shared system prompt leaves conversations evenly spread", async () => {
  const counts = new Map<number, number>();
  for (let i = 0; i < 600; i++) {
    const key = await affinityKey(chat(SYSTEM, user(`Question ${i}`)));
    const place = Number(BigInt(`0x${key}`) % 3n);
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(count).toBeGreaterThan(150);
});

test.each([
  [undefined],
  ["text"],
  [[]],
  [{}],
  [{ model: "m", input: [1, 2] }],
  [{ input: ["a", "b"] }],
  [{ messages: "no list" }],
])("%j begins no conversation", async (body) => {
  expect(await affinityKey(body)).toBeUndefined();
});

test.each([
  [{ messages: [null, 7, { role: {} }] }],
  [{ prompt: [[[[]]]] }],
  [{ prompt: { a: 1 } }],
  [{ messages: [user({ text: "no list" })] }],
])("%j has a key all the same", async (body) => {
  expect(await affinityKey(body)).toMatch(/^[0-9a-f]{16}$/);
});

test("what goes on from a response goes where its id says, whatever it asks", async () => {
  const key = "0123456789abcdef";
  const id = keyedId(new Headers({ [AFFINITY_HEADER]: key }), "f".repeat(32));
  expect(id).toBe(key + "f".repeat(32));
  expect(affinityOfId(`resp_${id}`)).toBe(key);
  expect(await affinityKey({ input: "And?", previous_response_id: `resp_${id}` })).toBe(key);
  expect(affinityOfId(`resp_${"f".repeat(32)}`)).toBeUndefined();
});

test.each([["no key"], ["0123456789ABCDEF"], ["0123456789abcdef0"]])(
  "a header of %j leaves ids as they are",
  (value) => {
    expect(keyedId(new Headers({ [AFFINITY_HEADER]: value }), "abc")).toBe("abc");
  },
);

test("an id that would be too long to be asked for stays without the key", () => {
  const headers = new Headers({ [AFFINITY_HEADER]: "0123456789abcdef" });
  expect(keyedId(headers, "f".repeat(49))).toBe("f".repeat(49));
});
