import { describe, expect, test } from "vitest";
import { largestLogits, TOTAL_ERROR } from "../../../src/backends/row-choices.ts";
import { noiseBits } from "../../../src/backends/token-noise.ts";
import { createCandidates } from "../../../src/generate/candidates.ts";
import {
  biasLogits,
  penalizeCounts,
  penalizeRepetition,
} from "../../../src/generate/processors.ts";
import { createSampler, type SeededSampling } from "../../../src/generate/sampler.ts";

const VOCAB = 600;

/** Numbers from 0 to 1. */
function randomly(seed: number): () => number {
  let n = 0;
  return () => noiseBits(seed, 0, n++, 0) / 2 ** 32;
}

type Shape = "peaked" | "flat" | "ties" | "banned";

/** As a model's: some stand out, or few, or many are the same, or cannot come at all. */
function logitsOf(shape: Shape, next: () => number): Float32Array {
  return Float32Array.from({ length: VOCAB }, (_, id) => {
    const normal = next() + next() + next() + next() - 2;
    if (shape === "flat") return normal;
    if (shape === "ties") return Math.round(normal * 6);
    // The first one never: it is what masks leave.
    if (shape === "banned" && id > 0 && next() < 0.5) return Number.NEGATIVE_INFINITY;
    return next() < 0.01 ? 12 + 8 * normal : 5 * normal;
  });
}

const CASES: Record<string, (next: () => number) => Partial<SeededSampling>> = {
  top_k: (next) => ({ top_k: 1 + Math.floor(next() * 50), temperature: 0.3 + next() }),
  top_p: (next) => ({ top_p: next(), temperature: 0.3 + next() }),
  min_p: (next) => ({ min_p: next() ** 3, temperature: 0.3 + next() }),
  "all filters": (next) => ({
    top_k: 1 + Math.floor(next() * 100),
    top_p: 0.5 + next() / 2,
    min_p: next() / 10,
    typical_p: 0.5 + next() / 2,
    temperature: 0.3 + next(),
  }),
  "top_p, penalties and bias": (next) => ({
    top_p: next(),
    ...changes(next),
    temperature: 0.3 + next(),
  }),
  "top_k and penalties": (next) => ({ top_k: 1 + Math.floor(next() * 50), ...changes(next) }),
  "more than are known, and top_p": (next) => ({ top_k: 80 + next() * 300, top_p: next() * 0.9 }),
  "greedy with penalties and bias": (next) => ({ temperature: 0, ...changes(next) }),
  "nothing but penalties": (next) => changes(next),
};

function changes(next: () => number): Partial<SeededSampling> {
  const id = (): number => Math.floor(next() * VOCAB);
  return {
    repetition_penalty: 0.7 + next(),
    frequency_penalty: 2 * next() - 1,
    presence_penalty: 2 * next() - 1,
    logit_bias: new Map([
      [id(), 8 * next() - 4],
      [id(), -100],
    ]),
  };
}

/** Some tokens may come, a few or most. */
function maskOf(next: () => number): { mask(scores: Float32Array): number } {
  const share = next() ** 4;
  const allowed = Array.from({ length: VOCAB }, () => next() < share);
  allowed[0] = true;
  return {
    mask(scores) {
      for (let id = 0; id < VOCAB; id++) if (!allowed[id]) scores[id] = Number.NEGATIVE_INFINITY;
      return allowed.filter((may) => may).length;
    },
  };
}

/** How many percent of the draws the largest tell; each must be that of all logits. */
function told(
  name: string,
  shape: Shape,
  { count = 64, hasMask = false, hasTotal = true, error = 0, draws = 30 },
): number {
  let share = 0;
  for (let seed = 0; seed < draws; seed++) {
    const next = randomly(seed);
    const logits = logitsOf(shape, next);
    const options: SeededSampling = { seed, ...CASES[name]?.(next) };
    const top_k = options.top_k && Math.floor(options.top_k);
    const prompt = Array.from({ length: 20 }, () => Math.floor(next() * VOCAB));
    const mask = hasMask ? maskOf(next) : undefined;
    const scratch = createCandidates(VOCAB);
    const sampler = createSampler(
      { ...options, ...(top_k && { top_k }) },
      prompt,
      () => scratch,
      mask,
    );
    for (let n = 0; n < 10; n++) sampler.accept(Math.floor(next() * VOCAB));
    const all = sampler.sample(logits, 10);
    const temperature = hasTotal ? (options.temperature ?? 1) || 1 : undefined;
    const largest = largestLogits(logits, { count, ...(temperature && { temperature }) });
    const total = largest.total && largest.total * (1 + error * TOTAL_ERROR);
    const known = sampler.choose({ ...largest, total }, 10);
    if (known !== undefined) share++;
    expect([seed, known ?? all]).toEqual([seed, all]);
    expect(sampler.sample(logits, 10)).toBe(all);
  }
  return (100 * share) / draws;
}

