/**
 * A part of a grammar that is a regular language but for calls of other parts: an automaton over bytes whose
 * states are made when they are first reached (subset construction), so that a grammar costs what is used of it.
 */
import { PronkError } from "../errors.ts";

/** What an edge may call: its text is then read before the edge's target goes on. */
export type Callee = Region | Repeat;

/** An item that is counted while it repeats: too long to be written out so many times. */
export class Repeat {
  readonly type = "repeat";
  readonly item: Region;
  /** 0 where items may be empty. */
  min: number;
  readonly max: number;
  /** Differs from every other's. */
  readonly index: number;

  constructor(item: Region, min: number, max: number, index: number) {
    this.item = item;
    this.min = min;
    this.max = max;
    this.index = index;
  }
}

interface Call {
  readonly callee: Callee;
  readonly to: State;
}

/** Looking through more ranges than these takes longer than a table of 2 KB. */
const FEW_RANGES = 3;
const UNKNOWN = null;

/** A set of the region's nondeterministic states. */
export class State {
  /** Differs from every other state's of the grammar. */
  readonly id: number;
  readonly accepting: boolean;
  /** What its tokens are, wherever it stands: see token-masks.ts. */
  memo: unknown;
  /** What it does with plain text: see token-masks.ts. */
  plainText: unknown;
  readonly #region: Region;
  readonly #members: readonly number[];
  #calls: readonly Call[] | undefined;
  #plain: boolean | undefined;
  /** Range k is [lows[k], highs[k]], ascending. */
  readonly #lows: Uint8Array;
  readonly #highs: Uint8Array;
  readonly #targets: (readonly number[] | State)[];
  /** Of states with many ranges: what follows each byte, as far as it was asked for. */
  readonly #table: (State | typeof UNKNOWN | undefined)[] | undefined;

  constructor(region: Region, id: number, members: readonly number[]) {
    this.id = id;
    this.#region = region;
    this.#members = members;
    this.accepting = members.includes(region.accept);
    const { lows, highs, targets } = region.edgesOf(members);
    this.#lows = Uint8Array.from(lows);
    this.#highs = Uint8Array.from(highs);
    this.#targets = targets;
    if (lows.length > FEW_RANGES) {
      this.#table = new Array(256).fill(undefined);
      this.#table.fill(UNKNOWN, lows[0], highs.at(-1)! + 1);
    }
  }

  /** Made when asked for: they may lead back here. */
  get calls(): readonly Call[] {
    this.#calls ??= this.#region.callsOf(this.#members);
    return this.#calls;
  }

  /** Whether it looks its next state up in a table. */
  get isWide(): boolean {
    return this.#table !== undefined;
  }

  get readsBytes(): boolean {
    return this.#lows.length > 0;
  }

  /** Nothing but the end of the region. */
  get isEnd(): boolean {
    return this.accepting && this.#lows.length === 0 && this.calls.length === 0;
  }

  /** Reads bytes or ends, and calls nothing. */
  get isPlain(): boolean {
    this.#plain ??= this.calls.length === 0;
    return this.#plain;
  }

  /** After this byte; undefined where it cannot come. */
  step(byte: number): State | undefined {
    const table = this.#table;
    if (table !== undefined) {
      const next = table[byte];
      return next === UNKNOWN ? this.#fill(table, byte) : (next as State | undefined);
    }
    const lows = this.#lows;
    for (let k = 0; k < lows.length; k++) {
      if (byte < lows[k]!) return undefined;
      if (byte <= this.#highs[k]!) return this.#resolve(k);
    }
    return undefined;
  }

  /** Ranges of bytes with what follows them, ascending; what is between them cannot come. */
  *ranges(): Generator<readonly [number, number, State]> {
    for (let k = 0; k < this.#lows.length; k++) {
      yield [this.#lows[k]!, this.#highs[k]!, this.#resolve(k)];
    }
  }

  /** Marks the bytes that can come. */
  addBytes(into: Uint8Array): void {
    for (let k = 0; k < this.#lows.length; k++) into.fill(1, this.#lows[k], this.#highs[k]! + 1);
  }

  #fill(table: (State | typeof UNKNOWN | undefined)[], byte: number): State | undefined {
    const k = this.#lows.findIndex((low, i) => byte >= low && byte <= this.#highs[i]!);
    const next = k < 0 ? undefined : this.#resolve(k);
    table[byte] = next;
    return next;
  }

  #resolve(k: number): State {
    const target = this.#targets[k]!;
    if (target instanceof State) return target;
    const state = this.#region.stateOf(target);
    this.#targets[k] = state;
    return state;
  }
}

/** Of one nondeterministic state; lists that are empty are one object. */
interface Node {
  /** Byte edges: low, high and target, one after the other. */
  edges: number[];
  empty: number[];
  calls: { readonly callee: Callee; readonly to: number }[];
}

const NO_NUMBERS: number[] = [];
const NO_CALLS: Node["calls"] = [];

/** Of what one grammar, or the library of all, takes. */
export interface Budget {
  /** Bytes left for states that are made while texts are read. */
  stateBytes: number;
  /** Edges that are looked at for them. */
  steps: number;
}

/** Numbers that differ over all regions that may meet in one text. */
export interface Counter {
  next: number;
}

/** About what a state takes beside its members, and for each of them. */
const STATE_BYTES = 400;
const TABLE_BYTES = 2200;
const MEMBER_BYTES = 24;

export class Region {
  readonly type = "region";
  readonly accept = 1;
  readonly #nodes: Node[] = [];
  readonly #states: Map<string, State> = new Map();
  readonly #ids: Counter;
  readonly #budget: Budget;
  #start: State | undefined;
  /** The tokens of items that repeat, wherever they do: see token-masks.ts. */
  memo: unknown;

