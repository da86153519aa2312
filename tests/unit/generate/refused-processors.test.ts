import { expect, test } from "vitest";
import {
  EpsilonLogitsWarper,
  EtaLogitsWarper,
  TypicalLogitsWarper,
} from "../../../src/generate/logits-processors/entropy-warpers.ts";
import {
  ForcedEOSTokenLogitsProcessor,
  MinLengthLogitsProcessor,
  MinNewTokensLengthLogitsProcessor,
} from "../../../src/generate/logits-processors/length-processors.ts";
import {
  EncoderNoRepeatNGramLogitsProcessor,
  NoRepeatNGramLogitsProcessor,
} from "../../../src/generate/logits-processors/ngrams.ts";
import {
  NoBadWordsLogitsProcessor,
  type SequenceBias,
  SequenceBiasLogitsProcessor,
} from "../../../src/generate/logits-processors/sequence-bias.ts";
import {
  MinPLogitsWarper,
  RepetitionPenaltyLogitsProcessor,
  TemperatureLogitsWarper,
  TopKLogitsWarper,
  TopPLogitsWarper,
} from "../../../src/generate/logits-processors/warpers.ts";

/** As a program without types may give it. */
const untyped = <T>(value: unknown): T => value as T;
const bias = (value: unknown) => () => new SequenceBiasLogitsProcessor(untyped(value));
const words = (value: unknown) => () => new NoBadWordsLogitsProcessor(untyped(value));
const pairs = "Each element in `sequence_bias` has to be a non-empty list of lists of positive";

test.each<[string, string, () => unknown, string]>([
  [
    "min_length",
    "below 0",
    () => new MinLengthLogitsProcessor(-1, 2),
    "`min_length` has to be a non-negative integer, but is -1",
  ],
  [
    "min_length",
    "that is none",
    () => new MinLengthLogitsProcessor(untyped(null), 2),
    "`min_length` has to be a non-negative integer, but is None",
  ],
  [
    "min_new_tokens",
    "of half a token",
    () => new MinNewTokensLengthLogitsProcessor(4, 0.5, 2),
    "`min_new_tokens` has to be a positive integer, but is 0.5",
  ],
  [
    "prompt_length_to_skip",
    "below 0",
    () => new MinNewTokensLengthLogitsProcessor(-2, 3, 2),
    "`prompt_length_to_skip` has to be a positive integer, but is -2",
  ],
  [
    "eos_token_id",
    "of which one is no id",
    () => new ForcedEOSTokenLogitsProcessor(9, [2, -1]),
    "`eos_token_id` has to be a list of positive integers, but is [2, -1]",
  ],
  [
    "min_tokens_to_keep",
    "0",
    () => new MinPLogitsWarper(0.1, { min_tokens_to_keep: 0 }),
    "`min_tokens_to_keep` has to be a positive integer, but is 0",
  ],
  [
    "min_tokens_to_keep",
    "that is a text",
    () => new TopPLogitsWarper(0.1, { min_tokens_to_keep: untyped("3") }),
    "`min_tokens_to_keep` has to be a positive integer, but is '3'",
  ],
  [
    "temperature",
    "that is not a number",
    () => new TemperatureLogitsWarper(Number.NaN),
    "`temperature` (=nan) has to be a strictly positive float, otherwise your next token scores will be invalid.",
  ],
  [
    "top_k",
    "that is a truth",
    () => new TopKLogitsWarper(untyped(true)),
    "`top_k` has to be a strictly positive integer, but is True",
  ],
  [
    "top_k",
    "that is an untruth",
    () => new TopKLogitsWarper(untyped(false)),
    "`top_k` has to be a strictly positive integer, but is False",
  ],
  [
    "top_p",
    "below 0",
    () => new TopPLogitsWarper(-0.5),
    "`top_p` has to be a float > 0 and < 1, but is -0.5",
  ],
  [
    "min_p",
    "without an end",
    () => new MinPLogitsWarper(Number.POSITIVE_INFINITY),
    "`min_p` has to be a float in the [0, 1] interval, but is inf",
  ],
  [
    "min_p",
    "below 0",
    () => new MinPLogitsWarper(Number.NEGATIVE_INFINITY),
    "`min_p` has to be a float in the [0, 1] interval, but is -inf",
  ],
  [
    "typical_p",
    "0",
    () => new TypicalLogitsWarper(0),
    "`typical_p` has to be a float > 0 and < 1, but is 0.0",
  ],
  [
    "epsilon_cutoff",
    "0",
    () => new EpsilonLogitsWarper(0),
    "`epsilon_cutoff` has to be a float > 0 and < 1, but is 0.0",
  ],
  [
    "eta_cutoff",
    "1",
    () => new EtaLogitsWarper(1),
    "`eta_cutoff` has to be a float > 0 and < 1, but is 1.0",
  ],
  [
    "penalty",
    "below 0",
    () => new RepetitionPenaltyLogitsProcessor(-1),
    "`penalty` has to be a strictly positive float, but is -1.0",
  ],
  [
    "prompt_ignore_length",
    "below 0",
    () => new RepetitionPenaltyLogitsProcessor(2, -1),
    "`prompt_ignore_length` has to be a positive integer, but is -1",
  ],
  [
    "ngram_size",
    "of half a token",
    () => new NoRepeatNGramLogitsProcessor(1.5),
    "`ngram_size` has to be a strictly positive integer, but is 1.5",
  ],
  [
    "encoder_ngram_size",
    "0",
    () => new EncoderNoRepeatNGramLogitsProcessor(0, [[1]]),
    "`encoder_ngram_size` has to be a strictly positive integer, but is 0",
  ],
  [
    "sequence_bias",
    "that is no list",
    bias("x"),
    "`sequence_bias` has to be a non-empty dictionary, or non-empty list of lists but is 'x'.",
  ],
  [
    "sequence_bias",
    "with an element that is no pair",
    bias([[[1, 2], 3], [[4]], 5]),
    `${pairs} integers and float, but is [[[1, 2], 3.0], [[4]], 5].`,
  ],
  [
    "sequence_bias",
    "with a sequence of nothing",
    bias([[[], 3]]),
    `${pairs} integers and float, but is [[[], 3.0]].`,
  ],
  [
    "sequence_bias",
    "with ids of which one is none",
    bias([[[1, -2], 3]]),
    `${pairs} integers and float, but is [[[1, -2], 3.0]].`,
  ],
  [
    "sequence_bias",
    "with an id for a sequence",
    bias([[1, 3]]),
    `${pairs} integers and float, but is [[1, 3.0]].`,
  ],
  [
    "sequence_bias",
    "with a bias that is no number",
    bias([[[1], "3"]]),
    `${pairs} integers and float, but is [[[1], '3']].`,
  ],
  [
    "sequence_bias",
    "with a bias of NaN",
    bias([[[1], Number.NaN]]),
    `${pairs} integers and float, but is [[[1], nan]].`,
  ],
  [
    "sequence_bias",
    "with three in an element",
    bias([[[1], 3, 4]]),
    `${pairs} integers and float, but is [[[1], 3, 4]].`,
  ],
  ["bad_words_ids", "that is none", words(undefined), "has to be a non-empty list, but is None."],
  ["bad_words_ids", "with an id", words([[1], 2]), "has to be a list of lists, but is [[1], 2]."],
  [
    "bad_words_ids",
    "with a word of no ids",
    words([[1], []]),
    "Each list in `bad_words_ids` has to be a list of positive integers, but is [[1], []].",
  ],
  [
    "bad_words_ids",
    "with half an id",
    words([[1, 0.5]]),
    "Each list in `bad_words_ids` has to be a list of positive integers, but is [[1, 0.5]].",
  ],
])("%s %s is refused by its name, in the reference's words", (param, _, make, message) => {
  expect(make).toThrow(
    expect.objectContaining({
      code: "bad_request",
      param,
      message: expect.stringContaining(message),
    }),
  );
});

