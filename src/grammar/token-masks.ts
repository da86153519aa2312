/**
 * Which tokens may come at a position of a grammar. What a state allows does not depend on what called it, but for
 * tokens that go beyond the callee's end: so each state's tokens are found once, with the nodes of the trie that lie
 * behind its end, and only these are looked at again for each caller.
 */
import { PronkError } from "../errors.ts";
import { Repeat, type State } from "./region.ts";
import { enter, Frame, leave, type Position, step } from "./stacks.ts";
import { PLAIN, type TokenTrie } from "./token-trie.ts";

/** Tokens as bits, or as a list where they are few. */
interface TokenSet {
  readonly bits: Uint32Array | undefined;
  readonly ids: Uint32Array;
}

/** Of a state, or of a repeat without bounds: what holds for a bound follows from the counts. */
interface Memo {
  readonly set: TokenSet;
  /**
   * Of repeats, tokens by the items that they begin, at least: `byItems[n]` begin n. One that ends between two items
   * may come wherever there is room for its items: either more follow, or the end.
   */
  readonly byItems: readonly Uint32Array[];
  /** Bytes behind the end that `exits` were collected for. */
  readonly exitBytes: Uint8Array;
  /** Nodes whose last byte is the first behind the end. */
  readonly exits: Uint32Array;
  /** Items of the repeat that are complete at each exit. */
  readonly exitItems: Uint32Array;
}

/** What follows in a frame: the same for all that ends there. */
interface After {
  readonly position: Position;
  /** Bytes that may come: 1, else 0. */
  readonly bytes: Uint8Array;
  /** By memo: tokens that go beyond the end and on in the frame. */
  readonly tokens: Map<Memo, Behind>;
}

interface Behind {
  readonly ids: readonly number[];
  /** Which exit each takes. */
  readonly exits: readonly number[];
}

/** What keeps a memo. */
interface Holder {
  memo: unknown;
}

/** Of what the memos of all grammars hold; beyond it they are made again when they are needed. */
const MAX_MEMO_BYTES = 8e6;
/** Objects and empty lists of a memo. */
const MEMO_BYTES = 1_000;

/** What mostly comes behind a string or a number: looked for at once, whoever asks first. */
const BEHIND_VALUES = [...' ,:]}"'].map((character) => character.charCodeAt(0));

/** What masks of one text may cost at once, and what each adds again: a vocabulary of 128,256 has 400,000 nodes, each a step. */
const MAX_STEPS = 16e6;
const STEPS_PER_MASK = 400_000;

/** What a state that calls nothing does not need: maps are looked into, stacks are made. */
const STEPS_PER_VISIT = 16;

/** Items of a repeat without bounds; more would pass what frames can count. */
const MOST_ITEMS = 1_000_000;

/** What the masks of one text may still cost. */
export class MaskCredit {
  #steps = MAX_STEPS;

  restore(): void {
    this.#steps = Math.min(MAX_STEPS, this.#steps + STEPS_PER_MASK);
  }

  /** @throws PronkError "bad_request" */
  spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw tooManyWays();
  }
}

export class TokenMasks {
  readonly #trie: TokenTrie;
  readonly #scratch: Uint32Array;
  readonly #holders: Set<Holder> = new Set();
  #memoBytes = 0;
  #credit = new MaskCredit();

  constructor(trie: TokenTrie) {
    this.#trie = trie;
    this.#scratch = new Uint32Array(Math.ceil(trie.vocab / 32));
  }

  /** What memos take at present. */
  get bytes(): number {
    return this.#memoBytes;
  }

