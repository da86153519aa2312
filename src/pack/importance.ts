/** What an error of a weight costs: how large the activations are that it is multiplied by. */
import { PronkError } from "../errors.ts";
import type { PackEntry } from "./image-plan.ts";
import { isSearchable } from "./panels/row-packer.ts";

/** By a matrix's name, the mean square of each column's activations: (cols,). */
export type Importance = ReadonlyMap<string, Float32Array>;

/** @throws PronkError "bad_request" when no matrix would use importance. */
export function checkUsesImportance(entries: readonly PackEntry[]): void {
  if (entries.some(usesImportance)) return;
  throw new PronkError(
    "bad_request",
    "importance: no matrix is quantized anew to 4 or 6 bits, so nothing would use it; " +
      "that takes F32, F16, BF16 or 8-bit weights and quantization q4, or the small profile, or q4s",
    { param: "importance" },
  );
}

/** The entries, with the importance of those whose scales it can guide. */
export function withImportance(
  entries: readonly PackEntry[],
  importance: Importance,
): readonly PackEntry[] {
  return entries.map((entry) =>
    usesImportance(entry) ? { ...entry, importance: importance.get(entry.name) } : entry,
  );
}

function usesImportance({ form, tensor }: PackEntry): boolean {
  return form !== "vector" && isSearchable(tensor.type, form);
}
