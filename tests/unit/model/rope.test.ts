import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { ropeFrequencies } from "../../../src/model/rope.ts";

interface GoldenCase {
  name: string;
  config: Record<string, unknown>;
  head_dim: number;
  attention_scaling: number;
  inv_freq: number[];
}

const cases: GoldenCase[] = JSON.parse(
  readFileSync(new URL("../../goldens/rope/rope.json", import.meta.url), "utf8"),
);

const shape = {
  vocab_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};

test.each(cases.map((c) => [c.name, c] as const))(
  "%s: frequencies of transformers",
  (_, golden) => {
    const { head_dim, inv_freq, attention_scaling } = golden;
    const config = parseLlamaConfig(
      { ...shape, ...golden.config, head_dim, hidden_size: 2 * head_dim },
      "golden",
    );
    const { inverse, attentionFactor } = ropeFrequencies(config);
    expect(attentionFactor).toBe(attention_scaling);
    expect(inverse.length).toBe(inv_freq.length);
    // transformers computes them in f32: a power, a division and up to three products of rounding.
    inv_freq.forEach((expected, i) => {
      expect(Math.abs(inverse[i] - expected)).toBeLessThanOrEqual(expected * 8 * 2 ** -24);
    });
  },
);

test("a head size whose half is no power of two has the frequencies of the formula", () => {
  const config = parseLlamaConfig({ ...shape, head_dim: 80, hidden_size: 160 }, "config");
  const { inverse } = ropeFrequencies(config);
  for (let i = 0; i < 40; i++) expect(inverse[i] * 10000 ** (i / 40)).toBeCloseTo(1, 13);
});

test("per-frequency divisors, as GGUF stores Llama 3's scaling, give Llama 3's frequencies", () => {
  const llama3 = cases.find(({ name }) => name === "llama3.1@8")!;
  const base = { ...shape, head_dim: 128, hidden_size: 256, rope_theta: 500000 };
  const plain = ropeFrequencies(parseLlamaConfig(base, "plain")).inverse;
  const factors = Array.from(plain, (frequency, i) => frequency / llama3.inv_freq[i]);
  const rope_scaling = {
    rope_type: "longrope",
    short_factor: factors,
    long_factor: factors,
    original_max_position_embeddings: 8192,
    attention_factor: 1,
  };
  const { inverse } = ropeFrequencies(parseLlamaConfig({ ...base, rope_scaling }, "factors"));
  inverse.forEach((frequency, i) => {
    expect(frequency / llama3.inv_freq[i]).toBeCloseTo(1, 12);
  });
});