  /**
   * Sets the bit of every token that may come; `into` has a bit for each token.
   *
   * @throws PronkError "bad_request" for a grammar that is too ambiguous to be followed.
   */
  add({ own, boundaries }: Position, into: Uint32Array, credit: MaskCredit): void {
    credit.restore();
    this.#credit = credit;
    for (const { state, frame } of own) {
      const after = this.#afterOf(frame);
      const memo = this.#memoOf(state, after.bytes);
      addSet(memo.set, into);
      addIds(this.#behind(memo, after).ids, into);
    }
    for (const { repeat, count, frame } of boundaries) {
      const room = repeat.max - count;
      const after = this.#afterOf(frame);
      const memo = this.#memoOfRepeat(repeat, after.bytes);
      this.#addWithin(memo, room, into);
      const { ids, exits } = this.#behind(memo, after);
      for (let i = 0; i < ids.length; i++) {
        const items = memo.exitItems[exits[i]];
        if (items <= room && count + items >= repeat.min) addId(ids[i], into);
      }
    }
  }

  /** The tokens that begin at most so many items. */
  #addWithin({ set, byItems }: Memo, room: number, into: Uint32Array): void {
    if (room >= byItems.length - 1) {
      addSet(set, into);
    } else if (set.bits === undefined) {
      for (let n = 0; n <= room; n++) addIds(byItems[n], into);
    } else {
      const within = this.#scratch;
      within.set(set.bits);
      for (let n = room + 1; n < byItems.length; n++) {
        for (const id of byItems[n]) within[id >>> 5] &= ~(1 << (id & 31));
      }
      addBits(within, into);
    }
  }

