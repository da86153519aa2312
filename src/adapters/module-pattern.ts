/**
 * Python's regular expressions, as far as they name modules: without backtracking, so that a hostile pattern of an
 * adapter's file cannot hang. A part of a pattern maps the places where it may begin to those where it may end.
 *
 * Has: literals, `.`, classes, \d \w \s and their complements, groups of every kind, |, * + ? {m,n} (lazy or not: the same
 * matches), ^ $ \A \Z \b, lookahead. Refused by name: backreferences, lookbehind, flags.
 */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";

/** Whether the whole text matches, as `re.fullmatch`. */
export type ModulePattern = (text: string) => boolean;

interface Run {
  readonly text: string;
  steps: number;
}

/** Where a part may end, for where it begins. */
type Matcher = (starts: ReadonlySet<number>, run: Run) => ReadonlySet<number>;

/** Far above what the longest of real patterns takes on a module's name (some 2,000). */
const MAX_STEPS = 200_000;
const MAX_PATTERN = 4096;
const MAX_REPEATS = 1000;
const MAX_DEPTH = 64;

const NONE: ReadonlySet<number> = new Set();

/** @throws PronkError "unsupported" on what is not read; "bad_format" when it is no expression. */
export function modulePattern(pattern: string, where: string): ModulePattern {
  const shown = `${where}: pattern ${printable(pattern)}`;
  if (pattern.length > MAX_PATTERN) {
    throw new PronkError("unsupported", `${shown}: ${pattern.length} characters`);
  }
  const matcher = new PatternParser(pattern, shown).parse();
  return (text) => {
    const run = { text, steps: 0 };
    return limited(matcher, shown)(new Set([0]), run).has(text.length);
  };
}

function limited(matcher: Matcher, shown: string): Matcher {
  return (starts, run) => {
    try {
      return matcher(starts, run);
    } catch (error) {
      if (error !== TOO_COSTLY) throw error;
      throw new PronkError("unsupported", `${shown}: takes more than ${MAX_STEPS} steps`);
    }
  };
}

const TOO_COSTLY = new Error("steps");

function spend(run: Run, steps: number): void {
  run.steps += steps + 1;
  if (run.steps > MAX_STEPS) throw TOO_COSTLY;
}

function character(accepts: (character: string) => boolean): Matcher {
  return (starts, run) => {
    spend(run, starts.size);
    const ends = new Set<number>();
    for (const at of starts) if (at < run.text.length && accepts(run.text[at])) ends.add(at + 1);
    return ends;
  };
}

function place(accepts: (at: number, text: string) => boolean): Matcher {
  return (starts, run) => {
    spend(run, starts.size);
    return new Set([...starts].filter((at) => accepts(at, run.text)));
  };
}

function sequence(parts: readonly Matcher[]): Matcher {
  return (starts, run) =>
    parts.reduce((at, part) => (at.size === 0 ? NONE : part(at, run)), starts);
}

function either(branches: readonly Matcher[]): Matcher {
  if (branches.length === 1) return branches[0];
  return (starts, run) => new Set(branches.flatMap((branch) => [...branch(starts, run)]));
}

function repeated(part: Matcher, least: number, most: number): Matcher {
  return (starts, run) => {
    let current = starts;
    for (let i = 0; i < least && current.size > 0; i++) current = part(current, run);
    const ends = new Set(current);
    // Only places that are new can lead to others.
    for (let i = least; i < most && current.size > 0; i++) {
      const next = [...part(current, run)].filter((at) => !ends.has(at));
      for (const at of next) ends.add(at);
      current = new Set(next);
    }
    return ends;
  };
}

function ahead(part: Matcher, isWanted: boolean): Matcher {
  return (starts, run) => {
    spend(run, starts.size);
    return new Set([...starts].filter((at) => part(new Set([at]), run).size > 0 === isWanted));
  };
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  d: /\p{Nd}/u,
  w: /[\p{L}\p{N}_]/u,
  s: /\s/,
};

const isWord = (found: string | undefined): boolean => found !== undefined && CLASSES.w.test(found);

/** Of `\n` and its like. */
const CONTROLS: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", f: "\f", v: "\v" };