const names = Object.keys(CASES);
const shapes: Shape[] = ["peaked", "flat", "ties", "banned"];

describe("the largest logits give the token that all give, or none", () => {
  describe.each(shapes)("%s", (shape) => {
    test.each(names)("%s", (name) => {
      for (const error of [-0.9, 0, 0.9]) told(name, shape, { error });
      for (const count of [1, 2, 7]) told(name, shape, { count });
      told(name, shape, { hasMask: true });
      told(name, shape, { hasMask: true, count: 5 });
      told(name, shape, { hasTotal: false });
    });
  });
});

test.each([
  ["top_k", 100],
  ["min_p", 90],
  ["top_p", 90],
  ["all filters", 90],
  ["top_k and penalties", 60],
  ["top_p, penalties and bias", 65],
  ["more than are known, and top_p", 50],
  ["greedy with penalties and bias", 75],
] as const)(
  "%s: the largest tell %i of 100 tokens and more where few have most of the weight",
  (name, share) => {
    expect(told(name, "peaked", { draws: 100 })).toBeGreaterThanOrEqual(share);
  },
);

test("where a grammar leaves but tokens that are known, they tell a draw among all", () => {
  const logits = logitsOf("peaked", randomly(1));
  const largest = largestLogits(logits, { count: 64, temperature: 1 });
  const mask = (scores: Float32Array): number => {
    for (let id = 0; id < VOCAB; id++) {
      if (![3, 9, 20].some((n) => largest.ids[n] === id)) scores[id] = Number.NEGATIVE_INFINITY;
    }
    return 3;
  };
  const scratch = createCandidates(VOCAB);
  const { choose, sample } = createSampler({ seed: 2 }, [], () => scratch, { mask });
  for (let n = 0; n < 20; n++) expect(choose(largest, n)).toBe(sample(logits, n));
});

test("all logits are the largest, where as many are asked for", () => {
  for (const name of names) {
    if (name === "top_p") continue; // borders that rounding may move are left to all logits
    expect([name, told(name, "peaked", { count: VOCAB })]).toEqual([name, 100]);
  }
});

