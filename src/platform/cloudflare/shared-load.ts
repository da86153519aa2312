/**
 * One load for all requests of an isolate. Whoever comes first starts it; the others wait for it.
 * A load that fails is started again by the next request, and so is one that stands still: Workers
 * silently stops the work of a request whose client has gone, and nobody would ever be told.
 */

/** Longer than a stall of storage is allowed to last, so that it is not taken for a dead load. */
const STALL_MS = 40_000;

export interface SharedLoad<Result> {
  /** The result, loaded now if need be. */
  get(start: (onProgress: (fraction: number) => void) => Promise<Result>): Promise<Result>;
  /** The result, if it is there. */
  readonly result: Result | undefined;
  /** From 0 to 1, while loading. */
  readonly progress: number | undefined;
  /** Why the last load failed, until one succeeds. */
  readonly error: unknown;
}

interface Attempt<Result> {
  readonly promise: Promise<Result>;
  movedMs: number;
  progress: number;
}

/**
 * @param after calls `run` once after `ms`, unless the returned function was called before.
 * @param isOver whether a result is of no use any more: the next request loads anew.
 */
export function createSharedLoad<Result>(
  now: () => number = () => performance.now(),
  after: (ms: number, run: () => void) => () => void = timer,
  isOver: (result: Result) => boolean = () => false,
): SharedLoad<Result> {
  let current: Attempt<Result> | undefined;
  let result: Result | undefined;
  let error: unknown;

  /** Lets go of a result that is over, before another one takes as much memory. */
  const forget = (): void => {
    if (result === undefined || !isOver(result)) return;
    result = undefined;
    current = undefined;
  };
  const begin = (
    start: (onProgress: (fraction: number) => void) => Promise<Result>,
  ): Attempt<Result> => {
    const attempt: Attempt<Result> = {
      movedMs: now(),
      progress: 0,
      promise: start((fraction) => {
        attempt.progress = fraction;
        attempt.movedMs = now();
      }).then(
        (loaded) => {
          // The first that comes through counts, also one that was given up too early.
          result ??= loaded;
          error = undefined;
          return result;
        },
        (failure: unknown) => {
          if (current === attempt) {
            current = undefined;
            error = failure;
          }
          throw failure;
        },
      ),
    };
    return attempt;
  };

  return {
    get result() {
      forget();
      return result;
    },
    get progress() {
      return result === undefined ? current?.progress : 1;
    },
    get error() {
      return error;
    },
    async get(start): Promise<Result> {
      // What was begun earlier may have read what was repaired since: its failure is not the answer.
      let isEarlier = current !== undefined;
      for (;;) {
        forget();
        if (result !== undefined) return result;
        if (!current || now() - current.movedMs > STALL_MS) current = begin(start);
        const { promise } = current;
        let cancel = (): void => {};
        const late = new Promise<boolean>((resolve) => {
          cancel = after(STALL_MS, () => resolve(false));
        });
        const ended = promise.then(
          () => true,
          () => true,
        );
        if (!(await Promise.race([ended, late]).finally(cancel))) continue;
        try {
          return await promise;
        } catch (failure) {
          if (!isEarlier) throw failure;
          isEarlier = false;
        }
      }
    },
  };
}

function timer(ms: number, run: () => void): () => void {
  const id = setTimeout(run, ms);
  return () => clearTimeout(id);
}
