/** Collects the calls of one thread's part of a plan, with barriers where it must wait. */
import type { Call } from "../lower.ts";
import { type Access, Dependencies } from "./dependencies.ts";
import type { Part } from "./part.ts";

export class PartCalls {
  readonly calls: Call[] = [];
  readonly #isShared: boolean;
  readonly #barrier: Call;
  readonly #dependencies = new Dependencies();

  constructor(part: Part, barrier: Call) {
    this.#isShared = part.count > 1;
    this.#barrier = barrier;
  }

  /** Every thread comes by here for every call: one that is not its own it leaves out, no barrier. */
  emit(call: Call, reads: readonly Access[], writes: readonly Access[], isOwn = true): void {
    if (this.#isShared && this.#dependencies.next(reads, writes)) this.calls.push(this.#barrier);
    if (isOwn) this.calls.push(call);
  }
}
