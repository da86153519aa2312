/** Lets several users of a runner share it: slots are lent, and batches run one at a time. */
import type { Runner } from "../../backends/backend.ts";
import { PronkError } from "../../errors.ts";

export interface RunnerShare {
  /** @throws PronkError "overloaded" when so many are not free. */
  takeSlots(count: number): readonly number[];
  giveSlots(slots: readonly number[]): void;
  /** Runs jobs in the order of asking: a batch, and what is read of it before the next one. */
  exclusive<T>(job: () => Promise<T>): Promise<T>;
}

/** For a runner whose slots are nobody else's. */
export function createRunnerShare({ slots }: Pick<Runner, "slots">): RunnerShare {
  const free = Array.from({ length: slots }, (_, slot) => slot).reverse();
  let last: Promise<unknown> = Promise.resolve();
  return {
    takeSlots(count) {
      if (count > free.length) {
        const left = `${free.length} of ${slots} slots are free`;
        throw new PronkError("overloaded", `generate: ${count} rows, and ${left}`);
      }
      return free.splice(free.length - count);
    },
    giveSlots(given) {
      free.push(...given);
    },
    exclusive(job) {
      const result = last.then(job);
      last = result.catch(() => undefined);
      return result;
    },
  };
}
