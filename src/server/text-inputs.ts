/** Texts or ids, one or several, as completions and embeddings take them. */
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** One text, one list of ids, or several of either. */
export type TextInputs = string | number[] | number[][] | string[];

/** The inputs as a list. */
export function inputList(inputs: TextInputs): readonly (string | number[])[] {
  if (typeof inputs === "string") return [inputs];
  return isIds(inputs) ? [inputs] : inputs;
}

function isIds(inputs: number[] | number[][] | string[]): inputs is number[] {
  return typeof inputs[0] === "number";
}

/** Where the p-th input stands in its field. */
export function inputParam(field: string, inputs: TextInputs, p: number): string {
  return typeof inputs === "string" || isIds(inputs) ? field : `${field}[${p}]`;
}

/**
 * BOS is added to text as the model's tokenizer does, never to ids.
 *
 * @param parseSpecial whether special tokens that a text spells out are those tokens.
 * @throws PronkError "bad_request" without a token, and for ids outside the vocabulary.
 */
export function inputIds(
  input: string | number[],
  tokenizer: Tokenizer,
  vocab: number,
  param: string,
  parseSpecial: boolean,
): number[] {
  const ids = typeof input === "string" ? tokenizer.encode(input, { parseSpecial }) : input;
  if (ids.length === 0) {
    throw new PronkError("bad_request", `${param}: expected at least one token`, { param });
  }
  const unknown = ids.findIndex((id) => id >= vocab);
  if (unknown !== -1) {
    const at = `${param}[${unknown}]`;
    throw new PronkError("bad_request", `${at}: ${ids[unknown]} is not below ${vocab}`, {
      param: at,
    });
  }
  return ids;
}
