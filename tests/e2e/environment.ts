/** What scripts/e2e.mjs prepares: the model's file and its packs, in this environment. */

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run npm run test:e2e`);
  return value;
}

/** SmolLM2-135M-Instruct.Q4_1.gguf. */
export const MODEL_FILE: string = required("PRONK_TEST_MODEL");

/** Directories of the pack in its default form, and in the small one that fits a Worker. */
export const DEFAULT_PACK: string = required("PRONK_TEST_PACK");
export const SMALL_PACK: string = required("PRONK_TEST_SMALL_PACK");

export const QUESTION = "How many days are in a week?";

/** The greedy answer: "A week is approximately 7 days." and the end of the turn. */
export const ANSWER_IDS: readonly number[] = [49, 2605, 314, 4723, 216, 39, 2009, 30, 2];
