import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type Candidates,
  createCandidates,
  fillCandidates,
  findCut,
} from "../../../src/generate/candidates.ts";
import {
  applyTemperature,
  biasLogits,
  keepMinP,
  keepTopK,
  keepTopP,
  keepTypical,
  penalizeCounts,
  penalizeRepetition,
} from "../../../src/generate/processors.ts";
import { uniformAt } from "../../../src/generate/random.ts";
import { topPReference } from "./top-p-reference.ts";

interface Golden {
  name: string;
  class: string;
  params: Partial<Record<string, number>>;
  input_ids: number[][];
  scores: (number | string)[][];
  out: (number | string)[][];
}

interface OpenAiGolden {
  presence_penalty: number;
  frequency_penalty: number;
  logit_bias: Record<string, number>;
  generated_ids: number[];
  scores: number[];
  out: number[];
}

const path = new URL("../../goldens/processors/processors.json", import.meta.url);
const goldens: { cases: Golden[]; openai_penalties: OpenAiGolden[] } = JSON.parse(
  readFileSync(path, "utf8"),
);

/** What the sampler has of the reference's classes, and the options that requests can set. */
const OPTIONS: Record<string, readonly string[]> = {
  TemperatureLogitsWarper: ["temperature"],
  TopKLogitsWarper: ["top_k"],
  TopPLogitsWarper: ["top_p"],
  MinPLogitsWarper: ["min_p"],
  TypicalLogitsWarper: ["mass"],
  RepetitionPenaltyLogitsProcessor: ["penalty"],
  chain: ["repetition_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p"],
};

const numbers = (row: (number | string)[]): Float32Array =>
  Float32Array.from(row, (x) => (typeof x === "string" ? Number(x.replace("inf", "Infinity")) : x));

function load(scores: ArrayLike<number>): Candidates {
  const candidates = createCandidates(scores.length);
  fillCandidates(candidates, Float32Array.from(scores));
  return candidates;
}

const keptIds = ({ ids, count }: Candidates): number[] => [...ids.subarray(0, count)];

/** As Hugging Face writes it: what was removed is -Infinity. */
function masked({ ids, scores, count }: Candidates, vocab: number): number[] {
  const row = new Array<number>(vocab).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < count; i++) row[ids[i]] = scores[i];
  return row;
}

describe("equals Hugging Face", () => {
  const cases = goldens.cases
    .filter((one) => Object.keys(one.params).every((key) => OPTIONS[one.class]?.includes(key)))
    .filter((one) => one.class in OPTIONS)
    .flatMap((golden) => golden.scores.map((_, row) => ({ title: golden.name, golden, row })));

  test.each(cases)("$title, row $row", ({ golden, row }) => {
    const { temperature, top_k, top_p, min_p } = golden.params;
    const repetition_penalty = golden.params.repetition_penalty ?? golden.params.penalty;
    const scores = numbers(golden.scores[row]);
    if (repetition_penalty !== undefined) {
      penalizeRepetition(scores, countsOf([], golden.input_ids[row]), repetition_penalty);
    }
    const candidates = load(scores);
    if (temperature !== undefined) applyTemperature(candidates, temperature);
    if (top_k !== undefined) keepTopK(candidates, top_k);
    if (top_p !== undefined && top_p < 1) keepTopP(candidates, top_p);
    if (min_p !== undefined) keepMinP(candidates, min_p);
    const typical_p = golden.params.typical_p ?? golden.params.mass;
    if (typical_p !== undefined) keepTypical(candidates, typical_p);

    const found = masked(candidates, scores.length);
    const expected = [...numbers(golden.out[row])];
    // Of equal scores at the border torch keeps any; here the lowest ids stay. The values kept are
    // the same, and without ties so are the places.
    const tied = golden.name.includes("ties");
    expect(tied ? found.toSorted() : found).toEqual(tied ? expected.toSorted() : expected);
  });
});

