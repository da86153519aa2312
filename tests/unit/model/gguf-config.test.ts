import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import type { MetadataValue, ModelFile } from "../../../src/formats/model-file.ts";
import type { LlamaConfig } from "../../../src/model/config.ts";
import { readGgufConfig } from "../../../src/model/gguf-config.ts";
import { ggufEntries } from "../../../src/model/gguf-entries.ts";
import { ggufModelFields } from "../../../src/model/gguf-fields.ts";
import { memorySource } from "../../../src/sources/memory.ts";

const bytes = new Uint8Array(readFileSync("tests/goldens/gguf/Q4_1.gguf"));
const tiny = await readGguf(memorySource(bytes, "tiny.gguf"));

/** The tiny model with these metadata instead; undefined takes one away. */
function changed(change: Record<string, MetadataValue | undefined>): ModelFile {
  const metadata = new Map(tiny.metadata);
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  }
  return { ...tiny, metadata };
}

test("reads every field of a tiny Llama", async () => {
  expect(await readGgufConfig(tiny)).toEqual({
    model_type: "llama",
    vocab_size: 192,
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 64,
    hidden_act: "silu",
    max_position_embeddings: 128,
    rms_norm_eps: Math.fround(1e-5),
    tie_word_embeddings: false,
    rope_theta: 10000,
    rope_scaling: null,
    attention_bias: false,
    mlp_bias: false,
  });
});

test("Mistral without a sliding window is a Llama under another name", async () => {
  const metadata = new Map<string, MetadataValue>();
  for (const [key, value] of tiny.metadata)
    metadata.set(key.replace(/^llama\./, "mistral."), value);
  metadata.set("general.architecture", "mistral");
  expect(await readGgufConfig({ ...tiny, metadata })).toEqual(await readGgufConfig(tiny));
});

test("linear scaling is read under its new and its old key", async () => {
  const linear = { rope_type: "linear", factor: 4 };
  const renamed = { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 };
  expect(await readGgufConfig(changed(renamed))).toMatchObject({ rope_scaling: linear });
  const old = { "llama.rope.scale_linear": 4 };
  expect(await readGgufConfig(changed(old))).toMatchObject({ rope_scaling: linear });
});

describe("metadata that is written from a configuration is read as that configuration", () => {
  const lists = (slope: number): number[] =>
    Array.from({ length: 32 }, (_, i) => Math.fround(1 + slope * i));
  const original_max_position_embeddings = 64;
  test.each<[string, Partial<LlamaConfig>]>([
    ["no scaling", {}],
    ["linear", { rope_scaling: { rope_type: "linear", factor: 4 } }],
    [
      "yarn",
      {
        rope_scaling: {
          rope_type: "yarn",
          factor: 4,
          original_max_position_embeddings,
          attention_factor: 0.1 * Math.log(4) + 1,
          beta_fast: 24,
          beta_slow: 2,
          truncate: true,
        },
      },
    ],
    [
      "llama3",
      {
        rope_theta: 500000,
        rope_scaling: {
          rope_type: "llama3",
          factor: 32,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 8192,
        },
      },
    ],
    [
      "longrope",
      {
        rope_scaling: {
          rope_type: "longrope",
          short_factor: lists(0.25),
          long_factor: lists(0.75),
          original_max_position_embeddings,
          attention_factor: Math.fround(1.19),
        },
      },
    ],
    [
      "divisors of no known scaling",
      {
        rope_scaling: {
          rope_type: "longrope",
          short_factor: lists(0.25),
          long_factor: lists(0.25),
          original_max_position_embeddings: 128, // the context, for want of a key
          attention_factor: 1,
        },
      },
    ],
  ])("%s", async (_, change) => {
    const config = { ...(await readGgufConfig(tiny)), ...change };
    const { fields, vectors } = ggufModelFields(config, "test");
    const metadata = new Map<string, MetadataValue>(
      fields.map(({ key, type, value }) => [
        key,
        type === "float32" ? Math.fround(value as number) : value,
      ]),
    );
    const tensors = new Map(tiny.tensors);
    for (const [name, values] of vectors) {
      const data = new Uint8Array(values.buffer);
      const source = memorySource(data, name);
      const place = { source, start: 0, bytes: data.length };
      tensors.set(name, { name, type: "F32", shape: [values.length], ...place });
    }
    const read = await readGgufConfig({ ...tiny, metadata, tensors });
    if (config.rope_scaling?.rope_type === "yarn") {
      const { attention_factor } = config.rope_scaling;
      expect(read.rope_scaling).toHaveProperty(
        "attention_factor",
        expect.closeTo(attention_factor, 7),
      );
      expect(read).toMatchObject({
        ...config,
        rope_scaling: { ...config.rope_scaling, attention_factor: expect.anything() },
      });
    } else {
      expect(read).toEqual(config);
    }
  });

  test.each<[string, Partial<LlamaConfig>]>([
    ["hidden_act gelu", { hidden_act: "gelu" }],
    ["rope_scaling dynamic", { rope_scaling: { rope_type: "dynamic", factor: 2 } }],
  ])("but not %s, which GGUF cannot say", async (what, change) => {
    const config = { ...(await readGgufConfig(tiny)), ...change };
    expect(() => ggufModelFields(config, "test")).toThrow(`test: GGUF's Llama has no ${what}`);
  });
});

