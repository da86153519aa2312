/** The code points of a Unicode property, as the runtime's own regular expressions know it. */
import { PronkError } from "../errors.ts";
import { type CodePointRanges, LAST_CODE_POINT } from "./expression.ts";

/** Those that were asked for last: there are a few dozen that patterns use, and 2,000 names that they may. */
const known: Map<string, CodePointRanges> = new Map();
const MAX_KNOWN = 64;

/** Each takes some 20 ms to find. */
const MAX_SOUGHT = 20;

/** Those that one grammar may still have looked for. */
let left = Number.POSITIVE_INFINITY;

/** Looking for all properties that there are would take half a minute: `compile` gets twenty that are not known yet. */
export function withFewProperties<Result>(compile: () => Result): Result {
  left = MAX_SOUGHT;
  try {
    return compile();
  } finally {
    left = Number.POSITIVE_INFINITY;
  }
}

/**
 * @param name `L`, `Script=Greek`; undefined for one that does not exist
 * @throws PronkError "bad_request" for one more than a grammar may have.
 */
export function unicodeProperty(name: string): CodePointRanges | undefined {
  const ranges = known.get(name) ?? find(name);
  if (ranges === undefined) return undefined;
  known.delete(name);
  known.set(name, ranges);
  for (const [oldest] of known) if (known.size > MAX_KNOWN) known.delete(oldest);
  return ranges;
}

function find(name: string): CodePointRanges | undefined {
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    return undefined;
  }
  if (left-- <= 0) {
    const found = `\\p{${name}} is one more than the ${MAX_SOUGHT} properties that it may have`;
    throw new PronkError("bad_request", `grammar: ${found}`);
  }
  const ranges: [number, number][] = [];
  for (let code = 0; code <= LAST_CODE_POINT; code++) {
    if (!pattern.test(String.fromCodePoint(code))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === code - 1) last[1] = code;
    else ranges.push([code, code]);
  }
  return ranges;
}