test.each<[string, () => { apply(ids: number[][], scores: Float32Array[]): unknown }]>([
  ["top_p 0", () => new TopPLogitsWarper(0)],
  ["min_p 1", () => new MinPLogitsWarper(1)],
])("%s is no mistake: the best token stays", (_, make) => {
  const row = Float32Array.of(1, 3, 2);
  const none = Number.NEGATIVE_INFINITY;
  expect(make().apply([[0]], [row])).toEqual([Float32Array.of(none, 3, none)]);
});

test("min_p 0 keeps every token", () => {
  const row = Float32Array.of(1, 30, -200);
  expect(new MinPLogitsWarper(0).apply([[0]], [row])).toEqual([row]);
});

test("a length of 0 is no mistake: nothing is banned", () => {
  const row = Float32Array.of(1, 2);
  expect(new MinLengthLogitsProcessor(0, 1).apply([[]], [row])).toEqual([row]);
  expect(new MinNewTokensLengthLogitsProcessor(0, 0, 1).apply([[]], [row])).toEqual([row]);
});

test("an id of 0 is no mistake in sequences and words", () => {
  const none = Number.NEGATIVE_INFINITY;
  const row = Float32Array.of(1, 2);
  const sequences: SequenceBias = [[[0], 2]];
  expect(new SequenceBiasLogitsProcessor(sequences).apply([[1]], [row])).toEqual([
    Float32Array.of(3, 2),
  ]);
  expect(new NoBadWordsLogitsProcessor([[0]]).apply([[1]], [row])).toEqual([
    Float32Array.of(none, 2),
  ]);
});
