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

test("reads its own output again, unchanged", () => {
  const rope_scaling = { rope_type: "linear", factor: 4 };
  const config = parseLlamaConfig({ ...smol, rope_scaling }, "a");
  expect(parseLlamaConfig({ ...config }, "b")).toEqual(config);
});

const pairs = Array.from({ length: 32 }, (_, i) => 1 + i);
describe("refuses", () => {
  test.each([
    ["another model", { model_type: "qwen2" }, "unsupported", "model_type qwen2"],
    ["another activation", { hidden_act: "gelu" }, "unsupported", "hidden_act"],
    ["heads that do not divide", { num_key_value_heads: 2 }, "bad_format", "num_key_value_heads"],
    ["a fraction of a layer", { num_hidden_layers: 1.5 }, "bad_format", "num_hidden_layers"],
    ["a negative size", { hidden_size: -576 }, "bad_format", "hidden_size"],
    ["a missing size", { vocab_size: null }, "bad_format", "vocab_size"],
    ["a size over its limit", { intermediate_size: 2 ** 40 }, "bad_format", "intermediate_size"],
    ["an odd head", { head_dim: 63 }, "bad_format", "head_dim"],
    ["a head over the kernels' limit", { head_dim: 512 }, "unsupported", "head_dim 512"],
    ["an epsilon of 0", { rms_norm_eps: 0 }, "bad_format", "rms_norm_eps"],
    ["a flag that is none", { tie_word_embeddings: "yes" }, "bad_format", "tie_word_embeddings"],
    ["an unknown scaling", { rope_scaling: { type: "yarn" } }, "unsupported", "yarn"],
    ["a scaling without factor", { rope_scaling: { type: "linear" } }, "bad_format", "factor"],
    ["a scaling that is a number", { rope_scaling: 4 }, "bad_format", "rope_scaling"],
    [
      "frequency factors of the wrong number",
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      "bad_format",
      "short_factor",
    ],
    [
      "frequency factors that switch with the length",
      { rope_scaling: { type: "longrope", short_factor: pairs, long_factor: pairs.map(() => 1) } },
      "unsupported",
      "longrope",
    ],
  ])("%s", (_, change, code, part) => {
    const parse = () => parseLlamaConfig({ ...smol, ...change }, "x/config.json");
    expect(parse).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(part) }),
    );
    expect(parse).toThrowError(/^x\/config\.json: /);
  });
});
