/** Texts through a classification head: its outputs for their last tokens. */
import { PronkError, throwIfAborted } from "../errors.ts";
import type { ModelInfo } from "./engine.ts";
import type { SlotLoan } from "./slot-lender.ts";
import { commonLength } from "./slots.ts";

/**
 * One text after the other, in one slot. What a text has in common with the one before it, as the pairs of one query have,
 * is computed once.
 *
 * @throws PronkError "engine_failed"; "aborted".
 */
export async function classifyTexts(
  { runner, slot, adapters, run }: SlotLoan,
  texts: readonly (readonly number[])[],
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const outputs: Float32Array[] = [];
  let held: readonly number[] = [];
  for (const ids of texts) {
    // The last token's row is what is asked for.
    const shared = runner.isCutDependent ? 0 : Math.min(commonLength(held, ids), ids.length - 1);
    held = ids;
    for (let start = shared; start < ids.length; start += runner.maxRows) {
      throwIfAborted(signal);
      const part = ids.slice(start, start + runner.maxRows);
      const isLast = start + part.length === ids.length;
      const span = { slot, start, count: part.length, length: ids.length };
      const spans = [adapters && adapters.length > 0 ? { ...span, adapters } : span];
      const logitsRows = isLast ? [part.length - 1] : [];
      await run({ ids: part, spans, logitsRows }, () => {
        if (isLast) outputs.push(runner.logits(0).slice());
      });
    }
  }
  return outputs;
}

/** @throws PronkError "unsupported" for a model that gives texts scores, not tokens. */
export function requireLanguageModel({ id, labels }: ModelInfo): void {
  if (labels === undefined) return;
  throw new PronkError(
    "unsupported",
    `model: ${id} has a classification head: it gives texts scores, and generates none`,
    { param: "model" },
  );
}

/** @throws PronkError "unsupported" for a model that has none. */
export function requireHead({ id, labels }: ModelInfo): void {
  if (labels !== undefined) return;
  throw new PronkError("unsupported", `model: ${id} has no classification head`, {
    param: "model",
  });
}
