import { describe, expect, test } from "vitest";
import {
  DEFAULT_SETTINGS,
  parseSettings,
  requestFields,
  SLIDERS,
  wrongSetting,
} from "../../../src/playground/state/settings.ts";
import { chatRequest } from "../../../src/server/schemas/chat.ts";
import { validate } from "../../../src/server/validate.ts";

const messages = [{ role: "user", content: "Hello" }];

describe("the server takes", () => {
  test.each(
    SLIDERS.flatMap(({ name, min, max }) => [min, max].map((value) => [name, value] as const)),
  )("%s at %d", (name, value) => {
    const fields = requestFields({ ...DEFAULT_SETTINGS, [name]: value });
    expect(() => validate(chatRequest, { model: "m", messages, ...fields })).not.toThrow();
  });

  test("seed, bound, stop texts and probabilities", () => {
    const fields = requestFields({
      ...DEFAULT_SETTINGS,
      seed: " -7 ",
      maxTokens: "12",
      stop: "END\n\n###",
      logprobs: true,
      model: "sql",
    });
    expect(fields).toMatchObject({
      ...{ seed: -7, max_tokens: 12, stop: ["END", "###"], logprobs: true, model: "sql" },
    });
    expect(() => validate(chatRequest, { model: "m", messages, ...fields })).not.toThrow();
  });
});

test("what does nothing is not asked for", () => {
  const off = Object.fromEntries(SLIDERS.map(({ name, off }) => [name, off]));
  expect(requestFields({ ...DEFAULT_SETTINGS, ...off, maxTokens: "" })).toEqual({});
});

test.each([
  ["seed", "1.5"],
  ["seed", "abc"],
  ["seed", "1e3"],
  ["maxTokens", "0"],
  ["maxTokens", "-1"],
  ["maxTokens", "99999999"],
] as const)("%s is not asked for where it is %s, and is said to be wrong", (name, text) => {
  const settings = { ...DEFAULT_SETTINGS, maxTokens: "", [name]: text };
  expect(wrongSetting(settings, name)).toMatch(/^A whole number/);
  expect(requestFields(settings)).toEqual(requestFields({ ...settings, [name]: "" }));
});

describe("what was stored", () => {
  test("is used where it is of the right kind and in range", () => {
    const stored = {
      temperature: 1.5,
      topP: "0.5",
      topK: -4,
      minP: 7,
      seed: 3,
      system: "Be brief.",
    };
    expect(parseSettings(stored)).toEqual({
      ...DEFAULT_SETTINGS,
      temperature: 1.5,
      system: "Be brief.",
    });
  });

  test.each([null, "settings", 7])("is nothing where it is %j", (stored) => {
    expect(parseSettings(stored)).toBeUndefined();
  });
});