/** Counts as the sampler keeps them. */
function countsOf(output: readonly number[], prompt: readonly number[]): Map<number, number> {
  const counts = new Map(prompt.map((id) => [id, 0]));
  for (const id of output) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

describe("equals OpenAI's formula", () => {
  test.each(goldens.openai_penalties)(
    "presence $presence_penalty, frequency $frequency_penalty",
    (golden) => {
      const scores = Float32Array.from(golden.scores);
      const counts = countsOf(golden.generated_ids, [0, 1, 2]);
      penalizeCounts(scores, counts, golden.frequency_penalty, golden.presence_penalty);
      biasLogits(
        scores,
        new Map(Object.entries(golden.logit_bias).map(([id, bias]) => [Number(id), bias])),
      );
      // The golden is computed in f64; scores near 100 round to f32 twice here, each by up to 4e-6.
      golden.out.forEach((expected, id) => {
        expect(Math.abs(scores[id] - expected)).toBeLessThanOrEqual(8e-6);
      });
    },
  );
});

test("of equal scores at the border top_p keeps the lowest ids", () => {
  const candidates = load([0, 3, 3, 3, 3, 0]);
  keepTopP(candidates, 0.4);
  expect(keptIds(candidates)).toEqual([1, 2]);
});

test("typical_p 0 keeps the token whose information is nearest to the entropy", () => {
  const candidates = load([0.5, 0.2, 0.15, 0.1, 0.05].map(Math.log));
  keepTypical(candidates, 0);
  expect(keptIds(candidates)).toEqual([1]);
});

test.each([
  ["top_p 0", (c: Candidates) => keepTopP(c, 0)],
  ["top_k 1", (c: Candidates) => keepTopK(c, 1)],
  ["min_p 1", (c: Candidates) => keepMinP(c, 1)],
])("%s keeps the best token", (_, keep) => {
  const candidates = load([-4, 2.5, 7, 1]);
  keep(candidates);
  expect(keptIds(candidates)).toEqual([2]);
});

test("-0 and 0 are equal scores", () => {
  const candidates = load([0, -0, -1, 0]);
  keepTopP(candidates, 0.75);
  expect(keptIds(candidates)).toEqual([0, 1, 3]);
});

/** Shapes of logits: ordinary, coarse (many ties), wide, narrow, with bans. */
const shapes: [string, (u: number, v: number) => number][] = [
  ["ordinary", (u, v) => (u + v - 1) * 20],
  ["full of ties", (u) => Math.round(u * 6)],
  ["wide", (u, v) => (u - 0.5) * 10 ** (v * 8)],
  ["nearly flat", (u) => 5 + u * 1e-5],
  ["with bans", (u, v) => (v < 0.5 ? Number.NEGATIVE_INFINITY : u * 10)],
];

describe.each(shapes)("on %s scores", (_, shape) => {
  const rows = Array.from({ length: 40 }, (__, row) =>
    Float32Array.from({ length: 300 }, (___, i) =>
      shape(uniformAt(5n, 600 * row + i), uniformAt(5n, 600 * row + 300 + i)),
    ),
  );

  test("top_k keeps every score that at most k - 1 others exceed", () => {
    rows.forEach((row, n) => {
      const k = 1 + ((n * 37) % 299);
      const kth = row.toSorted((a, b) => b - a)[k - 1];
      const candidates = load(row);
      keepTopK(candidates, k);
      const expected = [...row.keys()].filter((id) => row[id] >= kth);
      expect(keptIds(candidates)).toEqual(expected);
    });
  });

  test("top_p keeps what a full sort keeps", () => {
    rows.forEach((row, n) => {
      // Not a round number, so that no sum meets it within rounding.
      const p = uniformAt(77n, n);
      const candidates = load(row);
      keepTopP(candidates, p);
      expect(keptIds(candidates)).toEqual(topPReference(row, p));
    });
  });

  test("the cut of a count is the score at that rank", () => {
    for (const row of rows) {
      const sorted = row.toSorted((a, b) => b - a);
      for (const rank of [1, 2, 150, 300]) {
        const cut = findCut(load(row), rank, undefined)!;
        expect(cut.score).toBe(sorted[rank - 1]);
        expect(cut.ties).toBe(rank - sorted.indexOf(cut.score));
      }
      expect(findCut(load(row), 301, undefined)).toBeUndefined();
    }
  });
});

test("a bucket whose parts round to less than its whole is kept to its last member", () => {
  // 0.1 + 0.2 + 0.3 by id, but 0.3 + 0.2 + 0.1 = 0.6 from the best on.
  const candidates = load([1, 1.001, 1.002, -5]);
  const weights = Float64Array.of(0.1, 0.2, 0.3, 1);
  expect(findCut(candidates, 0.1 + 0.2 + 0.3, weights)).toEqual({ score: 1, ties: 1 });
});
