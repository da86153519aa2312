/** A state dict under other names: which of its keys are which of Hugging Face's tensors. */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";

/** Replaces a pattern that matches the whole key; `$1` is the layer's number. */
export type KeyMap = readonly (readonly [pattern: RegExp, name: string])[];

/**
 * The keys by their new names. A key that `ignored` matches is left out.
 *
 * @throws PronkError "unsupported" on a key that is of none of these: a weight that would be lost.
 */
export function renameKeys(
  keys: Iterable<string>,
  map: KeyMap,
  ignored: RegExp,
  where: string,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const key of keys) {
    if (ignored.test(key)) continue;
    const row = map.find(([pattern]) => pattern.test(key));
    if (row === undefined) {
      const what = `${where}: tensor ${printable(key)} belongs to no Llama`;
      throw new PronkError("unsupported", what);
    }
    names.set(key.replace(...row), key);
  }
  return names;
}
