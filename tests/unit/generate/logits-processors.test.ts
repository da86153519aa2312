import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import {
  EpsilonLogitsWarper,
  EtaLogitsWarper,
  TypicalLogitsWarper,
} from "../../../src/generate/logits-processors/entropy-warpers.ts";
import {
  ExponentialDecayLengthPenalty,
  ForcedBOSTokenLogitsProcessor,
  ForcedEOSTokenLogitsProcessor,
  MinLengthLogitsProcessor,
  MinNewTokensLengthLogitsProcessor,
} from "../../../src/generate/logits-processors/length-processors.ts";
import {
  type LogitsProcessor,
  LogitsProcessorList,
} from "../../../src/generate/logits-processors/logits-processor.ts";
import {
  EncoderNoRepeatNGramLogitsProcessor,
  NoRepeatNGramLogitsProcessor,
} from "../../../src/generate/logits-processors/ngrams.ts";
import {
  NoBadWordsLogitsProcessor,
  SequenceBiasLogitsProcessor,
} from "../../../src/generate/logits-processors/sequence-bias.ts";
import { softmax } from "../../../src/generate/logits-processors/softmax.ts";
import {
  InfNanRemoveLogitsProcessor,
  LogitNormalization,
  PrefixConstrainedLogitsProcessor,
  SuppressTokensAtBeginLogitsProcessor,
  SuppressTokensLogitsProcessor,
} from "../../../src/generate/logits-processors/token-sets.ts";
import {
  EncoderRepetitionPenaltyLogitsProcessor,
  MinPLogitsWarper,
  RepetitionPenaltyLogitsProcessor,
  TemperatureLogitsWarper,
  TopKLogitsWarper,
  TopPLogitsWarper,
} from "../../../src/generate/logits-processors/warpers.ts";

// biome-ignore lint/suspicious/noExplicitAny: parameters of 23 classes, as the golden file has them
type Params = any;

interface Golden {
  name: string;
  class: string;
  params: Params;
  order?: string[];
  input_ids: number[][];
  scores: (number | string)[][];
  out: (number | string)[][];
  probs?: number[][];
}

const path = new URL("../../goldens/processors/processors.json", import.meta.url);
const goldens: {
  cases: Golden[];
  errors: { class: string; params: Params; message: string }[];
} = JSON.parse(readFileSync(path, "utf8"));

