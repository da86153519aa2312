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
