import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createCandidates } from "../../../src/generate/candidates.ts";
import { uniformAt } from "../../../src/generate/random.ts";
import { createSampler, type SeededSampling } from "../../../src/generate/sampler.ts";

const VOCAB = 500;

function sampler(options: SeededSampling, prompt: number[] = []) {
  return createSampler(options, prompt, () => createCandidates(VOCAB));
}

const row = (n: number): Float32Array =>
  Float32Array.from({ length: VOCAB }, (_, i) => (uniformAt(3n, n * VOCAB + i) - 0.5) * 16);

/** `length` tokens, each from other logits. */
function run(options: SeededSampling, prompt: number[] = [], length = 200): number[] {
  const { sample, accept } = sampler(options, prompt);
  return Array.from({ length }, (_, n) => {
    const id = sample(row(n), n);
    accept(id);
    return id;
  });
}

test("the same seed gives the same tokens, another seed others", () => {
  expect(run({ seed: 1 })).toEqual(run({ seed: 1 }));
  expect(run({ seed: 1 })).not.toEqual(run({ seed: 2 }));
});

test("tokens of a seed are the ones that were released", () => {
  const ids = [
    ...run({ seed: 1 }),
    ...run({ seed: 2, temperature: 0.7, top_k: 40, top_p: 0.9, min_p: 0.01 }),
    ...run({ seed: -3, temperature: 1.5, top_p: 0.95, repetition_penalty: 1.2 }, [1, 2, 3]),
    ...run({
      seed: 4,
      frequency_penalty: 1,
      presence_penalty: -0.5,
      logit_bias: new Map([[9, 3]]),
    }),
  ];
  const digest = createHash("sha256").update(Int32Array.from(ids)).digest("hex");
  expect(digest).toBe("3a270c3ddcbdca7d9bf297a891445092e7b387c716e7d607087c42e145bbd9be");
});

test("a draw depends on the seed and the index alone, not on earlier draws", () => {
  const { sample } = sampler({ seed: 8 });
  const forward = [0, 1, 2, 3].map((n) => sample(row(n), n));
  const backward = [3, 2, 1, 0].map((n) => sample(row(n), n)).reverse();
  expect(backward).toEqual(forward);
});

test("does not change the logits", () => {
  const logits = row(0);
  const { sample } = sampler(
    { seed: 1, temperature: 0.5, top_k: 3, repetition_penalty: 2 },
    [1, 2],
  );
  sample(logits, 0);
  expect(logits).toEqual(row(0));
});

test("draws tokens as often as their probabilities say", () => {
  const probabilities = [0.5, 0.25, 0.15, 0.1];
  const logits = Float32Array.from(probabilities, (p) => Math.log(p));
  const { sample } = createSampler({ seed: 11 }, [], () => createCandidates(4));
  const counts = [0, 0, 0, 0];
  for (let n = 0; n < 20_000; n++) counts[sample(logits, n)]++;
  counts.forEach((count, id) => {
    const p = probabilities[id];
    // Four standard deviations of a binomial.
    expect(Math.abs(count - 20_000 * p)).toBeLessThan(4 * Math.sqrt(20_000 * p * (1 - p)));
  });
});

test.each<[string, object, number[]]>([
  ["top_k", { top_k: 3 }, [0, 1, 2]],
  ["top_p", { top_p: 0.6 }, [0, 1]],
  ["min_p", { min_p: 0.25 }, [0, 1, 2]],
  ["typical_p", { typical_p: 0.3 }, [1, 2]],
  ["typical_p after top_k", { typical_p: 0.3, top_k: 2 }, [0]],
  ["temperature before top_p", { top_p: 0.6, temperature: 2 }, [0, 1, 2]],
])("draws nothing that %s removes, and all that it leaves", (_, options, kept) => {
  const probabilities = [0.5, 0.2, 0.15, 0.1, 0.05];
  const logits = Float32Array.from(probabilities, (p) => Math.log(p));
  const { sample } = createSampler({ seed: 5, ...options }, [], () => createCandidates(5));
  const drawn = new Set(Array.from({ length: 500 }, (__, n) => sample(logits, n)));
  expect([...drawn].sort()).toEqual(kept);
});

