import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { metaInnerDim } from "../../../src/checkpoints/meta-rules.ts";
import { fromFairseq2, LLaMAConfig, toFairseq2 } from "../../../src/llama/fairseq2-config.ts";
import { LlamaConfig } from "../../../src/llama/llama-config.ts";
import { fromMetaParams, toMetaParams } from "../../../src/llama/meta-params.ts";
import { FAIRSEQ2_ARCHITECTURES, LLAMA_SIZES } from "../../../src/model/presets.ts";

interface Arch {
  readonly config: Record<string, unknown>;
  readonly ffn_inner_dim_actual: number;
  readonly head_dim: number;
  readonly to_hg_config: Record<string, unknown>;
}

const registry = JSON.parse(
  readFileSync(new URL("../../goldens/fairseq2/registry.json", import.meta.url), "utf8"),
) as { defaults: Record<string, unknown>; archs: Record<string, Arch> };

const archs = Object.entries(registry.archs);

describe("fairseq2", () => {
  test("LLaMAConfig() has its defaults", () => {
    expect({ ...new LLaMAConfig() }).toEqual(registry.defaults);
  });

  test("the architectures are its own, and no others", () => {
    expect(Object.keys(FAIRSEQ2_ARCHITECTURES).sort()).toEqual(Object.keys(registry.archs).sort());
    expect(archs.length).toBe(13);
  });

  test.each(archs)("architecture %s has its fields", (name, { config }) => {
    expect({ ...LLaMAConfig.fromArch(name) }).toEqual(config);
  });

  test.each(archs)("architecture %s is the configuration that it converts to", (name, golden) => {
    const config = fromFairseq2(LLaMAConfig.fromArch(name));
    expect(config.toJSON()).toMatchObject(golden.to_hg_config);
    expect(config.intermediate_size).toBe(golden.ffn_inner_dim_actual);
    expect(config.head_dim).toBe(golden.head_dim);
    expect(config.pad_token_id).toBe(golden.config.pad_idx);
  });

  test.each(archs)("architecture %s is the same after a way to fairseq2 and back", (name) => {
    const config = fromFairseq2(LLaMAConfig.fromArch(name));
    expect(fromFairseq2(toFairseq2(config))).toEqual(config);
  });

  test("an unknown architecture or field is refused by name", () => {
    expect(() => LLaMAConfig.fromArch("llama9")).toThrow(/llama9; known: 7b, 13b/);
    expect(() => new LLaMAConfig({ dim: 1 } as never)).toThrow("LLaMAConfig: dim is no field");
    expect(() => new LLaMAConfig({ model_dim: "1" })).toThrow('LLaMAConfig: model_dim: "1"');
    expect(() => fromFairseq2({ num_attn_heads: 7 })).toThrow(/num_attn_heads: 7/);
  });

  test.each<[string, Record<string, unknown>]>([
    ["rms_norm_eps", {}], // 1e-6 by default
    ["hidden_act", { rms_norm_eps: 1e-5, hidden_act: "gelu" }],
    ["mlp_bias", { rms_norm_eps: 1e-5, mlp_bias: true }],
    ["head_dim", { rms_norm_eps: 1e-5, head_dim: 64 }],
    ["rope_scaling", { rms_norm_eps: 1e-5, rope_scaling: { type: "linear", factor: 2 } }],
  ])("refuses to lose %s", (field, fields) => {
    expect(() => toFairseq2(new LlamaConfig(fields))).toThrow(`LLaMAConfig: ${field} `);
  });
});

describe("Meta's params.json", () => {
  test("rounds the feed-forward layer as Meta's code does", () => {
    expect(metaInnerDim(4096, 256)).toBe(11008);
    expect(metaInnerDim(8192, 4096, 1.3)).toBe(28672);
    expect(metaInnerDim(2048, 256, 1.5)).toBe(8192);
    expect(metaInnerDim(64, 32, 0.75)).toBe(128);
  });

  test.each(Object.keys(LLAMA_SIZES))("%s is the same after a way there and back", (name) => {
    const config = LlamaConfig.fromName(name);
    const { max_position_embeddings, tie_word_embeddings, bos_token_id, eos_token_id } = config;
    const others = { max_position_embeddings, tie_word_embeddings, bos_token_id, eos_token_id };
    expect(fromMetaParams(JSON.parse(JSON.stringify(toMetaParams(config))), others)).toEqual(
      config,
    );
  });

  test("any width is kept, by the rule that Meta's own models have where there is one", () => {
    expect(toMetaParams(LlamaConfig.fromName("llama-3-70b"))).toMatchObject({
      multiple_of: 4096,
      ffn_dim_multiplier: 1.3,
      n_kv_heads: 8,
    });
    for (const intermediate_size of [1, 7, 96, 1536, 4095, 11007, 11009, 12345, 65536]) {
      const params = toMetaParams(new LlamaConfig({ intermediate_size }));
      expect(fromMetaParams(params).intermediate_size).toBe(intermediate_size);
    }
  });

  test("Llama 3.1 scales by 8 without saying so, 3.2 says 32; others' vocabulary is the tokenizer's", () => {
    const params = { dim: 64, n_layers: 1, n_heads: 4, vocab_size: -1, use_scaled_rope: true };
    expect(fromMetaParams(params).rope_scaling).toMatchObject({ rope_type: "llama3", factor: 8 });
    expect(fromMetaParams({ ...params, rope_scaling_factor: 32 }).rope_scaling).toMatchObject({
      factor: 32,
    });
    expect(fromMetaParams(params, { vocab_size: 512 }).vocab_size).toBe(512);
  });

  test.each<[string, Record<string, unknown>]>([
    ["hidden_act", { hidden_act: "gelu" }],
    ["attention_bias", { attention_bias: true }],
    ["rope_scaling", { rope_scaling: { type: "yarn", factor: 2 } }],
  ])("refuses to lose %s", (field, fields) => {
    expect(() => toMetaParams(new LlamaConfig(fields))).toThrow(`params.json: ${field} `);
  });

  test("a missing size is named", () => {
    expect(() => fromMetaParams({ dim: 64, n_layers: 1 } as never)).toThrow(/n_heads/);
  });
});
