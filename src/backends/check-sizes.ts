/** What a runner is made with, checked before anything is planned: no size that is none reaches a plan or a kernel. */
import { PronkError } from "../errors.ts";
import type { RunnerOptions } from "./runner-options.ts";

const SIZES = ["ctx", "slots", "maxRows", "maxLogits"] as const;

/** 4 GiB of anything are more than a memory has. */
const MOST = 2 ** 32;

/** @throws PronkError "bad_request" naming the option; "out_of_memory" where no memory has so many. */
export function checkSizes(options: Pick<RunnerOptions, (typeof SIZES)[number]>): void {
  for (const name of SIZES) {
    const size = options[name];
    if (!Number.isInteger(size) || size < 1) {
      throw new PronkError("bad_request", `${name} ${size} is not a positive integer`, {
        param: name,
      });
    }
    if (size > MOST) throw new PronkError("out_of_memory", `${name} ${size}: at most ${MOST}`);
  }
}
