/** Bias for tokens and for sequences of tokens; bad words are those with a bias of -Infinity. */
import {
  inPython,
  invalid,
  isCount,
  type LogitsProcessor,
  mapRows,
  pythonFloat,
  type ScoreRows,
  type TokenRows,
} from "./logits-processor.ts";

/** [[ids, bias], ...]: the bias counts for the last id where the others precede it. */
export type SequenceBias = readonly (readonly [readonly number[], number])[];

/** Adds the bias of each sequence to its last token, where the row ends with the others. */
export class SequenceBiasLogitsProcessor implements LogitsProcessor {
  readonly sequence_bias: SequenceBias;

  constructor(sequence_bias: SequenceBias) {
    if (!Array.isArray(sequence_bias) || sequence_bias.length === 0) {
      throw invalid(
        "sequence_bias",
        `\`sequence_bias\` has to be a non-empty dictionary, or non-empty list of lists but is ${inPython(sequence_bias)}.`,
      );
    }
    if (!sequence_bias.every(isPair)) {
      const found = sequence_bias.map((pair) =>
        Array.isArray(pair) && pair.length === 2
          ? `[${inPython(pair[0])}, ${pythonFloat(pair[1])}]`
          : inPython(pair),
      );
      throw invalid(
        "sequence_bias",
        `Each element in \`sequence_bias\` has to be a non-empty list of lists of positive integers and float, but is [${found.join(", ")}].`,
      );
    }
    // As keys of a dictionary: the last bias of a sequence counts.
    const bySequence = new Map(sequence_bias.map((pair) => [pair[0].join(), pair] as const));
    this.sequence_bias = [...bySequence.values()];
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return addBias(this.sequence_bias, input_ids, scores);
  }
}

/** Bans sequences; one that is just an end token is left alone. */
export class NoBadWordsLogitsProcessor implements LogitsProcessor {
  readonly bad_words_ids: TokenRows;

  constructor(bad_words_ids: TokenRows, eos_token_id?: number | readonly number[]) {
    const found = inPython(bad_words_ids);
    if (!Array.isArray(bad_words_ids) || bad_words_ids.length === 0) {
      throw invalid(
        "bad_words_ids",
        `\`bad_words_ids\` has to be a non-empty list, but is ${found}.`,
      );
    }
    if (!bad_words_ids.every(Array.isArray)) {
      throw invalid(
        "bad_words_ids",
        `\`bad_words_ids\` has to be a list of lists, but is ${found}.`,
      );
    }
    if (!bad_words_ids.every((ids) => ids.length > 0 && ids.every((id) => isCount(id, 0)))) {
      throw invalid(
        "bad_words_ids",
        `Each list in \`bad_words_ids\` has to be a list of positive integers, but is ${found}.`,
      );
    }
    const ends = eos_token_id === undefined ? [] : [eos_token_id].flat();
    this.bad_words_ids = bad_words_ids.filter(
      (ids) => !(ids.length === 1 && ends.includes(ids[0])),
    );
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const bias = this.bad_words_ids.map((ids) => [ids, Number.NEGATIVE_INFINITY] as const);
    return addBias(bias, input_ids, scores);
  }
}

function isPair(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const [ids, bias] = pair;
  // Id 0 too: the reference refuses it in lists and takes it in dictionaries.
  return (
    Array.isArray(ids) &&
    ids.length > 0 &&
    ids.every((id) => isCount(id, 0)) &&
    typeof bias === "number" &&
    !Number.isNaN(bias)
  );
}

function addBias(sequences: SequenceBias, input_ids: TokenRows, scores: ScoreRows): ScoreRows {
  return mapRows(scores, (row, index) => {
    const ids = input_ids[index];
    // The biases are added up first, in f32, those of single tokens before the others.
    const sums = new Map<number, number>();
    for (const single of [true, false]) {
      for (const [sequence, bias] of sequences) {
        if ((sequence.length === 1) !== single) continue;
        const last = sequence[sequence.length - 1];
        if (last >= row.length || sequence.some((id) => id >= row.length)) {
          throw invalid(
            "sequence_bias",
            `The model vocabulary size is ${row.length}, but the following tokens were being biased: ${inPython(sequence.filter((id) => id >= row.length))}`,
          );
        }
        if (!endsWith(ids, sequence)) continue;
        sums.set(last, Math.fround((sums.get(last) ?? 0) + Math.fround(bias)));
      }
    }
    for (const [id, bias] of sums) row[id] = row[id] + bias;
  });
}

/** Whether `ids` ends with all of `sequence` but its last; the whole of it has to fit, too. */
function endsWith(ids: readonly number[], sequence: readonly number[]): boolean {
  const prefix = sequence.length - 1;
  if (prefix === 0) return true;
  if (sequence.length > ids.length) return false;
  for (let i = 0; i < prefix; i++) {
    if (ids[ids.length - prefix + i] !== sequence[i]) return false;
  }
  return true;
}
