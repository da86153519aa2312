/** From rules to regions: what is small is written out in place, what is recursive, long or counted is called. */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";
import { fixpoint, leftRecursion } from "./callee-graph.ts";
import {
  type CodePointRanges,
  commonRanges,
  type Expression,
  type Grammar,
  rule,
} from "./expression.ts";
import { type Budget, type Callee, type Counter, Region, Repeat, type State } from "./region.ts";
import { calledRules, MANY_COPIES, sizeOf, WRITTEN_OUT_NODES } from "./rule-graph.ts";
import { utf8Sequences } from "./utf8-ranges.ts";

export interface CompiledGrammar {
  readonly start: Region;
  /** About what it takes at present, with the states that were made so far. */
  readonly bytes: number;
}

/** Rules that all grammars of a vocabulary share: compiled once, and so are their tokens found once. */
export interface Library {
  readonly ids: Counter;
  readonly rules: ReadonlyMap<string, Expression>;
  /** Of rules that are called wherever they are used. */
  readonly regions: ReadonlyMap<string, Region>;
  /** Of rules that are called only where they repeat. */
  readonly items: ReadonlyMap<string, Region>;
}

/** Bounds memory and time on hostile grammars: some 150 bytes a node. */
const MAX_NODES = 100_000;
const NODE_BYTES = 150;
const MAX_RULES = 20_000;
/** What is found out about them takes, at worst, the square of their number. */
const MAX_CALLEES = 2_000;
const MAX_DEPTH = 200;
/** Of what one grammar's states take: an eighth of a Worker's memory. */
const MAX_STATE_BYTES = 16e6;
/** Edges that are looked at to make them, half a microsecond each; schemas in use take some thousands. */
const MAX_STATE_STEPS = 400_000;

/** Of a message, which may repeat a rule's name. */
const MAX_SHOWN = 300;

/** Counts beyond it say no more than "many", and texts are shorter. */
const MAX_COUNT = 1_000_000;

export interface CompileOptions {
  readonly library?: Library | undefined;
  /** Characters that the vocabulary can write; undefined: all. */
  readonly alphabet?: CodePointRanges | undefined;
}

/**
 * @throws PronkError "bad_request": a rule that does not exist, calls itself before it reads anything, or matches no
 *   text; a grammar that is too large.
 */
export function compileGrammar(grammar: Grammar, options: CompileOptions = {}): CompiledGrammar {
  return new GrammarWriter(grammar, options).compile();
}

/**
 * @param called names of the rules that are called wherever they are used
 * @param repeated names of those that are called only where they repeat
 */
export function compileLibrary(
  rules: ReadonlyMap<string, Expression>,
  called: readonly string[],
  repeated: readonly string[],
  alphabet?: CodePointRanges,
): Library {
  const ids: Counter = { next: 0 };
  const start = "all of them";
  const all: Expression = { type: "choice", items: called.map(rule) };
  const writer = new GrammarWriter(
    { start, rules: new Map([...rules, [start, all]]) },
    { alphabet },
    ids,
    new Set(called),
  );
  const regionsOf = (names: readonly string[]): Map<string, Region> =>
    new Map(names.map((name) => [name, writer.regionOf(name)]));
  const library = { ids, rules, regions: regionsOf(called), items: regionsOf(repeated) };
  writer.compile();
  return library;
}

class GrammarWriter {
  readonly #rules: ReadonlyMap<string, Expression>;
  readonly #startRule: string;
  readonly #nothing: PronkError;
  readonly #called: ReadonlySet<string>;
  readonly #library: Library | undefined;
  readonly #alphabet: CodePointRanges | undefined;
  readonly #regions: Map<string, Region> = new Map();
  readonly #callees: Callee[] = [];
  readonly #ids: Counter;
  readonly #budget: Budget = { stateBytes: MAX_STATE_BYTES, steps: MAX_STATE_STEPS };
  readonly #pending: (() => void)[] = [];
  #nodes = 0;
  /** Nothing is called, and counted items are written out. */
  #inPlace = false;

