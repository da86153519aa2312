/**
 * Whose turn it is when a slot comes free, so that none who asks much makes the others wait.
 *
 * Of callers that wait, the one with the fewest slots comes first; of equal ones who had the fewest rows computed since
 * both asked (start-time fair queueing: Goyal, Vin and Cheng, 1996: who was away has saved up nothing); of one caller
 * what came first.
 */

/** Somebody who waits for a slot. */
export interface Waiting {
  /** Whose it is; callers share evenly. */
  readonly caller: string;
  /** Order of arrival. */
  readonly arrival: number;
}

interface Share {
  waiting: number;
  running: number;
  /** Rows, from a start that is the same for all. */
  rows: number;
  /** When the last who was refused was told to come back, in ms. */
  promisedMs: number;
}

/** Callers that neither wait nor run are forgotten beyond this many: some more than a server has keys. */
const MOST_IDLE = 2048;

export class Shares {
  readonly #shares = new Map<string, Share>();
  /** Of those that wait or run. */
  #active = 0;

  /** One more of this caller waits. */
  wait(caller: string): void {
    this.#activate(caller).waiting++;
  }

  /** It waits no more, whether it runs now or not. */
  unwait(caller: string): void {
    this.#drop(caller, "waiting");
  }

  run(caller: string): void {
    this.#activate(caller).running++;
  }

  stop(caller: string): void {
    this.#drop(caller, "running");
  }

  /** Rows were computed for it. */
  charge(caller: string, rows: number): void {
    const share = this.#shares.get(caller);
    if (share !== undefined) share.rows += rows;
  }

  /** Below 0: `a` comes first. */
  compare(a: Waiting, b: Waiting): number {
    if (a.caller === b.caller) return a.arrival - b.arrival;
    const [one, other] = [this.#shares.get(a.caller), this.#shares.get(b.caller)];
    return (
      (one?.running ?? 0) - (other?.running ?? 0) ||
      (one?.rows ?? 0) - (other?.rows ?? 0) ||
      a.arrival - b.arrival
    );
  }

  /** How many that wait now are served before one more of this caller. */
  before(caller: string): number {
    const own = this.waiting(caller);
    let count = own;
    for (const [name, { waiting }] of this.#shares) {
      if (name !== caller) count += Math.min(waiting, own + 1);
    }
    return count;
  }

  waiting(caller: string): number {
    return this.#shares.get(caller)?.waiting ?? 0;
  }

  /** Who has more than one more waiting than this caller, and most of all; undefined: nobody. */
  greediest(caller: string): string | undefined {
    let most = this.waiting(caller) + 1;
    let found: string | undefined;
    for (const [name, { waiting }] of this.#shares) {
      if (waiting <= most) continue;
      most = waiting;
      found = name;
    }
    return found;
  }

  /** Callers that wait or run, this one in any case. */
  count(caller: string): number {
    const share = this.#shares.get(caller);
    return this.#active + (share !== undefined && isActive(share) ? 0 : 1);
  }

  /**
   * A time for one who is refused to come back: each of a caller another one, `everyMs` apart.
   *
   * @returns ms from now.
   */
  promise(caller: string, nowMs: number, everyMs: number, mostMs: number): number {
    const share = this.#shares.get(caller);
    const last = Math.max(nowMs, share?.promisedMs ?? 0);
    const promised = Math.min(last + everyMs, nowMs + mostMs);
    if (share !== undefined) share.promisedMs = promised;
    return promised - nowMs;
  }

  #activate(caller: string): Share {
    let share = this.#shares.get(caller);
    if (share === undefined) {
      share = { waiting: 0, running: 0, rows: 0, promisedMs: 0 };
      this.#shares.set(caller, share);
    }
    if (!isActive(share)) {
      share.rows = Math.max(share.rows, this.#leastRows());
      this.#active++;
    }
    return share;
  }

  #leastRows(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const share of this.#shares.values()) {
      if (isActive(share)) least = Math.min(least, share.rows);
    }
    return Number.isFinite(least) ? least : 0;
  }

  #drop(caller: string, what: "waiting" | "running"): void {
    const share = this.#shares.get(caller);
    if (share === undefined) return;
    share[what]--;
    if (isActive(share)) return;
    this.#active--;
    // Alone with nobody there is nothing to compare: all begin anew.
    if (this.#active === 0) this.#shares.clear();
    else if (this.#shares.size > MOST_IDLE) this.#forget();
  }

  #forget(): void {
    for (const [name, share] of this.#shares) if (!isActive(share)) this.#shares.delete(name);
  }
}

function isActive({ waiting, running }: Share): boolean {
  return waiting + running > 0;
}
