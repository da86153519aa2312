/**
 * Overrides over a configuration: mappings are merged key by key, everything else is replaced.
 * `_del_: [key]` drops keys first, `_set_: {key: value}` replaces whole values last.
 *
 * Source: fairseq2/utils/config.py (0.8.1), StandardConfigMerger.
 */
import { PronkError } from "../../errors.ts";

export type Mapping = Readonly<Record<string, unknown>>;

/** @throws PronkError "bad_format" on directives of the wrong type. */
export function mergeConfig(
  target: Mapping,
  overrides: Mapping,
  where: string,
): Record<string, unknown> {
  const dropped = overrides._del_ ?? [];
  if (!Array.isArray(dropped) || dropped.some((key) => typeof key !== "string")) {
    throw new PronkError("bad_format", `${where}: _del_: not a list of names`);
  }
  const replaced = overrides._set_ ?? {};
  if (!isMapping(replaced)) throw new PronkError("bad_format", `${where}: _set_: not a mapping`);

  const merged = new Map(Object.entries(target).filter(([key]) => !dropped.includes(key)));
  for (const [key, value] of Object.entries(overrides)) {
    if (key === "_del_" || key === "_set_") continue;
    const found = merged.get(key);
    merged.set(
      key,
      isMapping(value) ? mergeConfig(isMapping(found) ? found : {}, value, where) : value,
    );
  }
  for (const [key, value] of Object.entries(replaced)) merged.set(key, value);
  // Defines properties, so that a key called __proto__ is one like any other.
  return Object.fromEntries(merged);
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
