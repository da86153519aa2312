/**
 * Which tokens a batch runs ahead of its sequences, and how many: as many as make it give the most
 * tokens for its time, by what was seen of each sequence and of the runner. Often none.
 *
 * Proposals cannot change what is generated: a token is always chosen from logits that the runner
 * gives for any batch alike, and a proposal only counts when it is the chosen token.
 */
import type { Runner } from "../backends/backend.ts";
import type { BatchCost } from "./batch-cost.ts";
import type { PlannedSpan } from "./batch-planner.ts";
import type { DraftJob, DraftModel } from "./draft-model.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { SpeculationRecord } from "./speculation-record.ts";

/**
 * Where tokens to be run ahead come from: nowhere; the text itself, and the caller's prediction; or
 * these and a smaller model with the same tokens, which the engine then owns as well.
 */
export type Speculate = "off" | "lookup" | { readonly draft: LoadedModel };

/**
 * Tokens ahead at most, of all sequences of a batch together: a batch of 16 rows costs as much as
 * 10 of one row, one of 32 as much as 18, and needs twice the memory for logits.
 */
export const SPECULATED_ROWS = 15;

export interface Speculation {
  readonly speculator: Speculator;
  readonly cost: BatchCost;
  /** After the runner's own. */
  dispose(): void;
}

/** Odds with which a draft model that seemed not to pay is worth another look. */
const HOPEFUL_ODDS = 0.95;

interface Choice {
  /** Proposals. */
  readonly count: number;
  /** Tokens that they are expected to bring. */
  readonly gain: number;
  /** Tokens that would come in the same time without them. */
  readonly price: number;
}

const NONE: Choice = { count: 0, gain: 0, price: 0 };

export class Speculator {
  readonly #runner: Pick<Runner, "maxRows" | "maxLogits" | "ctx">;
  readonly #cost: BatchCost;
  readonly #draft: DraftModel | undefined;
  readonly #odds = new Float64Array(SPECULATED_ROWS);

  constructor(
    runner: Pick<Runner, "maxRows" | "maxLogits" | "ctx">,
    cost: BatchCost,
    draft: DraftModel | undefined,
  ) {
    this.#runner = runner;
    this.#cost = cost;
    this.#draft = draft;
  }

  /** Adds proposals to a batch; a promise only where a draft model is asked. */
  propose(spans: readonly PlannedSpan[]): Promise<void> | undefined {
    // While a prompt is read, the rows that are left are its rows.
    if (spans.some(isOfPrompt)) return undefined;
    let rows = spans.length;
    let tokens = spans.length;
    const jobs: DraftJob[] = [];
    for (const span of spans) {
      const { sequence } = span.slot;
      const room = this.#room(span, rows);
      if (sequence === undefined || room < 1) continue;
      const { record } = sequence;
      const isPaused = record.begin();
      const odds = this.#odds.subarray(0, room);
      const known = sequence.lookup?.expect(odds) ?? 0;
      const least = record.leastGain;
      let best = this.#best(odds.subarray(0, known), rows, tokens, 0, least);
      if (best.count > 0) {
        span.proposals = sequence.lookup?.propose(best.count) ?? [];
        record.bet(best.price, false);
      } else if (this.#draft !== undefined && !isPaused) {
        best = this.#bestDraft(this.#draft, record, odds, rows, tokens);
        if (best.count > 0) jobs.push({ span, count: best.count });
        record.bet(best.price, true);
      }
      rows += best.count;
      tokens += best.gain;
    }
    return jobs.length > 0 ? this.#draft?.run(jobs) : undefined;
  }

  /** Tokens that may be run ahead of a sequence in a batch that has so many rows. */
  #room({ slot }: PlannedSpan, rows: number): number {
    const { maxRows, maxLogits, ctx } = this.#runner;
    const left = slot.sequence === undefined ? 0 : slot.sequence.left;
    return Math.min(
      SPECULATED_ROWS,
      maxRows - rows,
      maxLogits - rows,
      ctx - slot.length - 1,
      left - 1,
    );
  }

  /**
   * The number of proposals that gives the most tokens for the time.
   *
   * @param step what making a proposal costs, in the unit of BatchCost.
   * @param least what proposals have to bring of their price.
   */
  #best(odds: Float64Array, rows: number, tokens: number, step: number, least: number): Choice {
    let best = NONE;
    if (odds.length === 0) return best;
    const now = this.#cost.of(rows);
    let bestRate = tokens / now;
    let gain = 0;
    for (let count = 1; count <= odds.length; count++) {
      gain += odds[count - 1];
      const cost = this.#cost.of(rows + count) + count * step;
      const price = Math.max(0, ((cost - now) * tokens) / now);
      const rate = (tokens + gain) / cost;
      if (rate <= bestRate || gain < least * price) continue;
      bestRate = rate;
      best = { count, gain, price };
    }
    return best;
  }

  #bestDraft(
    draft: DraftModel,
    record: SpeculationRecord,
    odds: Float64Array,
    rows: number,
    tokens: number,
  ): Choice {
    const step = draft.stepCost(this.#cost.unitMs);
    const seen = powers(odds, record.draftOdds);
    const best = this.#best(seen, rows, tokens, step, record.leastGain);
    if (best.count > 0) return best;
    const hoped = this.#best(powers(odds, HOPEFUL_ODDS), rows, tokens, step, 1);
    if (hoped.count > 0) record.try();
    else record.pauseDraft();
    return hoped;
  }
}

/** Whether its sequence has more tokens to be read, or has just got many. */
function isOfPrompt({ slot, count }: PlannedSpan): boolean {
  return count > 1 || (slot.sequence !== undefined && slot.length + count < slot.sequence.length);
}

function powers(out: Float64Array, base: number): Float64Array {
  let all = 1;
  for (let i = 0; i < out.length; i++) out[i] = all *= base;
  return out;
}
