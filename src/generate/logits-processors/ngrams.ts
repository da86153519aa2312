/** No n-gram twice. */
import {
  inPython,
  invalid,
  isCount,
  type LogitsProcessor,
  mapRows,
  type ScoreRows,
  type TokenRows,
} from "./logits-processor.ts";

/** Bans each token that would complete an n-gram which the row already has. */
export class NoRepeatNGramLogitsProcessor implements LogitsProcessor {
  readonly ngram_size: number;

  constructor(ngram_size: number) {
    if (!isCount(ngram_size, 1)) {
      throw invalid(
        "ngram_size",
        `\`ngram_size\` has to be a strictly positive integer, but is ${inPython(ngram_size)}`,
      );
    }
    this.ngram_size = ngram_size;
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row, index) => {
      ban(row, input_ids[index], input_ids[index], this.ngram_size);
    });
  }
}

/** Bans each token that would complete an n-gram of the prompt. */
export class EncoderNoRepeatNGramLogitsProcessor implements LogitsProcessor {
  readonly ngram_size: number;
  readonly encoder_input_ids: TokenRows;

  constructor(encoder_ngram_size: number, encoder_input_ids: TokenRows) {
    if (!isCount(encoder_ngram_size, 1)) {
      throw invalid(
        "encoder_ngram_size",
        `\`encoder_ngram_size\` has to be a strictly positive integer, but is ${inPython(encoder_ngram_size)}`,
      );
    }
    this.ngram_size = encoder_ngram_size;
    this.encoder_input_ids = encoder_input_ids;
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const beams = Math.floor(scores.length / this.encoder_input_ids.length);
    return mapRows(scores, (row, index) => {
      const source = this.encoder_input_ids[Math.floor(index / beams)];
      ban(row, input_ids[index], source, this.ngram_size);
    });
  }
}

/** Bans what follows, in `source`, the last size - 1 ids of `ids`. */
function ban(
  row: Float32Array,
  ids: readonly number[],
  source: readonly number[],
  size: number,
): void {
  const start = ids.length + 1 - size;
  if (start < 0) return;
  for (let at = 0; at + size <= source.length; at++) {
    let equal = 0;
    while (equal < size - 1 && source[at + equal] === ids[start + equal]) equal++;
    if (equal === size - 1) row[source[at + equal]] = Number.NEGATIVE_INFINITY;
  }
}
