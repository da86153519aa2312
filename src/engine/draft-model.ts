/**
 * A smaller model that proposes what a larger one may say next: greedy, in slots of its own, one for
 * each slot of the target, on the same tokens.
 */
import type { Span } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { PlannedSpan } from "./batch-planner.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { Sequence } from "./sequence.ts";

export interface DraftJob {
  readonly span: PlannedSpan;
  /** Proposals that are wanted. */
  readonly count: number;
}

/** What the draft's cache holds for a slot of the target. */
interface DraftSlot {
  readonly ids: Int32Array;
  length: number;
  /** For whom they were read: others' time says nothing of them. */
  salt: string | undefined;
  /** Whose tokens they are; the first `agreed` were compared. */
  sequence: Sequence | undefined;
  agreed: number;
  /** Context shifts of the sequence when they were compared. */
  shifts: number;
}

/** A job that is being run. */
interface Draft extends DraftJob {
  readonly index: number;
  readonly slot: DraftSlot;
  readonly sequence: Sequence;
  readonly proposals: number[];
}

/** Weight of the newest measurement of a step. */
const NEWEST = 0.1;

export class DraftModel {
  readonly #model: LoadedModel;
  readonly #vocab: number;
  readonly #slots: DraftSlot[];
  readonly #now: () => number;
  /** Bytes of weights by the target's: what a step costs where clocks stand still. */
  readonly #size: number;
  #stepMs = 0;

  /**
   * @throws PronkError "bad_request" when the two models do not have the same tokens, or the draft
   *   has fewer slots.
   */
  constructor(model: LoadedModel, target: LoadedModel, now: () => number) {
    const { runner, tokenizer, info } = model;
    requireSameTokens(model, target);
    if (runner.slots < target.runner.slots) {
      throw refused(info.id, `it has ${runner.slots} slots, the model ${target.runner.slots}`);
    }
    this.#model = model;
    this.#vocab = Math.min(tokenizer.vocabSize, target.runner.vocab);
    this.#now = now;
    this.#size = runner.memory.weights / Math.max(1, target.runner.memory.weights);
    this.#slots = Array.from({ length: runner.slots }, () => ({
      ids: new Int32Array(runner.ctx),
      length: 0,
      salt: undefined,
      sequence: undefined,
      agreed: 0,
      shifts: 0,
    }));
  }

  /** Of one proposal, in batches of one row of the target, which take `targetMs`; 0: not known. */
  stepCost(targetMs: number): number {
    return this.#stepMs > 0 && targetMs > 0 ? this.#stepMs / targetMs : this.#size;
  }

  /**
   * Fills in the spans' proposals: none while the draft still reads what came before, which it does
   * a batch at a time so that nobody waits for it.
   */
  async run(jobs: readonly DraftJob[]): Promise<void> {
    const { runner } = this.#model;
    const drafts = jobs.flatMap((job) => this.#begin(job)).slice(0, runner.maxLogits);
    const behind = drafts.filter(({ slot, sequence }) => sequence.length - slot.length > 1);
    const reading = behind.find(
      ({ slot, sequence }) => sequence.length - slot.length > runner.maxRows,
    );
    if (reading !== undefined) {
      await this.#forward([reading], runner.maxRows);
      return;
    }
    // Those that fit one batch; the others are without proposals this time.
    let rows = 0;
    let going = drafts.filter(({ slot, sequence }) => {
      rows += sequence.length - slot.length;
      return rows <= runner.maxRows;
    });
    while (going.length > 0) {
      const started = this.#now();
      const isStep = going.every((draft) => waiting(draft) === 1);
      await this.#forward(going, runner.maxRows);
      going.forEach((draft, i) => {
        const token = runner.chooser?.chosen(i)[0] ?? runner.argmax(i);
        draft.proposals.push(token >= 0 && token < this.#vocab ? token : -1);
      });
      const ms = this.#now() - started;
      if (isStep && ms > 0) this.#stepMs += (this.#stepMs === 0 ? 1 : NEWEST) * (ms - this.#stepMs);
      going = going.filter(
        ({ proposals, count, slot }) =>
          proposals.length < count && proposals.at(-1) !== -1 && slot.length < runner.ctx,
      );
    }
    for (const { span, proposals } of drafts) span.proposals = proposals.filter((id) => id >= 0);
  }

  dispose(): void {
    this.#model.runner.dispose();
  }

  /** Finds what the draft's cache has of the sequence already; nothing where it has no room. */
  #begin(job: DraftJob): Draft[] {
    const { sequence, index } = job.span.slot;
    const slot = this.#slots[index];
    if (sequence === undefined || sequence.length > slot.ids.length) return [];
    if (slot.sequence !== sequence || slot.shifts !== sequence.shifts) {
      if (slot.salt !== sequence.adapters.salt) slot.length = 0;
      slot.salt = sequence.adapters.salt;
      slot.sequence = sequence;
      slot.shifts = sequence.shifts;
      slot.agreed = 0;
    }
    const most = Math.min(slot.length, sequence.length - 1);
    let agreed = Math.min(slot.agreed, most);
    while (agreed < most && slot.ids[agreed] === sequence.ids[agreed]) agreed++;
    slot.agreed = agreed;
    slot.length = agreed;
    return [{ ...job, index, slot, sequence, proposals: [] }];
  }

  /** Runs what each has and its cache has not, `maxRows` at most. */
  async #forward(drafts: readonly Draft[], maxRows: number): Promise<void> {
    const ids: number[] = [];
    const spans: Span[] = [];
    const logitsRows: number[] = [];
    for (const draft of drafts) {
      const { slot, sequence, proposals, index } = draft;
      const start = slot.length;
      const count = Math.min(waiting(draft), maxRows);
      for (let at = start; at < start + count; at++) {
        const id = at < sequence.length ? sequence.ids[at] : proposals[at - sequence.length];
        slot.ids[at] = id;
        ids.push(id);
      }
      spans.push({ slot: index, start, count });
      logitsRows.push(ids.length - 1);
      slot.length = start + count;
    }
    const { runner } = this.#model;
    const choices = runner.chooser && logitsRows.map(() => ({ kind: "argmax" }) as const);
    await runner.forward({ ids, spans, logitsRows, ...(choices && { choices }) });
  }
}

function waiting({ slot, sequence, proposals }: Draft): number {
  return sequence.length + proposals.length - slot.length;
}

/** @throws PronkError "bad_request" naming the first difference. */
function requireSameTokens(draft: LoadedModel, target: LoadedModel): void {
  const [theirs, ours] = [draft.tokenizer, target.tokenizer];
  if (theirs.vocabSize !== ours.vocabSize) {
    const sizes = `${theirs.vocabSize} tokens, the model ${ours.vocabSize}`;
    throw refused(draft.info.id, `it has ${sizes}; it needs the same tokenizer`);
  }
  for (let id = 0; id < ours.vocabSize; id++) {
    if (isSame(theirs, ours, id)) continue;
    throw refused(draft.info.id, `its token ${id} is another one; it needs the same tokenizer`);
  }
}

function isSame(a: Tokenizer, b: Tokenizer, id: number): boolean {
  if (a.isSpecial(id) !== b.isSpecial(id)) return false;
  const [x, y] = [a.tokenBytes(id), b.tokenBytes(id)];
  return x.length === y.length && x.every((byte, i) => byte === y[i]);
}

function refused(id: string, why: string): PronkError {
  return new PronkError("bad_request", `draft ${id}: ${why}`, {
    param: "speculate",
  });
}
