/** Waiting, as something that callers can replace: tests do not wait, some clocks stand still. */
import { PronkError } from "../errors.ts";

/** Resolves after `ms`. Rejects with PronkError "aborted" as soon as the signal fires. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** `Sleep` by the timers that every runtime has. */
export const timerSleep: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      if (signal?.aborted) reject(new PronkError("aborted", "aborted", { cause: signal.reason }));
      else resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish);
    if (signal?.aborted) finish();
  });