describe("greedy", () => {
  test.each([0, 1e-6])("takes the first of the largest at temperature %s", (temperature) => {
    const logits = Float32Array.of(1, 7, 7, 3);
    const { sample, greedy } = createSampler({ seed: 0, temperature }, [], () =>
      createCandidates(4),
    );
    expect(greedy).toBe(true);
    expect(sample(logits, 0)).toBe(1);
  });

  test.each([
    ["repetition_penalty", { repetition_penalty: 1.1 }],
    ["frequency_penalty", { frequency_penalty: 0.1 }],
    ["presence_penalty", { presence_penalty: -0.1 }],
    ["logit_bias", { logit_bias: new Map([[1, 1]]) }],
    ["a temperature", { temperature: 0.1 }],
  ])("is not plain arg max with %s", (_, options) => {
    expect(sampler({ seed: 0, temperature: 0, ...options }).greedy).toBe(false);
  });

  test("is plain arg max with filters, which keep the best token", () => {
    expect(sampler({ seed: 0, temperature: 0, top_k: 5, top_p: 0.5, min_p: 0.5 }).greedy).toBe(
      true,
    );
  });

  test("applies penalties and bias before the arg max", () => {
    const options = {
      seed: 0,
      temperature: 0,
      presence_penalty: 1,
      logit_bias: new Map([[3, 0.5]]),
    };
    const { sample, accept } = createSampler(options, [], () => createCandidates(4));
    const logits = Float32Array.of(4, 5, 5.2, 4.6);
    const ids: number[] = [];
    for (let n = 0; n < 4; n++) {
      ids.push(sample(logits, n));
      accept(ids[n]);
    }
    // 5.2; then 2 is at 4.2, and 3 at 5.1; then 1 at 5; then all of them lost 1 and 2 leads.
    expect(ids).toEqual([2, 3, 1, 2]);
  });
});

test("repetition_penalty counts the prompt, frequency and presence do not", () => {
  const logits = Float32Array.of(4, 3.9, 0, 0);
  const pick = (options: object): number =>
    createSampler({ seed: 0, temperature: 0, ...options }, [0, 0, 0], () =>
      createCandidates(4),
    ).sample(logits, 0);
  expect(pick({ repetition_penalty: 1.5 })).toBe(1);
  expect(pick({ frequency_penalty: 2, presence_penalty: 2 })).toBe(0);
});

test("frequency_penalty grows with the count, presence_penalty does not", () => {
  const logits = Float32Array.of(5, 3.5, 0, 0);
  const ids = (options: object): number[] => {
    const one = createSampler({ seed: 0, temperature: 0, ...options }, [], () =>
      createCandidates(4),
    );
    return Array.from({ length: 4 }, (_, n) => {
      const id = one.sample(logits, n);
      one.accept(id);
      return id;
    });
  };
  expect(ids({ frequency_penalty: 1 })).toEqual([0, 0, 1, 0]);
  expect(ids({ presence_penalty: 1 })).toEqual([0, 0, 0, 0]);
});

test("a logit bias of -100 bans and of 100 forces", () => {
  expect(new Set(run({ seed: 1, logit_bias: new Map([[77, 100]]) }))).toEqual(new Set([77]));
  const banned = new Map(Array.from({ length: VOCAB - 2 }, (_, id) => [id, -100]));
  expect(Math.min(...run({ seed: 1, logit_bias: banned }))).toBe(VOCAB - 2);
});

test.each([
  ["NaN", Float32Array.of(1, Number.NaN, 2, 3)],
  ["nothing but -Infinity", new Float32Array(4).fill(Number.NEGATIVE_INFINITY)],
  ["Infinity", Float32Array.of(1, Number.POSITIVE_INFINITY, 2, 3)],
])("refuses logits with %s", (_, logits) => {
  for (const options of [{}, { top_p: 0.9 }, { top_k: 2 }, { temperature: 0.5, min_p: 0.1 }]) {
    const { sample } = createSampler({ seed: 1, ...options }, [], () => createCandidates(4));
    expect(() => sample(logits, 0)).toThrow(expect.objectContaining({ code: "engine_failed" }));
  }
});
