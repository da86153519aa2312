/** The batch that an asynchronous runner is at, and what waits for its end. */
import { PronkError } from "../errors.ts";

export class Flight {
  /** Times that all caches were lost. */
  losses = 0;
  /** Never rejects. */
  #inFlight: Promise<void> | undefined;
  /** Why nothing can be run any more. */
  readonly #closed: () => PronkError | undefined;

  constructor(closed: () => PronkError | undefined) {
    this.#closed = closed;
  }

  /** undefined: nothing is being run. */
  get current(): Promise<void> | undefined {
    return this.#inFlight;
  }

  /** Waits for what is asynchronous; the promise that it keeps never rejects. */
  fly(
    work: Promise<void>,
    then: () => void | Promise<void>,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const flight = work.then(then, fail).finally(() => {
      if (this.#inFlight === flight) this.#inFlight = undefined;
    });
    this.#inFlight = flight;
    return flight;
  }

  /** Does what no batch may run beside, now or after the one that runs. @throws why nothing can be run any more. */
  async between<Result>(work: () => Result): Promise<Awaited<Result>> {
    while (this.#inFlight !== undefined) await this.#inFlight;
    this.check();
    return await work();
  }

  /** @throws PronkError: why nothing can be run any more. */
  check(): void {
    const closed = this.#closed();
    if (closed !== undefined) throw closed;
  }

  /** As `between`; where the work is asynchronous, no batch begins before it has ended. */
  alone<Result>(work: () => Result): Promise<Awaited<Result>> {
    return this.between(() => {
      const working = work();
      const ended = (): void => {};
      if (working instanceof Promise) void this.fly(working.then(ended), ended, ended);
      return working;
    });
  }
}

/** What a runner failed with. */
export function backendFailure(cause: unknown): PronkError {
  // Which stage was lost is for whoever can start it again, and that it may be back for whoever asks again.
  const why = isLoss(cause) ? `: ${(cause as PronkError).message}` : "";
  const again = isLoss(cause) ? { retryAfterMs: 0 } : {};
  return new PronkError("engine_failed", `engine: the backend failed${why}`, { cause, ...again });
}

/** A part of the model was lost, and with it every cache; the runner reaches for it again with the next batch. */
export function isLoss(error: unknown): boolean {
  return (
    error instanceof PronkError &&
    error.code === "engine_failed" &&
    error.retryAfterMs !== undefined
  );
}

/** A refused batch wrote nothing; after any other error the runner's memory cannot be trusted. */
export function isRefusal(error: unknown): boolean {
  return error instanceof PronkError && error.code === "bad_request";
}