  constructor(ids: Counter, budget: Budget) {
    this.#ids = ids;
    this.#budget = budget;
    this.addNode();
    this.addNode();
  }

  /** Nondeterministic states; 0 is the start, 1 the end. */
  get size(): number {
    return this.#nodes.length;
  }

  addNode(): number {
    return this.#nodes.push({ edges: NO_NUMBERS, empty: NO_NUMBERS, calls: NO_CALLS }) - 1;
  }

  addEdge(from: number, low: number, high: number, to: number): void {
    const node = this.#nodes[from]!;
    if (node.edges === NO_NUMBERS) node.edges = [low, high, to];
    else node.edges.push(low, high, to);
  }

  addEmpty(from: number, to: number): void {
    const node = this.#nodes[from]!;
    if (node.empty === NO_NUMBERS) node.empty = [to];
    else node.empty.push(to);
  }

  addCall(from: number, callee: Callee, to: number): void {
    const node = this.#nodes[from]!;
    if (node.calls === NO_CALLS) node.calls = [{ callee, to }];
    else node.calls.push({ callee, to });
  }

  /** Byte edges of a node as low, high, target; and its empty edges. */
  node(index: number): { readonly edges: readonly number[]; readonly empty: readonly number[] } {
    return this.#nodes[index]!;
  }

  get start(): State {
    this.#start ??= this.stateOf([0]);
    return this.#start;
  }

  /** Callees that can be entered before any byte is read, where `isNullable` ones may be passed. */
  firstCallees(isNullable: (callee: Callee) => boolean): Callee[] {
    const { callees } = this.#reachEmpty(isNullable);
    return callees;
  }

  /** Whether it has the empty text. */
  isNullable(isNullable: (callee: Callee) => boolean): boolean {
    return this.#reachEmpty(isNullable).seen.has(this.accept);
  }

  /** Whether some text leads to the end, where `isProductive` callees have one. */
  isProductive(isProductive: (callee: Callee) => boolean): boolean {
    const seen = new Set([0]);
    for (const from of seen) {
      const { edges, empty, calls } = this.#nodes[from]!;
      for (let i = 2; i < edges.length; i += 3) seen.add(edges[i]!);
      for (const to of empty) seen.add(to);
      for (const { callee, to } of calls) if (isProductive(callee)) seen.add(to);
    }
    return seen.has(this.accept);
  }

  /** Takes away what cannot lead to the end, so that no state is a dead end. */
  prune(isProductive: (callee: Callee) => boolean): void {
    const before: number[][] = this.#nodes.map(() => NO_NUMBERS);
    const note = (from: number, to: number): void => {
      const list = before[to]!;
      if (list === NO_NUMBERS) before[to] = [from];
      else list.push(from);
    };
    for (const [from, { edges, empty, calls }] of this.#nodes.entries()) {
      for (let i = 2; i < edges.length; i += 3) note(from, edges[i]!);
      for (const to of empty) note(from, to);
      for (const { callee, to } of calls) if (isProductive(callee)) note(from, to);
    }
    const alive = new Set([this.accept]);
    for (const to of alive) for (const from of before[to]!) alive.add(from);
    if (alive.size === this.#nodes.length && this.#callsOnly(isProductive)) return;
    for (const node of this.#nodes) {
      const { edges, empty, calls } = node;
      if (!edges.every((to, i) => i % 3 !== 2 || alive.has(to))) {
        node.edges = edges.filter((_, i) => alive.has(edges[i - (i % 3) + 2]!));
      }
      if (empty.length > 0) node.empty = empty.filter((to) => alive.has(to));
      if (calls.length > 0) {
        node.calls = calls.filter(({ callee, to }) => alive.has(to) && isProductive(callee));
      }
    }
  }

  #callsOnly(isProductive: (callee: Callee) => boolean): boolean {
    return this.#nodes.every(({ calls }) => calls.every(({ callee }) => isProductive(callee)));
  }

