/** From rules to regions: what is small is written out in place, what is recursive, long or counted is called. */
import { PronkError } from "../errors.ts";
import type { Expression, Grammar } from "./expression.ts";
import { type Callee, type Counter, Region, Repeat } from "./region.ts";
import { calledRules, MANY_COPIES, sizeOf, WRITTEN_OUT_NODES } from "./rule-graph.ts";
import { utf8Sequences } from "./utf8-ranges.ts";

export interface CompiledGrammar {
  readonly start: Region;
}

/** Bounds memory and time on hostile grammars: some 100 bytes a node. */
const MAX_NODES = 300_000;
const MAX_RULES = 20_000;
/** What is found out about them takes, at worst, the square of their number. */
const MAX_CALLEES = 4_000;
const MAX_DEPTH = 200;

/** Counts beyond it say no more than "many", and texts are shorter. */
const MAX_COUNT = 1_000_000;

/**
 * @throws PronkError "bad_request": a rule that does not exist, calls itself before it reads anything, or matches no
 *   text; a grammar that is too large.
 */
export function compileGrammar(grammar: Grammar): CompiledGrammar {
  return new Compiler(grammar).compile();
}

class Compiler {
  readonly #rules: ReadonlyMap<string, Expression>;
  readonly #startRule: string;
  readonly #nothing: PronkError;
  readonly #called: ReadonlySet<string>;
  readonly #regions: Map<string, Region> = new Map();
  readonly #callees: Callee[] = [];
  readonly #ids: Counter = { next: 0 };
  readonly #pending: (() => void)[] = [];
  #nodes = 0;

  constructor({ start, rules, nothing }: Grammar) {
    if (rules.size > MAX_RULES) throw bad(`${rules.size} rules, at most ${MAX_RULES}`);
    this.#rules = rules;
    this.#startRule = start;
    this.#nothing = new PronkError("bad_request", nothing ?? `grammar: no text matches ${start}`);
    this.#called = calledRules(rules);
  }

  compile(): CompiledGrammar {
    const start = this.#regionOf(this.#startRule);
    // Rules nest as deep as they like: each waits for its turn.
    for (let work = this.#pending.pop(); work !== undefined; work = this.#pending.pop()) work();
    const productive = fixpoint(this.#callees, (callee, has) =>
      callee.type === "region" ? callee.isProductive(has) : callee.min === 0 || has(callee.item),
    );
    if (!productive.has(start)) throw this.#nothing;
    for (const callee of this.#callees) {
      if (callee.type === "region") callee.prune((inner) => productive.has(inner));
    }
    const nullable = fixpoint(this.#callees, (callee, has) =>
      callee.type === "region" ? callee.isNullable(has) : callee.min === 0 || has(callee.item),
    );
    for (const callee of this.#callees) {
      if (callee.type === "repeat" && nullable.has(callee.item)) callee.min = 0;
    }
    this.#refuseLeftRecursion(nullable);
    return { start };
  }

  #regionOf(name: string): Region {
    let region = this.#regions.get(name);
    if (region === undefined) {
      region = this.#newRegion(this.#expressionOf(name));
      this.#regions.set(name, region);
    }
    return region;
  }

  #newRegion(expression: Expression): Region {
    const region = new Region(this.#ids);
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
        for (const [low, high] of expression.ranges) this.#writeRange(low, high, region, from, to);
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
        if (this.#called.has(expression.name)) {
          this.#count();
          region.addCall(from, this.#regionOf(expression.name), to);
        } else this.#write(this.#expressionOf(expression.name), region, from, to, depth + 1);
    }
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

  #writeLiteral(bytes: Uint8Array, region: Region, from: number, to: number): void {
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
    const isSmall = sizeOf(item, WRITTEN_OUT_NODES) * copies <= WRITTEN_OUT_NODES;
    if (copies > MANY_COPIES || (copies > 2 && !isSmall)) {
      const callee = new Repeat(
        this.#newRegion(item),
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

  #refuseLeftRecursion(nullable: ReadonlySet<Callee>): void {
    const names = new Map([...this.#regions].map(([name, region]) => [region, name]));
    const done = new Set<Callee>();
    const open = new Set<Callee>();
    // An explicit stack: chains of calls may be long.
    const visit = (root: Callee): void => {
      const stack: { callee: Callee; inner: Callee[] }[] = [];
      const enter = (callee: Callee): void => {
        open.add(callee);
        const inner =
          callee.type === "repeat"
            ? [callee.item]
            : callee.firstCallees((other) => nullable.has(other));
        stack.push({ callee, inner });
      };
      enter(root);
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        const next = top.inner.pop();
        if (next === undefined) {
          open.delete(top.callee);
          done.add(top.callee);
          stack.pop();
        } else if (open.has(next)) {
          const cycle = [...open].filter((callee) => callee.type === "region");
          const name = cycle.map((region) => names.get(region)).find((known) => known);
          throw bad(`rule ${name ?? "of a repeated item"} begins with itself (left recursion)`);
        } else if (!done.has(next)) enter(next);
      }
    };
    for (const callee of this.#callees) if (!done.has(callee)) visit(callee);
  }
}

/** Callees for which `holds`, where it may ask for others; the least such set. */
function fixpoint(
  callees: readonly Callee[],
  holds: (callee: Callee, has: (other: Callee) => boolean) => boolean,
): Set<Callee> {
  const found = new Set<Callee>();
  for (let before = -1; before < found.size; ) {
    before = found.size;
    // Callees come after what calls them: from the end, one pass is mostly enough.
    for (const callee of callees.toReversed()) {
      if (!found.has(callee) && holds(callee, (other) => found.has(other))) found.add(callee);
    }
  }
  return found;
}

function bad(what: string): PronkError {
  return new PronkError("bad_request", `grammar: ${what}`);
}