describe("refuses", () => {
  test.each([
    [
      "another architecture",
      { "general.architecture": "qwen2" },
      "unsupported",
      "qwen2; runs: llama",
    ],
    ["no architecture", { "general.architecture": undefined }, "unsupported", "is not given"],
    ["experts", { "llama.expert_count": 8 }, "unsupported", "mixture of 8 experts"],
    [
      "a sliding window",
      { "llama.attention.sliding_window": 4096 },
      "unsupported",
      "window of 4096",
    ],
    [
      "values of another size",
      { "llama.attention.value_length": 32 },
      "unsupported",
      "value length",
    ],
    [
      "an architecture that would write over the terminal",
      { "general.architecture": "\u001b[2J\u202ellama".padEnd(10_000, "x") },
      "unsupported",
      "architecture \\\\u\\{1b\\}.{40,100}; runs: llama",
    ],
    [
      "a scaling that is a number beyond 2^53",
      { "llama.rope.scaling.type": 2n ** 60n },
      "unsupported",
      "type 1152921504606846976",
    ],
    ["partial rotation", { "llama.rope.dimension_count": 32 }, "unsupported", "32 of 64"],
    ["an unknown scaling", { "llama.rope.scaling.type": "su" }, "unsupported", "su"],
    [
      "yarn by an infinite factor",
      { "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": Number.POSITIVE_INFINITY },
      "bad_format",
      "factor",
    ],
    ["yarn without its factor", { "llama.rope.scaling.type": "yarn" }, "bad_format", "factor"],
    [
      "longrope without its lists",
      { "llama.rope.scaling.type": "longrope" },
      "bad_format",
      "short",
    ],
    ["a text for a number", { "llama.block_count": "one" }, "bad_format", "llama.block_count"],
    ["no layers", { "llama.block_count": 0 }, "bad_format", "num_hidden_layers"],
  ])("%s", async (_, change, code, message) => {
    await expect(readGgufConfig(changed(change))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`^tiny\\.gguf: .*${message}`)),
    });
  });

  const options = { quantization: "auto", profile: "default" } as const;

  test("a missing tensor, by its name in the file", async () => {
    const tensors = new Map(tiny.tensors);
    tensors.delete("blk.0.ffn_up.weight");
    const config = await readGgufConfig(tiny);
    expect(() => ggufEntries({ ...tiny, tensors }, config, options)).toThrow(
      "tiny.gguf: tensor blk.0.ffn_up.weight is missing",
    );
  });

  test("a tensor of another shape than the configuration says", async () => {
    const config = await readGgufConfig(changed({ "llama.feed_forward_length": 256 }));
    expect(() => ggufEntries(tiny, config, options)).toThrow(
      /blk\.0\.ffn_gate\.weight: shape \[512,256\]/,
    );
  });
});
