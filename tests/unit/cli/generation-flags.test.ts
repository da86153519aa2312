import { describe, expect, test } from "vitest";
import {
  CHAT_DEFAULTS,
  isGenerationFlag,
  parseGenerationFlags,
  requestOf,
  settingsOfFile,
} from "../../../src/cli/generation-flags.ts";

const parse = (...words: string[]) => parseGenerationFlags(words, CHAT_DEFAULTS);

test("transformers' example is read", () => {
  const settings = parse("max_new_tokens=100", "do_sample=False", "eos_token_id=[1,2]");
  expect(requestOf(settings)).toEqual({
    max_tokens: 100,
    repetition_penalty: 1,
    temperature: 0,
    stop_ids: [1, 2],
  });
});

test("without settings a chat samples as transformers does", () => {
  expect(requestOf(CHAT_DEFAULTS)).toEqual({
    ...{
      max_tokens: 256,
      repetition_penalty: 1,
      temperature: 1,
      top_k: 50,
      top_p: 1,
      min_p: 0,
      typical_p: 1,
    },
  });
});

test.each([
  ["temperature=0.7", { temperature: 0.7 }],
  ["top_k=0", { top_k: 0 }],
  ["top_p=.5", undefined],
  ["seed=7", { seed: 7 }],
  ["seed=None", { seed: null }],
  ["eos_token_id=5", { eos_token_id: [5] }],
  ["do_sample=true", { do_sample: true }],
])("%s", (word, fields) => {
  if (fields === undefined) expect(() => parse(word)).toThrow(word.split("=")[0]);
  else expect(parse(word)).toMatchObject(fields);
});

describe("refuses", () => {
  test.each([
    ["num_beams=4", /num_beams: no setting of a chat; there are max_new_tokens/],
    ["toString=1", /toString: no setting/],
    ["temperature=hot", /temperature="hot": not a number from 0 to 2/],
    ["temperature=3", /not a number from 0 to 2/],
    ["max_new_tokens=0", /not an integer from 1/],
    ["top_k=1.5", /not an integer from 0/],
    ["eos_token_id=[1,-2]", /not an id or a list of ids/],
    ["temperature", /not of the form name=value/],
  ])("%s", (word, message) => {
    expect(() => parse(word)).toThrow(message);
  });
});

test.each([
  ["do_sample=False", true],
  ["x=1", true],
  ["/a=b/model.gguf", false],
  ["hf:owner/repo", false],
  ["./a=b.gguf", false],
])("%s is a setting: %s", (word, expected) => {
  expect(isGenerationFlag(word)).toBe(expected);
});

test("a generation_config.json counts, and what it wants beyond a chat is refused", () => {
  const file = {
    ...{ bos_token_id: 1, transformers_version: "4.57.6", pad_token_id: null, use_cache: true },
    ...{ eos_token_id: [3, 4], do_sample: true, temperature: 0.6, top_p: 0.9 },
  };
  const settings = settingsOfFile(file, CHAT_DEFAULTS);
  expect(settings).toEqual({
    ...CHAT_DEFAULTS,
    ...{ eos_token_id: [3, 4], temperature: 0.6, top_p: 0.9 },
  });
  expect(settingsOfFile({}, CHAT_DEFAULTS).do_sample).toBe(false);
  expect(() => settingsOfFile({ num_beams: 3 }, CHAT_DEFAULTS)).toThrow("num_beams");
});