const create: Record<string, (params: Params) => LogitsProcessor> = {
  TemperatureLogitsWarper: (p) => new TemperatureLogitsWarper(p.temperature),
  TopKLogitsWarper: (p) => new TopKLogitsWarper(p.top_k, p),
  TopPLogitsWarper: (p) => new TopPLogitsWarper(p.top_p, p),
  MinPLogitsWarper: (p) => new MinPLogitsWarper(p.min_p, p),
  TypicalLogitsWarper: (p) => new TypicalLogitsWarper(p.mass, p),
  EpsilonLogitsWarper: (p) => new EpsilonLogitsWarper(p.epsilon, p),
  EtaLogitsWarper: (p) => new EtaLogitsWarper(p.epsilon, p),
  RepetitionPenaltyLogitsProcessor: (p) =>
    new RepetitionPenaltyLogitsProcessor(p.penalty, p.prompt_ignore_length),
  EncoderRepetitionPenaltyLogitsProcessor: (p) =>
    new EncoderRepetitionPenaltyLogitsProcessor(p.penalty, p.encoder_input_ids),
  NoRepeatNGramLogitsProcessor: (p) => new NoRepeatNGramLogitsProcessor(p.ngram_size),
  EncoderNoRepeatNGramLogitsProcessor: (p) =>
    new EncoderNoRepeatNGramLogitsProcessor(p.encoder_ngram_size, p.encoder_input_ids),
  NoBadWordsLogitsProcessor: (p) => new NoBadWordsLogitsProcessor(p.bad_words_ids, p.eos_token_id),
  SequenceBiasLogitsProcessor: (p) => new SequenceBiasLogitsProcessor(p.sequence_bias),
  MinLengthLogitsProcessor: (p) => new MinLengthLogitsProcessor(p.min_length, p.eos_token_id),
  MinNewTokensLengthLogitsProcessor: (p) =>
    new MinNewTokensLengthLogitsProcessor(
      p.prompt_length_to_skip,
      p.min_new_tokens,
      p.eos_token_id,
    ),
  ForcedBOSTokenLogitsProcessor: (p) => new ForcedBOSTokenLogitsProcessor(p.bos_token_id),
  ForcedEOSTokenLogitsProcessor: (p) =>
    new ForcedEOSTokenLogitsProcessor(p.max_length, p.eos_token_id),
  SuppressTokensLogitsProcessor: (p) => new SuppressTokensLogitsProcessor(p.suppress_tokens),
  SuppressTokensAtBeginLogitsProcessor: (p) =>
    new SuppressTokensAtBeginLogitsProcessor(p.begin_suppress_tokens, p.begin_index),
  ExponentialDecayLengthPenalty: (p) =>
    new ExponentialDecayLengthPenalty(
      p.exponential_decay_length_penalty,
      p.eos_token_id,
      p.input_ids_seq_length,
    ),
  PrefixConstrainedLogitsProcessor: (p) =>
    new PrefixConstrainedLogitsProcessor((batch) => p.allowed_by_batch[batch], p.num_beams),
  LogitNormalization: () => new LogitNormalization(),
  InfNanRemoveLogitsProcessor: () => new InfNanRemoveLogitsProcessor(),
};

/** How the golden file's chains name the arguments of their links. */
const chained = (p: Params): Params => ({ ...p, penalty: p.repetition_penalty, mass: p.typical_p });

const rows = (data: (number | string)[][]): Float32Array[] =>
  data.map((row) =>
    Float32Array.from(row, (x) =>
      typeof x === "string" ? Number(x.replace("inf", "Infinity")) : x,
    ),
  );

