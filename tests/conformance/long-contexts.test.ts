/**
 * Positions far beyond those that a model was made for, under every rope scaling: each backend
 * against the reference, which computes each angle by itself, over a cache that is really filled.
 */
import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import type { LlamaConfig, RopeScaling } from "../../src/model/config.ts";
import { planLlama } from "../../src/model/plan.ts";
import { readGolden } from "../support/tiny-gguf.ts";
import { BACKENDS, type CreateRunner, reference } from "./backends.ts";

const FILE = "F16.gguf";
const ORIGINAL = 128;
const LENGTH = 1200;
const CHUNK = 100;

const model = await openGguf([readGolden(FILE)], { quantization: "none", profile: "default" });
const half = model.config.head_dim / 2;
const factors = Array.from({ length: half }, (_, i) => 1 + (7 * i) / half);

const SCALINGS: Record<string, RopeScaling | null> = {
  none: null,
  linear: { rope_type: "linear", factor: 8 },
  dynamic: { rope_type: "dynamic", factor: 4 },
  yarn: {
    rope_type: "yarn",
    factor: 8,
    original_max_position_embeddings: ORIGINAL,
    attention_factor: 1.2,
    beta_fast: 32,
    beta_slow: 1,
    truncate: true,
  },
  "longrope that switches": {
    rope_type: "longrope",
    short_factor: factors.map((factor) => factor / 2),
    long_factor: factors,
    original_max_position_embeddings: ORIGINAL,
    attention_factor: 1.19,
  },
  llama3: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: ORIGINAL,
  },
  longrope: {
    rope_type: "longrope",
    short_factor: factors,
    long_factor: factors,
    original_max_position_embeddings: ORIGINAL,
    attention_factor: 1.19,
  },
};

function open(create: CreateRunner, rope_scaling: RopeScaling | null): Promise<Runner> {
  const max_position_embeddings = rope_scaling?.rope_type === "dynamic" ? ORIGINAL : 4096;
  const config: LlamaConfig = { ...model.config, rope_scaling, max_position_embeddings };
  const sizes = { ctx: LENGTH, slots: 1, maxRows: CHUNK, maxLogits: 1, kv: "f32" } as const;
  return create(planLlama(config), model.entries, sizes);
}

/** The logits after every CHUNK tokens. */
async function logitsOf(runner: Runner): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let start = 0; start < LENGTH; start += CHUNK) {
    const ids = Array.from({ length: CHUNK }, (_, i) => (7919 * (start + i) + 13) % runner.vocab);
    const spans = [{ slot: 0, start, count: CHUNK }];
    await runner.forward({ ids, spans, logitsRows: [CHUNK - 1] });
    all.push(runner.logits(0).slice());
  }
  runner.dispose();
  return all;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** One of wasm's is enough: all share these angles. */
const [backend] = BACKENDS;

const plain = await logitsOf(await open(reference, null));

describe.each(Object.entries(SCALINGS))("rope scaling %s", (name, scaling) => {
  test(`is the reference's up to position ${LENGTH}`, async () => {
    const expected = await logitsOf(await open(reference, scaling));
    const found = await logitsOf(await open(backend.create, scaling));
    found.forEach((logits, i) => {
      expect(largestDifference(logits, expected[i])).toBeLessThan(5e-5);
    });
    // Far enough to matter: without it the last logits are others.
    const effect = largestDifference(expected[expected.length - 1], plain[plain.length - 1]);
    if (name !== "none") expect(effect).toBeGreaterThan(1);
  });
});
