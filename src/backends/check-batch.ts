/** Sizes of a batch are checked once, here: no kernel is reached with others. */
import { PronkError } from "../errors.ts";
import type { Batch, Chooser, RowChoice, Runner } from "./backend.ts";

/**
 * @param sizes columns of the residual stream, and whether there is room for masks
 * @throws PronkError "bad_request" when the batch does not fit the runner.
 */
export function checkBatch(
  batch: Batch,
  runner: Pick<Runner, "vocab" | "ctx" | "slots" | "maxRows" | "maxLogits" | "chooser">,
  { width, masks }: { readonly width: number; readonly masks: boolean },
): void {
  const bad = (why: string): PronkError => new PronkError("bad_request", `batch: ${why}`);
  const rows = batch.ids.length;
  if (rows < 1 || rows > runner.maxRows) throw bad(`${rows} rows, not 1 to ${runner.maxRows}`);
  for (let i = 0; i < rows; i++) {
    const id = batch.ids[i];
    if (!Number.isInteger(id) || id < 0 || id >= runner.vocab) {
      throw bad(`id ${id} of row ${i} is outside the vocabulary of ${runner.vocab}`);
    }
  }
  if (batch.embeds && batch.embeds.length !== rows * width) {
    throw bad(`${batch.embeds.length} numbers of embeddings, not ${rows} x ${width}`);
  }
  let covered = 0;
  const seen = new Set<number>();
  for (const { slot, start, count, positions, visible, probabilities, length = 1 } of batch.spans) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= runner.slots || seen.has(slot)) {
      throw bad(`slot ${slot} of ${runner.slots} does not exist or is given twice`);
    }
    seen.add(slot);
    if (!Number.isInteger(count) || count < 1) throw bad(`slot ${slot}: ${count} rows`);
    if (!Number.isInteger(start) || start < 0 || start + count > runner.ctx) {
      throw bad(`slot ${slot}: positions ${start} to ${start + count} in ${runner.ctx}`);
    }
    checkPositions(slot, count, positions, runner.ctx);
    if ((visible || probabilities) && !masks) {
      throw bad(`slot ${slot}: a mask, and the runner has no room for masks`);
    }
    if (visible && visible.length !== count * (start + count)) {
      throw bad(`slot ${slot}: a mask of ${visible.length}, not ${count} x ${start + count}`);
    }
    if (!Number.isInteger(length) || length < 1) {
      throw bad(`slot ${slot}: a sequence of ${length} tokens`);
    }
    covered += count;
  }
  if (covered !== rows) throw bad(`spans cover ${covered} of ${rows} rows`);
  if (!batch.states && batch.logitsRows.length > runner.maxLogits) {
    throw bad(`${batch.logitsRows.length} rows of logits, at most ${runner.maxLogits}`);
  }
  let previous = -1;
  for (const row of batch.logitsRows) {
    if (!Number.isInteger(row) || row <= previous || row >= rows) throw bad(`logits row ${row}`);
    previous = row;
  }
  checkChoices(batch, runner.chooser);
  checkAhead(batch, runner);
}

function checkChoices({ choices, logitsRows, states }: Batch, chooser: Chooser | undefined): void {
  if (choices === undefined) return;
  const bad = (why: string): PronkError => new PronkError("bad_request", `batch: choices: ${why}`);
  if (chooser === undefined) throw bad("the runner does not choose");
  if (states) throw bad("of states");
  if (choices.length !== logitsRows.length) {
    throw bad(`${choices.length} of ${logitsRows.length} rows`);
  }
  for (const choice of choices) {
    if (choice === undefined || choice.kind === "argmax") continue;
    const { temperature } = choice;
    if (temperature !== undefined && !(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) {
      throw bad(`a temperature of ${temperature}`);
    }
    if (choice.kind === "draw") {
      const { index, seed } = choice;
      if (!Number.isInteger(index) || index < 0 || index > 0xffffffff) throw bad(`draw ${index}`);
      if (seed !== BigInt.asUintN(64, seed)) throw bad(`the seed ${seed} has more than 64 bits`);
    } else if (!Number.isInteger(choice.count) || choice.count < 1 || choice.count > chooser.most) {
      throw bad(`the ${choice.count} largest, it gives 1 to ${chooser.most}`);
    }
  }
}

function checkAhead(
  { ahead = 1, spans, choices, embeds }: Batch,
  { chooser, ctx }: Pick<Runner, "chooser" | "ctx">,
): void {
  if (ahead === 1) return;
  const bad = (why: string): PronkError => new PronkError("bad_request", `batch: ahead: ${why}`);
  const most = chooser?.ahead ?? 1;
  if (!Number.isInteger(ahead) || ahead < 1 || ahead > most)
    throw bad(`${ahead}, not 1 to ${most}`);
  if (embeds) throw bad("of embeddings");
  if (choices?.length !== spans.length || !choices.every(isToken)) throw bad("without a choice");
  for (const { slot, start, count, positions, visible, probabilities, length } of spans) {
    if (count !== 1) throw bad(`slot ${slot}: ${count} rows`);
    const isOther = positions ?? visible ?? probabilities ?? length;
    if (isOther !== undefined) throw bad(`slot ${slot}: places that are not told`);
    if (start + ahead > ctx)
      throw bad(`slot ${slot}: positions ${start} to ${start + ahead} in ${ctx}`);
  }
}

/** Whether nothing but a token is asked. */
export function isToken(choice: RowChoice | undefined): boolean {
  return choice?.kind === "argmax" || (choice?.kind === "draw" && choice.logits !== true);
}

function checkPositions(
  slot: number,
  count: number,
  positions: ArrayLike<number> | undefined,
  ctx: number,
): void {
  if (!positions) return;
  const bad = (why: string): PronkError =>
    new PronkError("bad_request", `batch: slot ${slot}: ${why}`);
  if (positions.length !== count) throw bad(`${positions.length} positions of ${count} rows`);
  for (let i = 0; i < count; i++) {
    const position = positions[i];
    if (!Number.isInteger(position) || position < 0 || position >= ctx) {
      throw bad(`position ${position} in ${ctx}`);
    }
  }
}

/** @throws PronkError "bad_request" for states that the last batch did not give. */
export function checkStates(index: number, count: number, hasStates: boolean): void {
  if (hasStates && Number.isInteger(index) && index >= 0 && index < count) return;
  throw new PronkError("bad_request", `states ${index} of ${hasStates ? count : 0}`);
}