class PatternParser {
  readonly #pattern: string;
  readonly #shown: string;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, shown: string) {
    this.#pattern = pattern;
    this.#shown = shown;
  }

  parse(): Matcher {
    const matcher = this.#alternatives();
    if (this.#at < this.#pattern.length) throw this.#bad("unbalanced )");
    return matcher;
  }

  #alternatives(): Matcher {
    if (++this.#depth > MAX_DEPTH) throw this.#unsupported(`more than ${MAX_DEPTH} groups deep`);
    const branches = [this.#sequence()];
    while (this.#take("|")) branches.push(this.#sequence());
    this.#depth--;
    return either(branches);
  }

  #sequence(): Matcher {
    const parts: Matcher[] = [];
    while (this.#at < this.#pattern.length && !/[|)]/.test(this.#pattern[this.#at])) {
      parts.push(this.#repeat(this.#atom()));
    }
    return sequence(parts);
  }

  #repeat(atom: Matcher): Matcher {
    const rest = this.#pattern.slice(this.#at, this.#at + 16);
    const counts = /^\{(\d*)(,?)(\d*)\}/.exec(rest);
    let bounds: [number, number] | undefined;
    if (this.#take("*")) bounds = [0, Number.POSITIVE_INFINITY];
    else if (this.#take("+")) bounds = [1, Number.POSITIVE_INFINITY];
    else if (this.#take("?")) bounds = [0, 1];
    else if (counts && (counts[1] || counts[3])) {
      this.#at += counts[0].length;
      const least = Number(counts[1] || 0);
      const most = counts[3] ? Number(counts[3]) : counts[2] ? Number.POSITIVE_INFINITY : least;
      const largest = Math.max(least, Number.isFinite(most) ? most : 0);
      if (largest > MAX_REPEATS) throw this.#unsupported(`${largest} repeats`);
      if (most < least) throw this.#bad(`{${least},${most}}`);
      bounds = [least, most];
    }
    if (!bounds) return atom;
    if (this.#take("+")) throw this.#unsupported("possessive quantifiers");
    this.#take("?"); // lazy: matches the same names
    if (/[*+?]/.test(this.#pattern[this.#at] ?? "")) throw this.#bad("multiple repeat");
    return repeated(atom, ...bounds);
  }

  #atom(): Matcher {
    const found = this.#pattern[this.#at++];
    switch (found) {
      case "(":
        return this.#group();
      case "[":
        return character(this.#class());
      case "\\":
        return this.#escape();
      case ".":
        return character((c) => c !== "\n");
      case "^":
        return place((at) => at === 0);
      case "$":
        return place((at, text) => at === text.length);
      case "*":
      case "+":
      case "?":
        throw this.#bad("nothing to repeat");
      default:
        return character((c) => c === found);
    }
  }

  #group(): Matcher {
    let kind = "";
    if (this.#take("?")) {
      const opened = /^(?::|=|!|P<\w+>)/.exec(this.#pattern.slice(this.#at, this.#at + 128));
      if (!opened) throw this.#unsupported("a group of this kind");
      kind = opened[0];
      this.#at += kind.length;
    }
    const inner = this.#alternatives();
    if (!this.#take(")")) throw this.#bad("missing )");
    return kind === "=" || kind === "!" ? ahead(inner, kind === "=") : inner;
  }

  #escape(): Matcher {
    const found = this.#pattern[this.#at++];
    if (found === undefined) throw this.#bad("ends with \\");
    if (found === "A") return place((at) => at === 0);
    if (found === "Z") return place((at, text) => at === text.length);
    if (found === "b" || found === "B") {
      const isBoundary = found === "b";
      return place((at, text) => (isWord(text[at - 1]) !== isWord(text[at])) === isBoundary);
    }
    return character(this.#escaped(found));
  }

  /** A character class or one character. */
  #escaped(found: string): (character: string) => boolean {
    const kind = CLASSES[found.toLowerCase()];
    if (kind) {
      const isWanted = found === found.toLowerCase();
      return (c) => kind.test(c) === isWanted;
    }
    if (/[A-Za-z0-9]/.test(found) && !CONTROLS[found]) throw this.#unsupported(`\\${found}`);
    const literal = CONTROLS[found] ?? found;
    return (c) => c === literal;
  }

  #class(): (character: string) => boolean {
    const isNegated = this.#take("^");
    const accepts: ((character: string) => boolean)[] = [];
    for (let first = true; first || this.#pattern[this.#at] !== "]"; first = false) {
      if (this.#at >= this.#pattern.length) throw this.#bad("missing ]");
      const low = this.#pattern[this.#at++];
      if (low === "\\") {
        const escaped = this.#pattern[this.#at++];
        if (escaped === undefined) throw this.#bad("missing ]");
        accepts.push(this.#escaped(escaped));
        continue;
      }
      const high = this.#pattern[this.#at + 1];
      if (this.#pattern[this.#at] === "-" && high !== undefined && high !== "]") {
        if (high === "\\") throw this.#unsupported("a range that ends with an escape");
        if (high < low) throw this.#bad(`bad range ${low}-${high}`);
        this.#at += 2;
        accepts.push((c) => c >= low && c <= high);
      } else accepts.push((c) => c === low);
    }
    this.#at++;
    return (c) => accepts.some((accept) => accept(c)) !== isNegated;
  }

  #take(expected: string): boolean {
    if (this.#pattern[this.#at] !== expected) return false;
    this.#at++;
    return true;
  }

  #bad(why: string): PronkError {
    return new PronkError("bad_format", `${this.#shown}: at ${this.#at}: ${why}`);
  }

  #unsupported(what: string): PronkError {
    return new PronkError("unsupported", `${this.#shown}: at ${this.#at}: ${what}`);
  }
}