  constructor(
    { start, rules, nothing }: Grammar,
    { library, alphabet }: CompileOptions,
    ids?: Counter,
    called?: ReadonlySet<string>,
  ) {
    if (rules.size > MAX_RULES) throw bad(`${rules.size} rules, at most ${MAX_RULES}`);
    this.#library = library;
    this.#alphabet = alphabet;
    this.#ids = ids ?? library?.ids ?? { next: 0 };
    this.#rules = rules;
    this.#startRule = start;
    this.#nothing = new PronkError(
      "bad_request",
      nothing ?? `grammar: no text matches ${printable(start)}`,
    );
    this.#called = called ?? calledRules(rules);
  }

  compile(): CompiledGrammar {
    const start = this.regionOf(this.#startRule);
    // Rules nest as deep as they like: each waits for its turn.
    for (let work = this.#pending.pop(); work !== undefined; work = this.#pending.pop()) work();
    const own = new Set(this.#callees);
    const ofLibrary = (callee: Callee): boolean => !own.has(callee);
    const productive = fixpoint(this.#callees, (callee, has) =>
      callee.type === "region"
        ? callee.isProductive((inner) => ofLibrary(inner) || has(inner))
        : callee.min === 0 || ofLibrary(callee.item) || has(callee.item),
    );
    if (!ofLibrary(start) && !productive.has(start)) throw this.#nothing;
    for (const callee of this.#callees) {
      if (callee.type === "region") {
        callee.prune((inner) => ofLibrary(inner) || productive.has(inner));
      }
    }
    // No rule of a library has the empty text.
    const nullable = fixpoint(this.#callees, (callee, has) =>
      callee.type === "region" ? callee.isNullable(has) : callee.min === 0 || has(callee.item),
    );
    for (const callee of this.#callees) {
      if (callee.type === "repeat" && nullable.has(callee.item)) callee.min = 0;
    }
    const cycle = leftRecursion(this.#callees, nullable, ofLibrary);
    if (cycle !== undefined) throw this.#leftRecursion(cycle);
    const fixed = NODE_BYTES * this.#nodes;
    const budget = this.#budget;
    return {
      start,
      get bytes() {
        return fixed + MAX_STATE_BYTES - budget.stateBytes;
      },
    };
  }

  #leftRecursion(cycle: readonly Callee[]): PronkError {
    const names = new Map<Callee, string>(
      [...this.#regions].map(([name, region]) => [region, name]),
    );
    const name = cycle.map((callee) => names.get(callee)).find((known) => known !== undefined);
    return bad(`rule ${name ?? "of a repeated item"} begins with itself (left recursion)`);
  }

  regionOf(name: string): Region {
    const shared = this.#library?.regions.get(name);
    if (shared !== undefined) return shared;
    let region = this.#regions.get(name);
    if (region === undefined) {
      region = this.#newRegion(this.#expressionOf(name));
      this.#regions.set(name, region);
    }
    return region;
  }

  #newRegion(expression: Expression): Region {
    const region = new Region(this.#ids, this.#budget);
    this.#addCallee(region);
    this.#pending.push(() => this.#write(expression, region, 0, region.accept, 0));
    return region;
  }

  #expressionOf(name: string): Expression {
    const expression = this.#rules.get(name);
    if (expression === undefined) throw bad(`rule ${name} does not exist`);
    return expression;
  }

  #addCallee(callee: Callee): void {
    if (this.#callees.push(callee) > MAX_CALLEES) {
      throw bad(`more than ${MAX_CALLEES} rules and repeated items that are not small`);
    }
  }

  #node(region: Region): number {
    if (++this.#nodes > MAX_NODES) throw bad(`more than ${MAX_NODES} states`);
    return region.addNode();
  }

  /** Adds what leads from one node to the other. */
  #write(expression: Expression, region: Region, from: number, to: number, depth: number): void {
    if (depth > MAX_DEPTH) throw bad(`nested more than ${MAX_DEPTH} levels deep`);
    switch (expression.type) {
      case "literal":
        this.#writeLiteral(expression.bytes, region, from, to);
        break;
      case "class":
        for (const [low, high] of this.#writable(expression.ranges)) {
          this.#writeRange(low, high, region, from, to);
        }
        break;
      case "sequence":
        this.#writeSequence(expression.items, region, from, to, depth);
        break;
      case "choice":
        for (const item of expression.items) this.#write(item, region, from, to, depth + 1);
        break;
      case "repeat":
        this.#writeRepeat(expression, region, from, to, depth);
        break;
      case "rule":
        if (!this.#inPlace && this.#isCalled(expression.name)) {
          this.#count();
          region.addCall(from, this.regionOf(expression.name), to);
        } else this.#write(this.#expressionOf(expression.name), region, from, to, depth + 1);
        break;
      case "list":
        this.#writeList(expression, region, from, to, depth);
        break;
      case "both":
      case "except":
        this.#writeFiltered(expression, region, from, to, depth);
    }
  }

  #isCalled(name: string): boolean {
    if (this.#library?.regions.has(name)) return true;
    return this.#called.has(name) && !this.#library?.items.has(name);
  }

  /** Every text is written once, whatever stands before it. */
  #writeList(
    { separator, items }: Extract<Expression, { type: "list" }>,
    region: Region,
    from: number,
    to: number,
    depth: number,
  ): void {
    const lastRequired = items.findLastIndex(({ required }) => required);
    // Where nothing was written yet; behind a separator; behind an item.
    let none = this.#node(region);
    let separated: number | undefined;
    let behind: number | undefined;
    region.addEmpty(from, none);
    for (const [i, { text, required }] of items.entries()) {
      const begin = this.#node(region);
      const [nextNone, nextSeparated, end] = [0, 0, 0].map(() => this.#node(region));
      region.addEmpty(none, begin);
      if (!required) region.addEmpty(none, nextNone);
      if (separated !== undefined) {
        region.addEmpty(separated, begin);
        if (!required) region.addEmpty(separated, nextSeparated);
      }
      this.#write(text, region, begin, end, depth + 1);
      if (i >= lastRequired) region.addEmpty(end, to);
      if (i < items.length - 1) this.#write(separator, region, end, nextSeparated, depth + 1);
      none = nextNone;
      separated = nextSeparated;
      behind = end;
    }
    if (behind === undefined || lastRequired < 0) region.addEmpty(none, to);
  }

  /** The product of two automata: the filter's is made deterministic as far as it is reached. */
  #writeFiltered(
    { type, item, filter }: Extract<Expression, { type: "both" | "except" }>,
    region: Region,
    from: number,
    to: number,
    depth: number,
  ): void {
    const left = this.#writeInPlace(item, depth);
    const right = this.#writeInPlace(filter, depth);
    const isIn = (state: State | undefined): boolean =>
      type === "both" ? state?.accepting === true : state?.accepting !== true;
    const nodes = new Map<string, number>();
    const rest: [number, State | undefined, number][] = [];
    const nodeOf = (node: number, state: State | undefined): number => {
      const key = `${node},${state?.id}`;
      let known = nodes.get(key);
      if (known === undefined) {
        known = this.#node(region);
        nodes.set(key, known);
        rest.push([node, state, known]);
      }
      return known;
    };
    region.addEmpty(from, nodeOf(0, right.start));
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      const [node, state, here] = next;
      if (node === left.accept && isIn(state)) region.addEmpty(here, to);
      const { edges, empty } = left.node(node);
      for (const target of empty) region.addEmpty(here, nodeOf(target, state));
      for (let i = 0; i < edges.length; i += 3) {
        const [low, high, target] = [edges[i]!, edges[i + 1]!, edges[i + 2]!];
        for (const [first, last, after] of rangesWithin(state, low, high)) {
          if (after === undefined && type === "both") continue;
          this.#count();
          region.addEdge(here, first, last, nodeOf(target, after));
        }
      }
    }
  }

  /** An automaton of its own that calls nothing. */
  #writeInPlace(expression: Expression, depth: number): Region {
    const region = new Region(this.#ids, this.#budget);
    const before = this.#inPlace;
    this.#inPlace = true;
    this.#write(expression, region, 0, region.accept, depth + 1);
    this.#inPlace = before;
    return region;
  }

  #writeSequence(
    items: readonly Expression[],
    region: Region,
    from: number,
    to: number,
    depth: number,
  ): void {
    if (items.length === 0) region.addEmpty(from, to);
    let at = from;
    for (const [i, item] of items.entries()) {
      const next = i === items.length - 1 ? to : this.#node(region);
      this.#write(item, region, at, next, depth + 1);
      at = next;
    }
  }

  /** Edges count as nodes do. */
  #count(): void {
    if (++this.#nodes > MAX_NODES) throw bad(`more than ${MAX_NODES} states`);
  }

  /** Characters that no tokens write lead nowhere. */
  #writable(ranges: CodePointRanges): CodePointRanges {
    return this.#alphabet === undefined ? ranges : commonRanges(ranges, this.#alphabet);
  }

  #writeLiteral(bytes: Uint8Array, region: Region, from: number, to: number): void {
    if (this.#alphabet !== undefined) {
      const codes = [...new TextDecoder().decode(bytes)].map((c) => c.codePointAt(0)!);
      const ranges = codes.map((code) => [code, code] as const);
      if (!ranges.every((range) => this.#writable([range]).length > 0)) return;
    }
    if (bytes.length === 0) region.addEmpty(from, to);
    let at = from;
    for (const [i, byte] of bytes.entries()) {
      const next = i === bytes.length - 1 ? to : this.#node(region);
      region.addEdge(at, byte, byte, next);
      at = next;
    }
  }

  #writeRange(low: number, high: number, region: Region, from: number, to: number): void {
    for (const ranges of utf8Sequences(low, high)) {
      let at = from;
      for (const [i, [first, last]] of ranges.entries()) {
        const next = i === ranges.length - 1 ? to : this.#node(region);
        if (next === to) this.#count();
        region.addEdge(at, first, last, next);
        at = next;
      }
    }
  }

  #writeRepeat(
    { item, min, max }: Extract<Expression, { type: "repeat" }>,
    region: Region,
    from: number,
    to: number,
    depth: number,
  ): void {
    if (max < min || max === 0) {
      if (min === 0) region.addEmpty(from, to);
      return;
    }
    const copies = max === Number.POSITIVE_INFINITY ? min + 1 : max;
    const shared = item.type === "rule" ? this.#library?.items.get(item.name) : undefined;
    const isSmall =
      shared === undefined && sizeOf(item, WRITTEN_OUT_NODES) * copies <= WRITTEN_OUT_NODES;
    if (!this.#inPlace && (copies > MANY_COPIES || (copies > 2 && !isSmall))) {
      const callee = new Repeat(
        shared ?? this.#newRegion(item),
        Math.min(min, MAX_COUNT),
        max > MAX_COUNT ? Number.POSITIVE_INFINITY : max,
        this.#ids.next++,
      );
      this.#addCallee(callee);
      this.#count();
      region.addCall(from, callee, to);
      return;
    }
    let at = this.#node(region);
    region.addEmpty(from, at);
    for (let i = 0; i < min; i++) {
      const next = this.#node(region);
      this.#write(item, region, at, next, depth + 1);
      at = next;
    }
    if (max === Number.POSITIVE_INFINITY) {
      // A loop has nodes of its own, lest what stands before or behind it be repeated too.
      const loop = this.#node(region);
      region.addEmpty(at, loop);
      this.#write(item, region, loop, loop, depth + 1);
      region.addEmpty(loop, to);
      return;
    }
    for (let i = min; i < max; i++) {
      region.addEmpty(at, to);
      const next = this.#node(region);
      this.#write(item, region, at, next, depth + 1);
      at = next;
    }
    region.addEmpty(at, to);
  }
}

/** What a state does with each part of [low, high]. */
function* rangesWithin(
  state: State | undefined,
  low: number,
  high: number,
): Generator<readonly [number, number, State | undefined]> {
  let next = low;
  if (state !== undefined) {
    for (const [first, last, to] of state.ranges()) {
      if (last < next) continue;
      if (first > high) break;
      if (first > next) yield [next, first - 1, undefined];
      yield [Math.max(first, next), Math.min(last, high), to];
      next = last + 1;
    }
  }
  if (next <= high) yield [next, high, undefined];
}

function bad(what: string): PronkError {
  return new PronkError("bad_request", `grammar: ${printable(what, MAX_SHOWN)}`);
}