  #afterOf(frame: Frame): After {
    frame.after ??= this.#makeAfter(frame);
    return frame.after as After;
  }

  #makeAfter(frame: Frame): After {
    const position = leave(frame);
    this.#credit.spend(STEPS_PER_VISIT * position.visits);
    const bytes = new Uint8Array(256);
    for (const { state } of position.threads) state.addBytes(bytes);
    return { position, bytes, tokens: new Map() };
  }

  #behind(memo: Memo, after: After): Behind {
    const { position, tokens: known } = after;
    let behind = known.get(memo);
    if (behind !== undefined) return behind;
    const { bytes, firsts, tokens } = this.#trie;
    const ids: number[] = [];
    const exits: number[] = [];
    const first = (node: number, exit: number): void => {
      for (let i = firsts[node]; i < firsts[node + 1]; i++) {
        ids.push(tokens[i]);
        exits.push(exit);
      }
    };
    for (let exit = 0; exit < memo.exits.length; exit++) {
      const node = memo.exits[exit];
      if (after.bytes[bytes[node]] === 0) continue;
      const next = this.#step(position, bytes[node]);
      if (next === undefined) continue;
      first(node, exit);
      this.#walk(next, node, (below) => first(below, exit));
    }
    behind = { ids, exits };
    known.set(memo, behind);
    return behind;
  }

  #memoOf(state: State, exitBytes: Uint8Array): Memo {
    const known = state.memo as Memo | undefined;
    if (known !== undefined && serves(known, exitBytes)) return known;
    const wanted = exitBytes.slice();
    for (const byte of BEHIND_VALUES) wanted[byte] = 1;
    return this.#collect(state, wanted, (into) => {
      this.#walkState(state, undefined, 0, false, 0, into);
    });
  }

  #memoOfRepeat(repeat: Repeat, exitBytes: Uint8Array): Memo {
    const { item, index } = repeat;
    const known = item.memo as Memo | undefined;
    if (known !== undefined && serves(known, exitBytes)) return known;
    const endless = new Repeat(item, 0, MOST_ITEMS, index);
    return this.#collect(item, exitBytes, (into) => {
      const { start } = item;
      if (start.isPlain && !start.accepting) this.#walkState(start, endless, 0, false, 0, into);
      else this.#walkFrom(enter(endless, Frame.bottom()), 0, into);
    });
  }

  #collect(holder: Holder, exitBytes: Uint8Array, walk: (into: Found) => void): Memo {
    const known = holder.memo as Memo | undefined;
    const wanted = exitBytes.map((byte, i) => byte | (known?.exitBytes[i] ?? 0));
    const found: Found = {
      ...{ byItems: [], exits: [], exitItems: [], exitBytes: wanted },
      endsInPlainText: PLAIN.some((byte) => wanted[byte] === 1),
    };
    walk(found);
    const byItems = found.byItems.map((ids) => Uint32Array.from(ids));
    const count = byItems.reduce((sum, ids) => sum + ids.length, 0);
    const words = this.#scratch.length;
    const isLong = count >= words;
    const bits = isLong ? new Uint32Array(words) : undefined;
    if (bits !== undefined) for (const ids of byItems) addIds(ids, bits);
    const ids = new Uint32Array(isLong ? 0 : count);
    if (!isLong) {
      let at = 0;
      for (const some of byItems) {
        ids.set(some, at);
        at += some.length;
      }
    }
    const exits = Uint32Array.from(found.exits);
    const memo: Memo = {
      set: { bits, ids },
      // Where there are no items, nobody asks how many.
      byItems: byItems.length === 1 ? [] : byItems,
      exitBytes: wanted,
      exits,
      exitItems: Uint32Array.from(found.exitItems),
    };
    const lists = byItems.length === 1 ? 0 : count;
    this.#keep(
      holder,
      memo,
      MEMO_BYTES + 4 * ((isLong ? words : count) + lists + 2 * exits.length),
    );
    return memo;
  }

  #keep(holder: Holder, memo: Memo, bytes: number): void {
    this.#memoBytes += bytes;
    if (this.#memoBytes > MAX_MEMO_BYTES) {
      for (const other of this.#holders) other.memo = undefined;
      this.#holders.clear();
      this.#memoBytes = bytes;
    }
    holder.memo = memo;
    this.#holders.add(holder);
  }

  /**
   * Goes on from `node` in a state that calls nothing: most of a vocabulary is walked here.
   *
   * @param repeat the state is one of its item's, of which `items` are complete; undefined for a region's own
   * @param atEnd the text of `node` may be all of the region, or of that many items
   */
  #walkState(
    state: State,
    repeat: Repeat | undefined,
    items: number,
    atEnd: boolean,
    node: number,
    into: Found,
  ): void {
    const { bytes, ends, plain } = this.#trie;
    const end = ends[node];
    for (let child = node + 1; child < end; child = ends[child]) {
      const byte = bytes[child];
      if (atEnd && into.exitBytes[byte] === 1) addExit(child, items, into);
      const next = state.step(byte);
      if (next === undefined) continue;
      this.#credit.spend(1);
      const isLeaf = ends[child] === child + 1;
      if (repeat !== undefined && isWholeItem(next)) {
        this.#take(child, items + 1, into);
        if (isLeaf) continue;
        const { start } = repeat.item;
        if (plain[child] > 0 && !into.endsInPlainText && plainTextOf(start) === "items") {
          this.#takePlainItems(child, items + 1, into);
        } else this.#walkState(start, repeat, items + 1, true, child, into);
      } else if (next.isPlain && (repeat === undefined || !next.accepting)) {
        if (plain[child] > 0 && repeat === undefined && plainTextOf(next) === "stays") {
          this.#takeBelow(child, into);
          continue;
        }
        this.#take(child, repeat === undefined ? 0 : items + 1, into);
        if (!isLeaf) this.#walkState(next, repeat, items, next.accepting, child, into);
      } else {
        const bottom = Frame.bottom();
        const frame = repeat === undefined ? bottom : bottom.goOnAfter(repeat, items + 1);
        const threads = [{ state, frame }];
        const position = { threads, own: threads, boundaries: [], complete: false, visits: 0 };
        const after = step(position, byte);
        this.#credit.spend(STEPS_PER_VISIT * after.visits);
        this.#take(child, begunItems(after), into);
        if (!isLeaf) this.#walkFrom(after, child, into);
      }
    }
  }

  /** As #walkState, from any position; its bottom is the end. */
  #walkFrom(position: Position, node: number, into: Found): void {
    const { bytes, ends } = this.#trie;
    const complete = completeItems(position, node);
    const end = ends[node];
    for (let child = node + 1; child < end; child = ends[child]) {
      const byte = bytes[child];
      if (into.exitBytes[byte] === 1) for (const items of complete) addExit(child, items, into);
      const after = this.#step(position, byte);
      if (after === undefined) continue;
      this.#take(child, begunItems(after), into);
      if (ends[child] > child + 1) this.#walkFrom(after, child, into);
    }
  }

  #take(node: number, items: number, { byItems }: Found): void {
    const { firsts, tokens } = this.#trie;
    while (byItems.length <= items) byItems.push([]);
    const list = byItems[items];
    for (let i = firsts[node]; i < firsts[node + 1]; i++) list.push(tokens[i]);
  }

  /** All tokens that begin with the text of `node`. */
  #takeBelow(node: number, { byItems }: Found): void {
    const { ends, firsts, tokens } = this.#trie;
    if (byItems.length === 0) byItems.push([]);
    const list = byItems[0];
    const end = firsts[ends[node]];
    for (let i = firsts[node]; i < end; i++) list.push(tokens[i]);
  }

  /** All tokens below `node`, whose every byte is an item. */
  #takePlainItems(node: number, items: number, into: Found): void {
    const { ends, plain } = this.#trie;
    const before = items - plain[node];
    for (let below = node + 1; below < ends[node]; below++) {
      this.#take(below, before + plain[below], into);
    }
  }

  /** Every node below `node` whose text the position reads. */
  #walk(position: Position, node: number, visit: (node: number) => void): void {
    const { bytes, ends } = this.#trie;
    const end = ends[node];
    for (let child = node + 1; child < end; child = ends[child]) {
      const after = this.#step(position, bytes[child]);
      if (after === undefined) continue;
      visit(child);
      if (ends[child] > child + 1) this.#walk(after, child, visit);
    }
  }

  #step(position: Position, byte: number): Position | undefined {
    const after = step(position, byte);
    this.#credit.spend(STEPS_PER_VISIT * after.visits + position.threads.length);
    return after.threads.length === 0 && !after.complete ? undefined : after;
  }
}

