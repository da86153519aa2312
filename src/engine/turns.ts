/**
 * Turns of a scheduler, each of which runs a batch at most.
 *
 * There is no loop that belongs to the engine. Whatever runs or waits takes turns in its own caller's context, a macrotask
 * at a time: whoever wakes and finds that nobody took a turn since it last looked takes one. Turns therefore go on when
 * the request that happened to take them ends; in Workers a loop started by one request dies with it and takes all others
 * along. And who waits has always something of its own pending: without it Workers take a request for hung, and end it.
 */
import type { Flight } from "./flight.ts";
import { DRIVER_LEASE_TURNS, MISSED_TURNS } from "./leases.ts";
import type { WorkBudget, WorkClock } from "./work-budget.ts";

/** What takes turns while it runs or waits. */
export interface Driven {
  /** Turns when its driver woke last. */
  lastDriven: number;
}

/** What of the scheduler they need. */
export interface TurnsHost {
  readonly flight: Flight;
  readonly work: WorkClock;
  yieldTask(): Promise<void>;
  /** Takes one. A promise only where the runner gives one. */
  take(): Promise<void> | undefined;
}

export class Turns {
  /** That were taken. */
  count = 0;
  readonly #host: TurnsHost;

  constructor(host: TurnsHost) {
    this.#host = host;
  }

  /**
   * Takes turns in its caller's context.
   *
   * @param work what they count for.
   * @param goOn asked at each waking, before the turn and after it.
   */
  async drive(driven: Driven, work: WorkBudget | undefined, goOn: () => boolean): Promise<void> {
    const { flight, work: clock, yieldTask, take } = this.#host;
    driven.lastDriven = this.count;
    while (goOn()) {
      const seen = this.count;
      await yieldTask();
      if (flight.current !== undefined) await flight.current;
      else if (this.count === seen && goOn()) await clock.spend(work, take);
      driven.lastDriven = this.count;
    }
  }

  /** Whether its driver did not come for the last turn. */
  isMissed({ lastDriven }: Readonly<Driven>): boolean {
    return this.count - lastDriven >= MISSED_TURNS;
  }

  /** Whether nobody will come. */
  isLost({ lastDriven }: Readonly<Driven>): boolean {
    return this.count - lastDriven > DRIVER_LEASE_TURNS;
  }
}
