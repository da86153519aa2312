/** How proposals did on one sequence: what a draft model's are worth, and what all of them cost. */

/**
 * What proposals cost more than they brought, in tokens, makes the next ones need more of a gain: this
 * share a token. It is forgotten, by half in some 70 batches.
 */
const GAIN_PER_DEBT = 0.1;
const DEBT_KEPT = 0.99;

/** What they brought counts up to here, so that a text that stops repeating is noticed. */
const MOST_CREDIT = 6;

/** What proposals must bring of their price at least: noise in what was measured decides nothing. */
const LEAST_GAIN = 1.1;

/** What is believed of a draft model before it has proposed anything. */
const DRAFT_ODDS = 0.7;

/** Weight of the newest proposal in a draft model's odds. */
const NEWEST = 0.06;

/** Batches until a draft model that did not pay is tried again; doubled each time. */
const FIRST_PAUSE = 16;
const LONGEST_PAUSE = 1024;

export class SpeculationRecord {
  /** Probability that a draft model's proposal is right when those before it are. */
  draftOdds: number = DRAFT_ODDS;
  #debt = 0;
  #price = 0;
  #isDraft = false;
  #isTrial = false;
  #pause = 0;
  #nextPause = FIRST_PAUSE;

  /** What proposals have to bring of their price. */
  get leastGain(): number {
    return LEAST_GAIN + GAIN_PER_DEBT * Math.max(0, this.#debt);
  }

  /** A batch is planned. True when a draft model is to be left out of it. */
  begin(): boolean {
    this.#debt *= DEBT_KEPT;
    if (this.#pause === 0) return false;
    this.#pause--;
    return true;
  }

  /** Proposals were added at this price: tokens that would come in the same time without them. */
  bet(price: number, isDraft: boolean): void {
    this.#price = price;
    this.#isDraft = isDraft;
  }

  /**
   * A draft model does not seem to pay, but may have become better: from now on until it has proposed
   * once, which takes several batches when it has to read first. Then it is left for a while.
   */
  try(): void {
    this.#isTrial = true;
  }

  /** What came of them. */
  settle(proposed: number, accepted: number): void {
    this.#debt = Math.max(-MOST_CREDIT, this.#debt + this.#price - accepted);
    if (!this.#isDraft) return;
    if (this.#isTrial) this.pauseDraft();
    for (let i = 0; i < accepted; i++) this.draftOdds += NEWEST * (1 - this.draftOdds);
    if (accepted < proposed) this.draftOdds -= NEWEST * this.draftOdds;
  }

  /** A draft model is left out for a while, and longer each time. */
  pauseDraft(): void {
    this.#isTrial = false;
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(2 * this.#nextPause, LONGEST_PAUSE);
  }
}
