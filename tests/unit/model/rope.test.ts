import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type LlamaConfig, parseLlamaConfig } from "../../../src/model/config.ts";
import { naturalLog } from "../../../src/model/natural-log.ts";
import { ropeDependsOnLength, ropeFrequencies, SequenceRope } from "../../../src/model/rope.ts";

interface GoldenCase {
  name: string;
  config: Record<string, unknown>;
  head_dim: number;
  seq_len: number;
  attention_scaling: number;
  inv_freq: number[];
  cos_last: number[];
  sin_last: number[];
}

const { cases }: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL("../../goldens/rope/rope.json", import.meta.url), "utf8"),
);

const shape = {
  vocab_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};

function configOf({ config, head_dim }: GoldenCase): LlamaConfig {
  return parseLlamaConfig({ ...shape, ...config, head_dim, hidden_size: 2 * head_dim }, "golden");
}

/**
 * transformers computes frequencies in f32: a power, a division and up to three products of rounding. yarn's ramp too,
 * whose error counts for the whole frequency where an eighth of it is left.
 */
const ULPS = 8 * 2 ** -24;
const YARN_ULPS = 16 * 2 ** -24;

// Entries of one name are calls of one module, in their order.
const modules = new Map<string, SequenceRope>();
test.each(cases.map((c) => [c.name, c] as const))(
  "%s: frequencies, factor and last angles of transformers",
  (name, golden) => {
    const { inv_freq, attention_scaling, seq_len } = golden;
    const module = name.replace(/@.*/, "");
    const rope = modules.get(module) ?? new SequenceRope(configOf(golden));
    modules.set(module, rope);
    const { inverse, attentionFactor } = rope.at(seq_len);
    const ulps = module.startsWith("yarn") ? YARN_ULPS : ULPS;
    expect(Math.abs(attentionFactor - attention_scaling)).toBeLessThanOrEqual(2 ** -52);
    expect(inverse.length).toBe(inv_freq.length);
    inv_freq.forEach((expected, i) => {
      expect(Math.abs(inverse[i] - expected)).toBeLessThanOrEqual(expected * ulps);
      const angle = (seq_len - 1) * expected;
      const tolerance = attention_scaling * (angle * ulps + 2 ** -22);
      const found = (seq_len - 1) * inverse[i];
      const cos = Math.cos(found) * attentionFactor;
      const sin = Math.sin(found) * attentionFactor;
      expect(Math.abs(cos - golden.cos_last[i])).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(sin - golden.sin_last[i])).toBeLessThanOrEqual(tolerance);
    });
  },
);

describe("a sequence that grows beyond its original length", () => {
  const golden = (name: string): GoldenCase => cases.find((c) => c.name === name)!;
  const first = (name: string, lengths: number[]): number[] => {
    const rope = new SequenceRope(configOf(golden(name)));
    return lengths.map((length) => rope.at(length).inverse[1]);
  };

  test("keeps dynamic frequencies of its longest length until it is shorter than the original", () => {
    const [at2048, at3000, again, reset] = first("dynamic@3000", [2048, 3000, 2500, 2047]);
    expect(at3000).toBeLessThan(at2048);
    expect([again, reset]).toEqual([at3000, at2048]);
  });

  test("switches longrope's lists there and back", () => {
    const [short, at, beyond, back] = first("longrope@8", [8, 4096, 4097, 4096]);
    expect(at).toBe(short);
    expect(beyond / short).toBeCloseTo(1.02 / 1.5, 12);
    expect(back).toBe(short);
  });

  test("is what only these two scalings do", () => {
    const names = cases.filter((c) => ropeDependsOnLength(configOf(c))).map(({ name }) => name);
    expect(names.every((name) => /^(dynamic|longrope)@/.test(name))).toBe(true);
    expect(names.length).toBe(7);
  });

  test("starts anew when it is reset", () => {
    const rope = new SequenceRope(configOf(golden("dynamic@3000")));
    const fresh = rope.at(10).inverse[1];
    rope.at(5000);
    rope.reset();
    expect(rope.at(2048).inverse[1]).toBe(fresh);
  });
});

test("the logarithm is the engine's to its last digits", () => {
  for (let x = 1e-3; x < 1e9; x *= 1.37) {
    expect(Math.abs(naturalLog(x) - Math.log(x))).toBeLessThanOrEqual(
      4 * 2 ** -52 * Math.max(1, Math.abs(Math.log(x))),
    );
  }
});

test.each([0, Number.POSITIVE_INFINITY, -1, Number.NaN])(
  "the logarithm of %s ends as the engine's does",
  (x) => {
    expect(naturalLog(x)).toBe(Math.log(x));
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
