/**
 * Where a text may stand in a grammar: threads, each a state of a region and the stack of what called it. Stacks
 * are shared from below; equal ones are one object.
 */
import { PronkError } from "../errors.ts";
import type { Callee, Repeat, State } from "./region.ts";

/** What goes on when a callee's text is complete; the bottom has neither state nor repeat. */
export class Frame {
  readonly parent: Frame | undefined;
  /** Goes on in this state, */
  readonly state: State | undefined;
  /** or with the item after this many, */
  readonly repeat: Repeat | undefined;
  readonly count: number;
  /** The count of the frame that stands on the bottom. */
  readonly baseCount: number;
  /** Differs from every other frame's of its bottom. */
  readonly id: number;
  readonly #numbers: { next: number };
  readonly #above: Map<number, Frame> = new Map();
  /** What follows when it goes on: kept by token-masks.ts. */
  after: unknown;

  private constructor(
    numbers: { next: number },
    parent?: Frame,
    state?: State,
    repeat?: Repeat,
    count = 0,
  ) {
    this.#numbers = numbers;
    this.parent = parent;
    this.state = state;
    this.repeat = repeat;
    this.count = count;
    this.baseCount = parent?.parent ? parent.baseCount : count;
    this.id = numbers.next++;
  }

  static bottom(): Frame {
    return new Frame({ next: 0 });
  }

  goOnIn(state: State): Frame {
    let frame = this.#above.get(state.id);
    if (frame === undefined) {
      frame = new Frame(this.#numbers, this, state);
      this.#above.set(state.id, frame);
    }
    return frame;
  }

  goOnAfter(repeat: Repeat, count: number): Frame {
    // States have numbers from 0 up, and repeats have theirs from the same counter.
    const key = -1 - (repeat.index * COUNTS + count);
    let frame = this.#above.get(key);
    if (frame === undefined) {
      frame = new Frame(this.#numbers, this, undefined, repeat, count);
      this.#above.set(key, frame);
    }
    return frame;
  }
}

/** More than any count: compile-grammar.ts takes larger ones for infinity. */
const COUNTS = 2 ** 21;

/** Bounds time on ambiguous grammars: each thread is another way to read the text. */
const MAX_THREADS = 2_000;

/** Of calls and ends that are followed for one byte. */
const MAX_VISITS = 4 * MAX_THREADS;

/** A thread reads the next byte in `state`. */
export interface Thread {
  readonly state: State;
  readonly frame: Frame;
}

/** Between two items, or before the first: where a thread stands that a repeat covers. */
export interface Boundary {
  readonly repeat: Repeat;
  readonly count: number;
  readonly frame: Frame;
}

/** Every way to go on. */
export interface Position {
  /** All that read a byte. */
  readonly threads: readonly Thread[];
  /** Those of them that stand in no boundary below. */
  readonly own: readonly Thread[];
  readonly boundaries: readonly Boundary[];
  /** Whether the text may end here: the bottom is reached. */
  readonly complete: boolean;
  /** Places that were looked at to find it: what it cost. */
  readonly visits: number;
}

/** Before the callee's first byte. */
export function enter(callee: Callee, frame: Frame): Position {
  const closure = new Closure();
  closure.enter(callee, frame, false);
  return closure.position();
}

/** After what the frame waited for. */
export function leave(frame: Frame): Position {
  const closure = new Closure();
  closure.leave(frame, false);
  return closure.position();
}

/** After a byte; without threads and not complete where it cannot come. */
export function step(position: Position, byte: number): Position {
  const closure = new Closure();
  for (const { state, frame } of position.threads) {
    const next = state.step(byte);
    if (next !== undefined) closure.expand(next, frame, false);
  }
  return closure.position();
}

/** Follows calls and ends until every thread reads a byte. */
class Closure {
  readonly #threads: Thread[] = [];
  readonly #own: Thread[] = [];
  readonly #boundaries: Boundary[] = [];
  /** Places that were visited: by a boundary's items alone, or otherwise too. */
  readonly #seen: Map<number, Map<number, { covered: boolean }>> = new Map();
  #complete = false;
  #visits = 0;

  position(): Position {
    return {
      threads: this.#threads,
      own: this.#own,
      boundaries: this.#boundaries,
      complete: this.#complete,
      visits: this.#visits,
    };
  }

  expand(state: State, frame: Frame, covered: boolean): void {
    const known = this.#visit(state.id, frame.id, covered);
    if (known === "done") return;
    if (state.readsBytes) {
      const thread = { state, frame };
      if (known === "new" && this.#threads.push(thread) > MAX_THREADS) throw tooManyWays();
      if (!covered) this.#own.push(thread);
    }
    for (const { callee, to } of state.calls) {
      // A call with nothing behind it needs no frame: stacks of lists that end with themselves stay low.
      this.enter(callee, to.isEnd ? frame : frame.goOnIn(to), covered);
    }
    if (state.accepting) this.leave(frame, covered);
  }

  enter(callee: Callee, frame: Frame, covered: boolean): void {
    if (callee.type === "region") this.expand(callee.start, frame, covered);
    else this.#atBoundary(callee, 0, frame, covered);
  }

  leave(frame: Frame, covered: boolean): void {
    const { parent } = frame;
    if (parent === undefined) this.#complete = true;
    else if (frame.state !== undefined) this.expand(frame.state, parent, covered);
    // An item that is empty is none: what needs so many was told that it needs none (compile-grammar.ts).
    else if (!covered) this.#atBoundary(frame.repeat!, frame.count, parent, covered);
  }

  #atBoundary(repeat: Repeat, count: number, frame: Frame, covered: boolean): void {
    const { min, max, item } = repeat;
    const known = this.#visit(-1 - (repeat.index * COUNTS + count), frame.id, covered);
    if (known === "done") return;
    if (!covered) this.#boundaries.push({ repeat, count, frame });
    if (count < max) {
      // Of endless repeats only whether there are enough matters.
      const next = max === Number.POSITIVE_INFINITY ? Math.min(count + 1, min) : count + 1;
      this.expand(item.start, frame.goOnAfter(repeat, next), true);
    }
    if (count >= min) this.leave(frame, covered);
  }

  #visit(place: number, frame: number, covered: boolean): "new" | "again" | "done" {
    if (++this.#visits > MAX_VISITS) throw tooManyWays();
    let frames = this.#seen.get(place);
    if (frames === undefined) {
      frames = new Map();
      this.#seen.set(place, frames);
    }
    const visit = frames.get(frame);
    if (visit === undefined) {
      frames.set(frame, { covered });
      return "new";
    }
    if (!visit.covered || covered) return "done";
    visit.covered = false;
    return "again";
  }
}

function tooManyWays(): PronkError {
  return new PronkError("bad_request", `grammar: more than ${MAX_THREADS} ways to read a text`);
}
