/**
 * Whether a text that a schema names is one of its patterns': by our own automata, which take a step a byte, where
 * the runtime's regular expressions may try exponentially many ways.
 */
import { PronkError } from "../errors.ts";
import { compileGrammar } from "./compile-grammar.ts";
import { parseRegex, type RegexOptions } from "./parse-regex.ts";
import { enter, Frame, type Position, step } from "./stacks.ts";

/** Of names times patterns, and beside them what a pattern takes to compile: a tenth of a second. */
const MAX_BYTES = 20_000;
const PATTERN_BYTES = 200;

/** What one schema may still have tested. */
let left = Number.POSITIVE_INFINITY;

/** Tests within `compile` are bounded in all. */
export function withFewTests<Result>(compile: () => Result): Result {
  left = MAX_BYTES;
  tests.clear();
  try {
    return compile();
  } finally {
    left = Number.POSITIVE_INFINITY;
    tests.clear();
  }
}

/** By parameter and pattern; undefined: no text is one of it. */
const tests: Map<string, Position | undefined> = new Map();

/**
 * Whether some part of the text is of the pattern, as RegExp's test() has it.
 *
 * @throws PronkError "bad_request" for a pattern that parseRegex refuses; "unsupported" for too many tests.
 */
export function isOfPattern(text: string, pattern: string, param: string): boolean {
  const key = `${param}\n${pattern}`;
  if (!tests.has(key)) {
    spend(PATTERN_BYTES + pattern.length, param);
    tests.set(key, startOf(pattern, { match: "anywhere", param }));
    // Outside of withFewTests nobody clears it.
    if (left === Number.POSITIVE_INFINITY && tests.size > 1) tests.delete([...tests.keys()][0]!);
  }
  let position = tests.get(key);
  if (position === undefined) return false;
  const bytes = new TextEncoder().encode(text);
  spend(bytes.length, param);
  for (const byte of bytes) position = step(position, byte);
  return position.complete;
}

function startOf(pattern: string, options: RegexOptions): Position | undefined {
  const nothing = "pattern: no text has it";
  const rules = new Map([["pattern", parseRegex(pattern, options)]]);
  try {
    return enter(compileGrammar({ start: "pattern", rules, nothing }).start, Frame.bottom());
  } catch (error) {
    if (error instanceof PronkError && error.message === nothing) return undefined;
    throw error;
  }
}

function spend(bytes: number, param: string): void {
  left -= bytes;
  if (left >= 0) return;
  const found = `more than ${MAX_BYTES} bytes of names and patterns that have to be compared`;
  throw new PronkError("unsupported", `schema: ${param}: ${found}`, { param: "schema" });
}