describe("equals Hugging Face", () => {
  test.each(goldens.cases)("$name", async (golden) => {
    const names = golden.order ?? [golden.class];
    const params = golden.order ? chained(golden.params) : golden.params;
    const list = new LogitsProcessorList(names.map((name) => create[name](params)));
    const scores = rows(golden.scores);
    const found = await list.apply(golden.input_ids, scores);

    expect(scores, "the input is not changed").toEqual(rows(golden.scores));
    // Which of several equal scores stay at the border of top_p is torch's choice; here the lowest ids.
    const tied = golden.name.includes("ties_top_p");
    rows(golden.out).forEach((expected, row) => {
      if (golden.class === "LogitNormalization") {
        // Of size up to 16, where an f32's neighbours are 1e-6 apart.
        expected.forEach((x, id) => {
          expect(Math.abs(found[row][id] - x)).toBeLessThanOrEqual(2e-6);
        });
      } else if (tied) {
        expect(found[row].toSorted()).toEqual(expected.toSorted());
      } else expect(found[row]).toEqual(expected);
    });
    golden.probs?.forEach((expected, row) => {
      const probabilities = softmax(found[row]);
      expected.forEach((p, id) => {
        expect(Math.abs(probabilities[id] - p)).toBeLessThanOrEqual(2e-7);
      });
    });
  });

  test.each(goldens.errors)("refuses $class $params", ({ class: name, params, message }) => {
    let caught: unknown;
    try {
      create[name](params);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(PronkError);
    expect((caught as PronkError).code).toBe("bad_request");
    expect((caught as PronkError).message).toBe(message);
  });
});

test("of equal scores at the border the lowest ids stay", () => {
  const [row] = new TopPLogitsWarper(0.4).apply([[1]], [Float32Array.of(0, 3, 3, 3, 3, 0)]) as [
    Float32Array,
  ];
  expect([...row].map((score) => Number.isFinite(score))).toEqual([
    false,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("min_p keeps so many tokens as it is told, however unlikely", () => {
  const warper = new MinPLogitsWarper(1, { min_tokens_to_keep: 3 });
  const [row] = warper.apply([[1]], [Float32Array.of(9, 0, 5, 1)]);
  expect([...row]).toEqual([9, Number.NEGATIVE_INFINITY, 5, 1]);
});

test.each([
  ["an id outside the vocabulary", () => new SequenceBiasLogitsProcessor([[[40], 1]])],
  ["a sequence with one", () => new NoBadWordsLogitsProcessor([[40, 1]])],
])("bias for %s is refused when the vocabulary is known", (_, make) => {
  expect(() => make().apply([[1]], [new Float32Array(40)])).toThrow(
    "The model vocabulary size is 40, but the following tokens were being biased: [40]",
  );
});

test("a prefix function that allows nothing is refused", () => {
  const processor = new PrefixConstrainedLogitsProcessor(() => [], 1);
  expect(() => processor.apply([[1]], [new Float32Array(4)])).toThrow("empty list for batch ID 0");
});

test("a forced token outside the vocabulary is refused", () => {
  const processor = new ForcedBOSTokenLogitsProcessor(4);
  expect(() => processor.apply([[1]], [new Float32Array(4)])).toThrow("4 is not an id of the 4");
});

const NONE = Number.NEGATIVE_INFINITY;

test("a forced token outside the vocabulary is refused by its name", () => {
  for (const id of [4, 5]) {
    const processor = new ForcedEOSTokenLogitsProcessor(2, [0, id]);
    expect(() => processor.apply([[1]], [new Float32Array(4)])).toThrow(
      expect.objectContaining({ code: "bad_request", param: "forced_token_id" }),
    );
  }
});

test("an end token that the vocabulary does not have is not banned, and harms nothing", () => {
  const row = Float32Array.of(1, 2, 3);
  const [found] = new MinLengthLogitsProcessor(3, [1, 3, 7]).apply([[0]], [row]);
  expect(found).toEqual(Float32Array.of(1, NONE, 3));
});

test("processors are asked in the order in which they came, also those that came later", async () => {
  const list = new LogitsProcessorList([new TemperatureLogitsWarper(2)]);
  list.push(new TopKLogitsWarper(1));
  const later: LogitsProcessor = {
    apply: async (_, scores) => scores.map((row) => row.map((score) => score + 1)),
  };
  list.push(later);
  expect(list.length).toBe(3);
  expect([...list].at(-1)).toBe(later);
  expect(await list.apply([[0]], [Float32Array.of(4, 6)])).toEqual([Float32Array.of(NONE, 4)]);
  expect(new LogitsProcessorList()).toHaveLength(0);
});

test("eta's cutoff is sqrt(epsilon) e^-entropy where that is less than epsilon", () => {
  // Of 100 tokens as likely as each other the entropy is log 100: the cutoff is sqrt(0.01) / 100, below 0.01.
  const even = new Float32Array(100);
  const unlikely = Float32Array.from(even);
  unlikely[7] = -2;
  unlikely[8] = -2.2;
  const [row] = new EtaLogitsWarper(0.01).apply([[1]], [unlikely]);
  expect([row[7], row[8], row[9]]).toEqual([-2, Math.fround(-2.2), 0]);
  unlikely[8] = -8;
  const [other] = new EtaLogitsWarper(0.01).apply([[1]], [unlikely]);
  expect([other[7], other[8], other[9]]).toEqual([-2, NONE, 0]);
});

test("a token as likely as epsilon stays, and so many of the likeliest as are told", () => {
  const row = Float32Array.of(0, 0, 0, 0);
  expect(new EpsilonLogitsWarper(0.25).apply([[1]], [row])).toEqual([row]);
  const steep = Float32Array.of(1, 9, 3, 2);
  const kept = (min_tokens_to_keep: number) =>
    new EpsilonLogitsWarper(0.5, { min_tokens_to_keep }).apply([[1]], [steep])[0];
  expect(kept(1)).toEqual(Float32Array.of(NONE, 9, NONE, NONE));
  expect(kept(3)).toEqual(Float32Array.of(NONE, 9, 3, 2));
  expect(kept(9)).toEqual(steep);
});

test("filters of one vocabulary are right for another one after it", () => {
  const best = (row: Float32Array) => new TopKLogitsWarper(1).apply([[0]], [row])[0];
  expect(best(Float32Array.of(1, 2, 3, 4))).toEqual(Float32Array.of(NONE, NONE, NONE, 4));
  expect(best(Float32Array.of(2, 1))).toEqual(Float32Array.of(2, NONE));
  expect(best(Float32Array.of(1, 2, 5, 4, 3))).toEqual(Float32Array.of(NONE, NONE, 5, NONE, NONE));
});

test("each beam has its own input's prompt and allowed tokens", () => {
  const rows = () => Array.from({ length: 4 }, () => Float32Array.of(1, 1, 1));
  const ids = [[0], [0], [0], [0]];
  // The prompts are "0 1" and "0 2", each with two beams.
  const ngrams = new EncoderNoRepeatNGramLogitsProcessor(2, [
    [0, 1],
    [0, 2],
  ]);
  const first = Float32Array.of(1, NONE, 1);
  const second = Float32Array.of(1, 1, NONE);
  expect(ngrams.apply(ids, rows())).toEqual([first, first, second, second]);
  const asked: number[] = [];
  new PrefixConstrainedLogitsProcessor((batch) => {
    asked.push(batch);
    return [0];
  }, 2).apply(ids, rows());
  expect(asked).toEqual([0, 0, 1, 1]);
});

test("n-grams longer than the row ban nothing, the last one of the row counts", () => {
  const banned = (ids: number[], size: number) => {
    const [row] = new NoRepeatNGramLogitsProcessor(size).apply([ids], [new Float32Array(5)]);
    return [0, 1, 2, 3, 4].filter((id) => row[id] === NONE);
  };
  expect(banned([1, 2], 4)).toEqual([]);
  expect(banned([1, 1], 2)).toEqual([1]);
  expect(banned([3, 4, 3], 2)).toEqual([4]);
  expect(banned([3, 4, 0], 1)).toEqual([0, 3, 4]);
  expect(banned([1, 2, 3, 1, 2], 3)).toEqual([3]);
  expect(banned([1, 2, 3, 0, 2], 3)).toEqual([]);
});

test("biases of single tokens are added before those of sequences, in f32", () => {
  const processor = new SequenceBiasLogitsProcessor([
    [[1, 2], 1e8],
    [[0, 1, 2], -1e8],
    [[2], 1],
  ]);
  // f32 has no 1e8 + 1: the other order would leave 1.
  expect(processor.apply([[0, 0, 1]], [new Float32Array(3)])[0]).toEqual(Float32Array.of(0, 0, 0));
});

test("a sequence counts only where the row has room for the whole of it", () => {
  // As the reference has it: a row of two ids is too short for a sequence of three, although two of it precede.
  const apply = (ids: number[]) =>
    new SequenceBiasLogitsProcessor([[[3, 4, 2], 5]]).apply([ids], [new Float32Array(5)])[0][2];
  expect(apply([3, 4])).toBe(0);
  expect(apply([0, 3, 4])).toBe(5);
  expect(apply([3, 4, 0])).toBe(0);
});

test("a word that is just an end token is left alone, a longer one and other words are not", () => {
  const bad = new NoBadWordsLogitsProcessor([[1], [2], [0, 1]], 1);
  expect(bad.apply([[3, 0]], [new Float32Array(4)])[0]).toEqual(Float32Array.of(0, NONE, NONE, 0));
  expect(bad.apply([[3, 3]], [new Float32Array(4)])[0]).toEqual(Float32Array.of(0, 0, NONE, 0));
});
