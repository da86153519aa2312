import { describe, expect, test } from "vitest";
import { parseLlamaConfig } from "../../../src/model/config.ts";

const smol = {
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  rope_theta: 100000,
};

test("fills what config.json leaves out as LlamaConfig does", () => {
  const { num_key_value_heads: _, ...withoutKv } = smol;
  expect(parseLlamaConfig(withoutKv, "config.json")).toMatchObject({
    model_type: "llama",
    num_key_value_heads: 9,
    head_dim: 64,
    hidden_act: "silu",
    rope_scaling: null,
    attention_bias: false,
    mlp_bias: false,
  });
});

const pairs = Array.from({ length: 32 }, (_, i) => 1 + i);
const scalings: [string, Record<string, unknown>][] = [
  ["linear", { rope_type: "linear", factor: 4 }],
  ["dynamic", { type: "dynamic", factor: 2 }],
  ["yarn", { rope_type: "yarn", factor: 4, mscale: 0.8, mscale_all_dim: 1.2, truncate: false }],
  ["longrope", { rope_type: "longrope", short_factor: pairs, long_factor: pairs, factor: 4 }],
  [
    "llama3",
    {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  ],
];

describe.each(scalings)("rope scaling %s", (_, rope_scaling) => {
  const config = parseLlamaConfig({ ...smol, rope_scaling }, "a");

  test("is read again from the configuration that it gave", () => {
    const again = parseLlamaConfig(JSON.parse(JSON.stringify(config)), "b");
    expect(again).toEqual(config);
  });

  test("is the same in all its spellings", () => {
    const { rope_type, type, ...rest } = rope_scaling;
    const kind = rope_type ?? type;
    const { rope_theta, ...others } = smol;
    for (const spelling of [
      { ...smol, rope_scaling: { type: kind, ...rest } },
      { ...smol, rope_scaling: { type: kind, rope_type: kind, ...rest } },
      { ...others, rope_parameters: { rope_theta, rope_type: kind, ...rest } },
      { ...others, rope_scaling: { rope_theta, rope_type: kind, ...rest } },
    ]) {
      expect(parseLlamaConfig(spelling, "spelling")).toEqual(config);
    }
  });
});

test("swish is silu; the slices of tensor parallel training are kept when there are several", () => {
  const config = parseLlamaConfig({ ...smol, hidden_act: "swish", pretraining_tp: 2 }, "a");
  expect(config).toMatchObject({ hidden_act: "silu", pretraining_tp: 2 });
  expect(parseLlamaConfig({ ...smol, pretraining_tp: 1 }, "b")).not.toHaveProperty(
    "pretraining_tp",
  );
});

describe("refuses", () => {
  test.each([
    ["another model", { model_type: "qwen2" }, "unsupported", "model_type qwen2"],
    ["another activation", { hidden_act: "mish" }, "unsupported", 'hidden_act "mish"'],
    ["an activation of the prototype", { hidden_act: "toString" }, "unsupported", "toString"],
    ["a partly rotated head", { partial_rotary_factor: 0.5 }, "unsupported", "0.5"],
    ["slices that do not fit", { pretraining_tp: 7 }, "bad_format", "pretraining_tp: 7"],
    ["no slices", { pretraining_tp: 0 }, "bad_format", "pretraining_tp: 0"],
    ["heads that do not divide", { num_key_value_heads: 2 }, "bad_format", "num_key_value_heads"],
    ["a fraction of a layer", { num_hidden_layers: 1.5 }, "bad_format", "num_hidden_layers"],
    ["a negative size", { hidden_size: -576 }, "bad_format", "hidden_size"],
    ["a missing size", { vocab_size: null }, "bad_format", "vocab_size"],
    ["a size over its limit", { intermediate_size: 2 ** 40 }, "bad_format", "intermediate_size"],
    ["an odd head", { head_dim: 63 }, "bad_format", "head_dim"],
    ["a head over the kernels' limit", { head_dim: 512 }, "unsupported", "head_dim 512"],
    ["an epsilon of 0", { rms_norm_eps: 0 }, "bad_format", "rms_norm_eps"],
    ["a flag that is none", { tie_word_embeddings: "yes" }, "bad_format", "tie_word_embeddings"],
    ["an unknown scaling", { rope_scaling: { type: "mrope" } }, "unsupported", "mrope"],
    [
      "a scaling by layer",
      { rope_parameters: { rope_type: {} } },
      "unsupported",
      "rope_parameters",
    ],
    ["a factor below 1", { rope_scaling: { type: "yarn", factor: 0.5 } }, "bad_format", "0.5"],
    [
      "betas in the wrong order",
      { rope_scaling: { type: "yarn", factor: 2, beta_fast: 1, beta_slow: 2 } },
      "bad_format",
      "beta_fast 1",
    ],
    [
      "longrope without any length",
      { rope_scaling: { type: "longrope", short_factor: pairs, long_factor: pairs } },
      "bad_format",
      "factor: nothing",
    ],
    [
      "a base that is no number",
      { rope_theta: undefined, rope_parameters: { rope_theta: "1e4" } },
      "bad_format",
      "rope_theta",
    ],
    ["a base that makes angles of infinity", { rope_theta: 1e-320 }, "bad_format", "rotary angles"],
    [
      "an attention factor beyond f32",
      { rope_scaling: { type: "yarn", factor: 2, attention_factor: 1e39 } },
      "bad_format",
      "rotary angles",
    ],
    ["a scaling without factor", { rope_scaling: { type: "linear" } }, "bad_format", "factor"],
    ["a scaling that is a number", { rope_scaling: 4 }, "bad_format", "rope_scaling"],
    [
      "frequency factors of the wrong number",
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      "bad_format",
      "short_factor",
    ],
  ])("%s", (_, change, code, part) => {
    const parse = () => parseLlamaConfig({ ...smol, ...change }, "x/config.json");
    expect(parse).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(part) }),
    );
    expect(parse).toThrowError(/^x\/config\.json: /);
  });
});
