import { expect, test } from "vitest";
import { GenerationConfig } from "../../../../src/llama/generation/generation-config.ts";
import { withPrefixLength } from "../../../../src/llama/pipelines/generation-options.ts";

const config = new GenerationConfig({ max_length: 30 });

test("lengths in all count the prefix, too", () => {
  expect(withPrefixLength({}, config, 5)).toEqual({ max_length: 35 });
  expect(withPrefixLength({ max_length: 10, min_length: 4 }, config, 5)).toEqual({
    max_length: 15,
    min_length: 9,
  });
});

test("lengths behind the prompt do not", () => {
  expect(withPrefixLength({ max_new_tokens: 9 }, config, 5)).toEqual({});
  const own = new GenerationConfig({ max_new_tokens: 9, min_new_tokens: 2 });
  expect(withPrefixLength({ generation_config: own, min_length: 4 }, config, 5)).toEqual({});
  expect(withPrefixLength({ max_length: 10, min_length: 4 }, config, 0)).toEqual({});
});
