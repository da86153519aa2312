/**
 * Regular expressions that split text into words, matched here and not by the engine: they come from
 * files, and may be written to backtrack for years. Steps are counted, against what the text's
 * length allows; the Unicode classes are those of Oniguruma and Rust, in each runtime the same.
 */
import { PronkError } from "../errors.ts";
import { isPair } from "./character-class.ts";
import { type CharacterNode, type PatternNode, parsePattern } from "./split-pattern-syntax.ts";
import type { WordScanner } from "./word-patterns.ts";

/** Steps that a text of any length may take, and more for each unit: patterns in use take 3 to 20. */
const FREE_STEPS = 1_000_000;
const STEPS_PER_UNIT = 400;

/** What does not match between two words: a word of its own, or left out. */
export type Gaps = "words" | "dropped";

interface Input {
  text: string;
  end: number;
  credit: number;
}

/** From here on, to the end of the match; -1 when there is none. */
type Matcher = (at: number) => number;

/**
 * The scanner of a pattern in the common syntax of Oniguruma, Rust and Python's regex.
 *
 * With `dropped` it returns the complement (~) of the end of what is no word.
 *
 * @throws PronkError "unsupported" for syntax that is not known; the scanner, "bad_request" for
 *   texts on which the pattern takes too long.
 */
export function splitPattern(pattern: string, gaps: Gaps = "words"): WordScanner {
  const input: Input = { text: "", end: 0, credit: FREE_STEPS };
  const match = compile(parsePattern(pattern), input, (at) => at);
  return (text, start, end) => {
    input.text = text;
    input.end = end;
    for (let at = start; at < end; at += isPair(text, at) ? 2 : 1) {
      const stop = deepMatch(match, at);
      input.credit = Math.min(FREE_STEPS, input.credit + STEPS_PER_UNIT);
      if (stop <= at) continue;
      input.credit = Math.min(FREE_STEPS, input.credit + STEPS_PER_UNIT * (stop - at));
      if (at === start) return stop;
      return gaps === "words" ? at : ~at;
    }
    return gaps === "words" ? end : ~end;
  };
}

/** Each round of a group is some calls within the last one's, and an engine's stack has an end. */
function deepMatch(match: Matcher, at: number): number {
  try {
    return match(at);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const why = "its split pattern nests too deep on this text";
    throw new PronkError("bad_request", `tokenizer: ${why}`, { cause });
  }
}

function spend(input: Input, steps = 1): void {
  input.credit -= steps;
  if (input.credit >= 0) return;
  input.credit = FREE_STEPS;
  throw new PronkError("bad_request", "tokenizer: its split pattern takes too long on this text");
}

/** Continuations: each node matches, then asks the next, and tries again when that fails. */
function compile(node: PatternNode, input: Input, next: Matcher): Matcher {
  switch (node.type) {
    case "character":
      return (at) => {
        const to = step(node, input, at);
        return to < 0 ? -1 : next(to);
      };
    case "sequence":
      return node.items.reduceRight((rest, item) => compile(item, input, rest), next);
    case "choice": {
      const options = node.items.map((item) => compile(item, input, next));
      return (at) => {
        spend(input);
        for (const option of options) {
          const end = option(at);
          if (end >= 0) return end;
        }
        return -1;
      };
    }
    case "look": {
      const inner = compile(node.item, input, (at) => at);
      return (at) => {
        spend(input);
        return inner(at) >= 0 === node.negative ? -1 : next(at);
      };
    }
    case "atomic": {
      const inner = compile(node.item, input, (at) => at);
      return (at) => {
        spend(input);
        const end = inner(at);
        return end < 0 ? -1 : next(end);
      };
    }
    case "anchor":
      return (at) => {
        spend(input);
        return (node.atStart ? at === 0 : at === input.text.length) ? next(at) : -1;
      };
    case "repeat":
      return compileRepeat(node, input, next);
  }
}

function step({ accepts, steps }: CharacterNode, input: Input, at: number): number {
  spend(input, steps);
  if (at >= input.end) return -1;
  const code = input.text.codePointAt(at)!;
  return accepts(code) ? at + (code > 0xffff ? 2 : 1) : -1;
}

function compileRepeat(
  { item, min, max, lazy }: PatternNode & { type: "repeat" },
  input: Input,
  next: Matcher,
): Matcher {
  if (item.type === "character" && !lazy) {
    // The usual case, without a call for each character.
    return (start) => {
      let at = start;
      let count = 0;
      for (; count < max; count++) {
        const to = step(item, input, at);
        if (to < 0) break;
        at = to;
      }
      for (; count >= min; count--) {
        const end = next(at);
        if (end >= 0) return end;
        if (count > 0) at -= at >= 2 && isPair(input.text, at - 2) ? 2 : 1;
      }
      return -1;
    };
  }
  const itemSteps = sizeOf(item);
  /** `from`: where this round began; a round that takes nothing ends the loop. */
  const round = (count: number, from: number): Matcher => {
    const more: Matcher = (at) => {
      if (count > 0 && at === from && count > min) return -1;
      // The item is made anew in each round, since what follows it is another.
      spend(input, itemSteps);
      return compile(item, input, (to) => round(count + 1, at)(to))(at);
    };
    return (at) => {
      spend(input);
      if (count > MAX_ROUNDS) throw new PronkError("bad_request", "tokenizer: split pattern loops");
      if (count < min) return more(at);
      if (lazy) {
        const end = next(at);
        return end >= 0 || count >= max ? end : more(at);
      }
      const end = count < max ? more(at) : -1;
      return end >= 0 ? end : next(at);
    };
  };
  return round(0, -1);
}

/** How many nodes it has. */
function sizeOf(node: PatternNode): number {
  if ("items" in node) return node.items.reduce((sum, item) => sum + sizeOf(item), 1);
  return "item" in node ? 1 + sizeOf(node.item) : 1;
}

/** Rounds of a group that is repeated; each takes some frames of the stack. */
const MAX_ROUNDS = 500;