function serves(memo: Memo, exitBytes: Uint8Array): boolean {
  return exitBytes.every((wanted, byte) => wanted <= memo.exitBytes[byte]);
}

/** What a walk collects. */
interface Found {
  readonly byItems: number[][];
  readonly exits: number[];
  readonly exitItems: number[];
  readonly exitBytes: Uint8Array;
  /** Whether there are PLAIN bytes among them. */
  readonly endsInPlainText: boolean;
}

/** Where every PLAIN byte leads: back to the state, to the end of an item, or elsewhere. */
type PlainText = "stays" | "items" | "other";

/** Most of a vocabulary is plain text, and most of what is asked for the inside of strings: it is not walked byte by byte. */
function plainTextOf(state: State): PlainText {
  state.plainText ??= findPlainText(state);
  return state.plainText as PlainText;
}

function findPlainText(state: State): PlainText {
  if (PLAIN.every((byte) => state.step(byte) === state)) return state.accepting ? "other" : "stays";
  return PLAIN.every((byte) => isWholeItem(state.step(byte))) ? "items" : "other";
}

/** Behind the only way on there is: the next item, or the end. */
function isWholeItem(state: State | undefined): boolean {
  return state?.accepting === true && !state.readsBytes && state.isPlain;
}

function addExit(node: number, items: number, { exits, exitItems }: Found): void {
  exits.push(node);
  exitItems.push(items);
}

/** The fewest items of a repeat on the bottom that were begun; of a region, 0. */
function begunItems({ own, boundaries, complete }: Position): number {
  let least = MOST_ITEMS;
  for (const { frame } of own) least = Math.min(least, frame.baseCount);
  for (const { frame, count } of boundaries) {
    least = Math.min(least, frame.parent === undefined ? count : frame.baseCount);
  }
  return least === MOST_ITEMS && complete ? 0 : least;
}

/** Of a repeat on the bottom the items that may just have ended; of a region that may have ended, 0. */
function completeItems({ boundaries, complete }: Position, node: number): readonly number[] {
  if (!complete) return [];
  const items = boundaries
    .filter(({ frame }) => frame.parent === undefined)
    .map(({ count }) => count);
  if (items.length > 0) return items;
  return node > 0 ? [0] : [];
}

function tooManyWays(): PronkError {
  return new PronkError("bad_request", "grammar: too many ways to read a token");
}

function addSet({ bits, ids }: TokenSet, into: Uint32Array): void {
  if (bits === undefined) addIds(ids, into);
  else addBits(bits, into);
}

function addBits(bits: Uint32Array, into: Uint32Array): void {
  for (let i = 0; i < bits.length; i++) into[i] |= bits[i];
}

function addIds(ids: ArrayLike<number>, into: Uint32Array): void {
  for (let i = 0; i < ids.length; i++) addId(ids[i], into);
}

function addId(id: number, into: Uint32Array): void {
  into[id >>> 5] |= 1 << (id & 31);
}