describe("near a border of top_p", () => {
  /** The share of the weight that the `rank` best tokens have. */
  function shareOf(scores: Float32Array, rank: number): number {
    const weights = Array.from(scores, Math.exp).sort((a, b) => b - a);
    const sum = (some: readonly number[]): number => some.reduce((total, one) => total + one, 0);
    return sum(weights.slice(0, rank)) / sum(weights);
  }

  test.each([
    ["of logits as they are", 1, 0],
    ["of scores, most of them lowered a little", 1.01, 0],
    ["of scores, most of them raised a little", 0.99, 0],
    ["of scores, most of them lowered much", 3, 0],
    ["of scores, some of them raised", 1, -2.5],
    ["of scores, half of them banned", 1, 0],
  ])(
    "%s, the largest tell what all do, or nothing",
    (name, repetition_penalty, presence_penalty) => {
      let compared = 0;
      for (let seed = 0; seed < 120; seed++) {
        const next = randomly(seed);
        const logits = logitsOf(seed % 3 === 0 ? "flat" : "peaked", next);
        const prompt = Array.from({ length: 500 }, () => Math.floor(next() * VOCAB));
        const output = Array.from({ length: 40 }, () => Math.floor(next() * VOCAB));
        const scores = logits.slice();
        const counts = new Map(
          [...prompt, ...output].map((id) => [id, output.includes(id) ? 1 : 0]),
        );
        penalizeRepetition(scores, counts, repetition_penalty);
        penalizeCounts(scores, counts, 0, presence_penalty);
        const banned = name.endsWith("banned") ? prompt.slice(0, 400) : [];
        const logit_bias = new Map(banned.map((id) => [id, -100]));
        biasLogits(scores, logit_bias);
        const rank = 1 + Math.floor(next() * 12);
        const off = (next() < 0.5 ? -1 : 1) * 10 ** (-6 + 4 * next());
        const top_p = Math.min(0.999, shareOf(scores, rank) * (1 + off));
        const scratch = createCandidates(VOCAB);
        const options = { seed, top_p, repetition_penalty, presence_penalty, logit_bias };
        const { choose, sample, accept } = createSampler(options, prompt, () => scratch);
        for (const id of new Set(output)) accept(id);
        const largest = largestLogits(logits, { count: 20, temperature: 1 });
        const total = largest.total && largest.total * (1 + TOTAL_ERROR * (1.8 * next() - 0.9));
        for (let n = 0; n < 40; n++) {
          const known = choose({ ...largest, total }, n);
          if (known === undefined) break;
          expect([seed, n, known]).toEqual([seed, n, sample(logits, n)]);
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(100);
    },
  );
});

/** By weights, of which e^0.1 stands for 1: ids 0 and on. */
function withWeights(
  known: readonly number[],
  unknown: readonly number[],
  raised: ReadonlySet<number>,
) {
  // Those that are lowered have a logit of 0, as high as none of those that are not known.
  const logits = Float32Array.from([...known, ...unknown], (weight, id) =>
    raised.has(id) ? 0 : 0.1 + Math.log(weight),
  );
  const bias = [...raised].map((id) => [id, 0.1 + Math.log(known[id] ?? 1)] as const);
  const largest = largestLogits(logits, { count: known.length, temperature: 1 });
  return { logits, largest, logit_bias: new Map(bias) };
}

test("a border among scores that others may be above is told by all logits only", () => {
  // 1, twenty of 0.5 and one of 0.1 are known; of the other one, 0.8, that it is at most 0.9.
  const lowered = [...new Array<number>(20).fill(0.5), 0.1];
  const ids = new Set(lowered.map((_, i) => i + 1));
  const { largest, logit_bias } = withWeights([1, ...lowered], [0.8], ids);
  const scratch = createCandidates(23);
  const { choose } = createSampler({ seed: 1, logit_bias, top_p: 0.5 }, [], () => scratch);
  expect(choose(largest, 0)).toBeUndefined();
});

test("of top_k's tokens those count for top_p that may be among them", () => {
  // The three best are 1, 0.95 and 0.8, which is not known; twenty of 0.3 are, and are none of them.
  const lowered = new Array<number>(20).fill(0.3);
  const ids = new Set(lowered.map((_, i) => i + 2));
  const { logits, largest, logit_bias } = withWeights([1, 0.95, ...lowered], [0.8], ids);
  for (const top_p of [0.1, 0.2, 0.3]) {
    const scratch = createCandidates(23);
    const options = { seed: 1, logit_bias, top_k: 3, top_p };
    const { choose, sample } = createSampler(options, [], () => scratch);
    for (let n = 0; n < 20; n++) {
      const all = sample(logits, n);
      expect(choose(largest, n) ?? all).toBe(all);
    }
  }
});

test("what is asked depends on the options alone", () => {
  const ask = (options: Partial<SeededSampling>, most = 64) =>
    createSampler({ seed: 5, ...options }, [], () => createCandidates(VOCAB)).ask(7, most);
  expect(ask({ temperature: 0 })).toEqual({ kind: "argmax" });
  expect(ask({})).toEqual({ kind: "draw", temperature: 1, seed: 5n, index: 7 });
  expect(ask({ seed: -1, temperature: 0.5 })).toMatchObject({ seed: 2n ** 64n - 1n });
  expect(ask({ top_p: 0.9 })).toEqual({ kind: "largest", count: 64, temperature: 1 });
  expect(ask({ temperature: 0, presence_penalty: 1 })).toEqual({ kind: "largest", count: 64 });
  expect(ask({ presence_penalty: 1 })).toBeUndefined();
  expect(ask({ typical_p: 0.9 })).toBeUndefined();
  expect(ask({ top_p: 0.9 }, 0)).toBeUndefined();
  const filters: Partial<SeededSampling>[] = [{ top_k: 5 }, { min_p: 0.1 }];
  for (const options of filters) {
    expect(ask(options)).toEqual({ kind: "largest", count: 64, temperature: 1 });
  }
  expect(ask({ temperature: 1e-5 })).toMatchObject({ kind: "draw" });
  expect(ask({ temperature: 0.9e-5 })).toEqual({ kind: "argmax" });
  expect(ask({ logit_bias: new Map() })).toMatchObject({ kind: "draw" });
});

test("with a grammar the largest are asked for, never a token that it may not allow", () => {
  const ask = (options: Partial<SeededSampling>) =>
    createSampler({ seed: 5, ...options }, [], () => createCandidates(VOCAB), {
      mask: () => VOCAB,
    }).ask(7, 64);
  expect(ask({})).toEqual({ kind: "largest", count: 64, temperature: 1 });
  expect(ask({ temperature: 0 })).toEqual({ kind: "largest", count: 64 });
});

test("logits that are not numbers are left to who sees all", () => {
  const { choose } = createSampler({ seed: 1, top_k: 2 }, [], () => createCandidates(4));
  const some = (...logits: number[]) => ({ ids: [0, 1, 2], logits: Float32Array.from(logits) });
  expect(choose(some(Number.NaN, 1, 0), 0)).toBeUndefined();
  expect(choose(some(Number.POSITIVE_INFINITY, 1, 0), 0)).toBeUndefined();
  expect(choose({ ...some(2, 1, 0), total: Number.NaN }, 0)).toBeUndefined();
  expect(choose({ ids: [], logits: new Float32Array(0) }, 0)).toBeUndefined();
  expect(choose(some(2, 1, 0), 0)).toBeLessThan(2);
});
