/**
 * How likely the token that a match predicts is the one that comes, by how long the match is: learned
 * from every token of a sequence, also from those that were never proposed, so knowing costs nothing.
 */

/** Upper ends of the classes of match lengths; the last has no end. */
const CLASS_ENDS = [2, 3, 4, 6, 8, 12, 16, 24];

/**
 * What is believed before anything is seen, a class each. Too little to act on, even for the longest:
 * text that quotes shows it for nothing, text that only looks like it for a while costs nothing.
 */
const PRIOR = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92];

/** Tokens that the prior weighs as much as. */
const PRIOR_WEIGHT = 4;

/** What was seen counts half as much after some 45 more tokens of its class. */
const KEPT = 0.985;

export class MatchOdds {
  readonly #hits: Float64Array = new Float64Array(PRIOR.length);
  readonly #seen: Float64Array = new Float64Array(PRIOR.length);

  /** A match of `length` tokens predicted the next one: rightly or not. */
  observe(length: number, hit: boolean): void {
    const at = classOf(length);
    this.#hits[at] = this.#hits[at] * KEPT + (hit ? 1 : 0);
    this.#seen[at] = this.#seen[at] * KEPT + 1;
  }

  /** Probability that the token after a match of `length` is the predicted one. */
  next(length: number): number {
    const at = classOf(length);
    return (this.#hits[at] + PRIOR_WEIGHT * PRIOR[at]) / (this.#seen[at] + PRIOR_WEIGHT);
  }
}

function classOf(length: number): number {
  let at = 0;
  while (at < CLASS_ENDS.length && length > CLASS_ENDS[at]) at++;
  return at;
}
