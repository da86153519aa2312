/** The code points of a Unicode property, as the runtime's own regular expressions know it. */
import { type CodePointRanges, LAST_CODE_POINT } from "./expression.ts";

/** Each takes some 60 ms to find: there are a few dozen that patterns use. */
const known: Map<string, CodePointRanges> = new Map();
const MAX_KNOWN = 64;

/** @param name `L`, `Script=Greek`; undefined for one that does not exist */
export function unicodeProperty(name: string): CodePointRanges | undefined {
  const before = known.get(name);
  if (before !== undefined) return before;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    return undefined;
  }
  const ranges: [number, number][] = [];
  for (let code = 0; code <= LAST_CODE_POINT; code++) {
    if (!pattern.test(String.fromCodePoint(code))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === code - 1) last[1] = code;
    else ranges.push([code, code]);
  }
  if (known.size < MAX_KNOWN) known.set(name, ranges);
  return ranges;
}
