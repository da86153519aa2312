import { describe, expect, test } from "vitest";
import { PronkError } from "../../../../src/errors.ts";
import { GenerationConfig } from "../../../../src/llama/generation/generation-config.ts";
import { refuseUnsupported } from "../../../../src/llama/generation/validate-config.ts";

test("has the reference's defaults", () => {
  const config = new GenerationConfig();
  expect(config).toMatchObject({ max_length: 20, top_k: 50, num_beams: 1, use_cache: true });
  expect(config.max_new_tokens).toBeNull();
  expect(Object.keys(config)).toHaveLength(65);
  expect(config.toDiffDict()).toEqual({});
});

test("keeps every field of a file, known or not, and gives them back sorted", () => {
  const file = {
    transformers_version: "4.57.6",
    eos_token_id: [1, 2],
    _from_model_config: true,
    temperature: 0.6,
    do_sample: true,
    top_k: 50,
  };
  const config = GenerationConfig.fromDict(file, { top_p: 0.9 });
  expect(config.top_p).toBe(0.9);
  expect(JSON.parse(config.toJsonString())).toEqual({
    _from_model_config: true,
    do_sample: true,
    eos_token_id: [1, 2],
    temperature: 0.6,
    top_p: 0.9,
    transformers_version: "4.57.6",
  });
  expect(config.toJsonString()).toMatch(/^{\n {2}"_from_model_config"/);
  expect(JSON.parse(config.toJsonString(false)).top_k).toBe(50);
});

test("is not changed through what it was made of", () => {
  const bad_words_ids = [[1]];
  const config = new GenerationConfig({ bad_words_ids });
  bad_words_ids[0].push(2);
  expect(config.bad_words_ids).toEqual([[1]]);
});

test("takes from config.json what is about generation and not null", () => {
  const config = GenerationConfig.fromModelConfig({
    hidden_size: 64,
    eos_token_id: 2,
    pad_token_id: null,
    max_length: 30,
  });
  expect(config.toDiffDict()).toEqual({ eos_token_id: 2, max_length: 30 });
});

test("update changes known fields and gives the others back", () => {
  const config = new GenerationConfig();
  expect(config.update({ num_beams: 3, input_mask: 1, top_p: undefined })).toEqual({
    input_mask: 1,
  });
  expect(config).toMatchObject({ num_beams: 3, top_p: 1 });
});

test.each([
  [
    { early_stopping: "sometimes" },
    "`early_stopping` must be a boolean or 'never', but is 'sometimes'.",
  ],
  [{ max_new_tokens: 0 }, "`max_new_tokens` must be greater than 0, but is 0."],
  [{ cache_implementation: "magic" }, "Invalid `cache_implementation` (magic)."],
  [
    { num_return_sequences: 2 },
    "Greedy methods without beam search do not support `num_return_sequences` different than 1 (got 2).",
  ],
  [
    { num_return_sequences: 4, num_beams: 3 },
    "`num_return_sequences` (4) has to be smaller or equal to `num_beams` (3).",
  ],
  [{ streamer: null }, "Argument `streamer` is not a valid argument of `GenerationConfig`."],
  [{ num_beams: 1.5 }, "`num_beams` must be an integer from 1 on, but is 1.5."],
  [{ num_beams: 1e9 }, "`num_beams` must be an integer from 1 on"],
  [{ length_penalty: Number.NaN }, "`length_penalty` must be a number, but is nan."],
])("refuses %o", (fields, message) => {
  expect(() => GenerationConfig.fromDict(fields)).toThrow(message);
});

test("says which fields have no effect, and refuses them when it is strict", () => {
  const config = new GenerationConfig({
    temperature: 0.5,
    length_penalty: 2,
    pad_token_id: -1,
    output_scores: true,
    use_cache: false,
    cache_implementation: "static",
  });
  expect([...config.validate().keys()]).toEqual([
    "pad_token_id",
    "temperature",
    "length_penalty",
    "cache_implementation",
    "output_scores",
  ]);
  expect(() => config.validate(true)).toThrow(
    "`do_sample` is set to `False`. However, `temperature` is set to `0.5`",
  );
  expect(new GenerationConfig({ num_beams: 2, do_sample: true }).validate(true).size).toBe(0);
});

test.each([
  [{}, "greedy_search"],
  [{ do_sample: true }, "sample"],
  [{ num_beams: 2 }, "beam_search"],
  [{ num_beams: 2, do_sample: true }, "beam_sample"],
  [{ prompt_lookup_num_tokens: 3 }, "assisted_generation"],
  [{ prompt_lookup_num_tokens: 3, num_beams: 2 }, "beam_search"],
  [{ penalty_alpha: 0.6, top_k: 4 }, "contrastive_search"],
  [{ dola_layers: "high" }, "dola_generation"],
  [{ num_beams: 4, num_beam_groups: 2 }, "group_beam_search"],
  [{ force_words_ids: [[1]] }, "constrained_beam_search"],
] as const)("%o is %s", (fields, mode) => {
  expect(new GenerationConfig({ ...fields } as Record<string, unknown>).getGenerationMode()).toBe(
    mode,
  );
});

describe("unsupported by name", () => {
  test.each([
    [{ dola_layers: "low" }, "dola_layers", "DoLa decoding"],
    [{ penalty_alpha: 0.6, top_k: 4 }, "penalty_alpha", "contrastive search"],
    [{ num_beams: 4, num_beam_groups: 2 }, "num_beam_groups", "group beam search"],
    [{ num_beams: 4, diversity_penalty: 1 }, "diversity_penalty", "group beam search"],
    [{ force_words_ids: [[1]] }, "force_words_ids", "constrained beam search"],
    [{ constraints: [] }, "constraints", "constrained beam search"],
    [{ assistant_early_exit: 2 }, "assistant_early_exit", "early exit"],
    [{ token_healing: true }, "token_healing", "token healing"],
    [{ watermarking_config: {} }, "watermarking_config", "watermarking"],
    [{ low_memory: true }, "low_memory", "sequential beam search"],
    [{ return_legacy_cache: true }, "return_legacy_cache", "legacy cache"],
    [{ cache_config: {} }, "cache_config", "configured cache"],
    [{ cache_implementation: "offloaded" }, "cache_implementation", "offloaded"],
    [{ output_attentions: true }, "output_attentions", "attentions"],
    [{ output_hidden_states: true }, "output_hidden_states", "hidden states"],
  ])("%o", (fields, param, what) => {
    const config = new GenerationConfig({ ...fields } as Record<string, unknown>);
    let caught: unknown;
    try {
      refuseUnsupported(config);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(PronkError);
    expect(caught).toMatchObject({ code: "unsupported", param });
    expect((caught as PronkError).message).toContain(what);
  });

  test("what does not choose contrastive search is not refused", () => {
    const config = new GenerationConfig({ penalty_alpha: 0.6, top_k: 4, do_sample: true });
    expect(() => refuseUnsupported(config)).not.toThrow();
  });
});
