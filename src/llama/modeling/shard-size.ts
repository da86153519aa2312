import { PronkError } from "../../errors.ts";

/** Of huggingface_hub: powers of ten; and those that transformers had before, of two. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
  ["KIB", 2 ** 10],
  ["MIB", 2 ** 20],
  ["GIB", 2 ** 30],
  ["TIB", 2 ** 40],
]);

/** `max_shard_size` in bytes: a number, or `"5GB"`. @throws PronkError "bad_request". */
export function parseShardSize(size: number | string): number {
  if (typeof size === "number") {
    if (size > 0) return size;
  } else {
    const [, count, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]I?B)\s*$/i.exec(size) ?? [];
    const bytes = Number(count) * (UNITS.get(unit?.toUpperCase() ?? "") ?? Number.NaN);
    if (bytes > 0) return Math.floor(bytes);
  }
  throw new PronkError("bad_request", `max_shard_size: ${size} is no size such as "5GB"`, {
    param: "max_shard_size",
  });
}