  stateOf(nodes: readonly number[]): State {
    const members = this.#closure(nodes);
    const key = members.join();
    let state = this.#states.get(key);
    if (state === undefined) {
      state = new State(this, this.#ids.next++, members);
      this.#states.set(key, state);
      this.#budget.stateBytes -=
        STATE_BYTES + MEMBER_BYTES * members.length + (state.isWide ? TABLE_BYTES : 0);
      if (this.#budget.stateBytes < 0) {
        throw new PronkError("bad_request", "grammar: its automaton takes too much memory");
      }
    }
    return state;
  }

  #spend(steps: number): void {
    this.#budget.steps -= steps;
    if (this.#budget.steps < 0) {
      throw new PronkError("bad_request", "grammar: its automaton takes too long");
    }
  }

  callsOf(members: readonly number[]): Call[] {
    const targets = new Map<Callee, number[]>();
    for (const member of members) {
      for (const { callee, to } of this.#nodes[member]!.calls) {
        const known = targets.get(callee);
        if (known === undefined) targets.set(callee, [to]);
        else known.push(to);
      }
    }
    return [...targets].map(([callee, nodes]) => ({ callee, to: this.stateOf(nodes) }));
  }

  /** Ranges that are apart, each with the nodes that it leads to. */
  edgesOf(members: readonly number[]): {
    lows: number[];
    highs: number[];
    targets: (readonly number[] | State)[];
  } {
    const edges: [number, number, number][] = [];
    for (const member of members) {
      const list = this.#nodes[member]!.edges;
      for (let i = 0; i < list.length; i += 3) edges.push([list[i]!, list[i + 1]!, list[i + 2]!]);
    }
    const cuts = new Set<number>();
    for (const [low, high] of edges) cuts.add(low).add(high + 1);
    const bounds = [...cuts].sort((a, b) => a - b);
    const lows: number[] = [];
    const highs: number[] = [];
    const targets: number[][] = [];
    const sorted = edges.sort((a, b) => a[0] - b[0]);
    // Those that reach into the range at hand.
    let open: [number, number, number][] = [];
    let next = 0;
    for (let k = 0; k + 1 < bounds.length; k++) {
      const [from, to] = [bounds[k]!, bounds[k + 1]! - 1];
      open = open.filter(([, high]) => high >= from);
      for (; next < sorted.length && sorted[next]![0] <= from; next++) open.push(sorted[next]!);
      this.#spend(1 + open.length);
      const nodes = new Set(open.map(([, , target]) => target));
      if (nodes.size === 0) continue;
      const target = [...nodes].sort((a, b) => a - b);
      // Neighbours that lead to one place are one range.
      if (highs.at(-1) === from - 1 && targets.at(-1)!.join() === target.join()) {
        highs[highs.length - 1] = to;
        continue;
      }
      lows.push(from);
      highs.push(to);
      targets.push(target);
    }
    return { lows, highs, targets };
  }

  #closure(nodes: readonly number[]): number[] {
    const seen = new Set(nodes);
    for (const node of seen) for (const to of this.#nodes[node]!.empty) seen.add(to);
    // Nodes with empty edges alone say nothing beyond their targets.
    const telling = [...seen].filter((node) => {
      const { edges, calls } = this.#nodes[node]!;
      return node === this.accept || edges.length > 0 || calls.length > 0;
    });
    return telling.sort((a, b) => a - b);
  }

  #reachEmpty(isNullable: (callee: Callee) => boolean): { seen: Set<number>; callees: Callee[] } {
    const seen = new Set([0]);
    const callees: Callee[] = [];
    for (const node of seen) {
      const { empty, calls } = this.#nodes[node]!;
      for (const to of empty) seen.add(to);
      for (const { callee, to } of calls) {
        callees.push(callee);
        if (isNullable(callee)) seen.add(to);
      }
    }
    return { seen, callees };
  }
}
