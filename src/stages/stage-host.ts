/**
 * A stage that others use: sessions, each with slots of its own, over whatever carries their messages. It answers a
 * message at a time, so that sessions take turns batch by batch.
 */
import { PronkError } from "../errors.ts";
import { timerSleep } from "../sources/sleep.ts";
import type { Stage, StageRequest } from "./stage.ts";
import {
  decodeMessage,
  encodeFailure,
  encodeOpened,
  encodePong,
  encodeReply,
  type SlotCopy,
  type StageMessage,
} from "./stage-messages.ts";

export interface HostedStage {
  readonly stage: Stage;
  /** Of the model, as a front computes it: see engine/fingerprint.ts. */
  readonly fingerprint: string;
  /** A name of this memory, which no other has. */
  readonly instance: string;
}

/** What gives the stage: loaded by the first who asks, and again by who asks after a load that failed or a trap. */
export function keepLoaded(load: () => Promise<HostedStage>): () => Promise<HostedStage> {
  let hosted: Promise<HostedStage> | undefined;
  return () => {
    hosted =
      hosted?.then((one) => (one.stage.failure === undefined ? one : load()), load) ?? load();
    return hosted;
  };
}

export interface StageSession {
  /** Answers a message; what is wrong with it, or fails, is an answer, too. */
  answer(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives its slots back; nothing is answered any more. */
  close(): void;
}

export interface StageHostOptions {
  /**
   * A session that has been silent for so long has to give its slots to another that asks for them: where nobody tells
   * that a front is gone. Default: it keeps them.
   */
  readonly leaseMs?: number;
  readonly now?: () => number;
  /** How long one that opens waits for slots that are taken. Default 0: it is refused at once. */
  readonly waitMs?: number;
}

/** Of a session that is open. */
interface Lease {
  /** Whose cache has what the session wrote. */
  readonly stage: Stage;
  readonly slots: readonly number[];
  usedMs: number;
}

/** Where platforms let no request wake another, a slot is looked for again. */
const LOOK_AGAIN_MS = 20;

export class StageHost {
  readonly #get: () => HostedStage | Promise<HostedStage>;
  readonly #leases = new Set<Lease>();
  readonly #leaseMs: number;
  readonly #now: () => number;
  readonly #waitMs: number;

  /** @param get the stage, loaded now if need be. */
  constructor(
    get: () => HostedStage | Promise<HostedStage>,
    { leaseMs = Number.POSITIVE_INFINITY, now = () => 0, waitMs = 0 }: StageHostOptions = {},
  ) {
    this.#get = get;
    this.#leaseMs = leaseMs;
    this.#now = now;
    this.#waitMs = waitMs;
  }

  /** Sessions that are open. */
  get sessions(): number {
    return this.#leases.size;
  }

  connect(): StageSession {
    let lease: Lease | undefined;
    let isClosed = false;
    const give = (): void => {
      if (lease) this.#leases.delete(lease);
      lease = undefined;
    };
    const handle = async (message: StageMessage): Promise<Uint8Array<ArrayBuffer>> => {
      if (message.do === "ping") return encodePong();
      const hosted = await this.#get();
      if (isClosed) throw new PronkError("aborted", "stage: the session is closed");
      if (message.do === "open") {
        give();
        const taken = await this.#waitFor(hosted, message, () => isClosed);
        if (isClosed) {
          this.#leases.delete(taken);
          throw new PronkError("aborted", "stage: the session is closed");
        }
        lease = taken;
        const { stage, fingerprint, instance } = hosted;
        const sizes = { ...stage.info.sizes, slots: lease.slots.length };
        return encodeOpened({ ...stage.info, sizes, fingerprint, instance });
      }
      if (!lease) throw new PronkError("bad_request", "stage: no session is open");
      if (lease.stage !== hosted.stage) {
        const why = "stage: it was loaded anew";
        throw new PronkError("engine_failed", why, { retryAfterMs: 0 });
      }
      if (!this.#leases.has(lease)) {
        const why = "stage: the session was silent for too long";
        throw new PronkError("engine_failed", why, { retryAfterMs: 0 });
      }
      lease.usedMs = this.#now();
      return encodeReply(await run(hosted.stage, lease.slots, message.copies, message.request));
    };
    return {
      async answer(bytes) {
        try {
          return await handle(decodeMessage(bytes));
        } catch (error) {
          return encodeFailure(error);
        }
      },
      close() {
        isClosed = true;
        give();
      },
    };
  }

  async #waitFor(
    hosted: HostedStage,
    asked: { readonly slots: number; readonly fingerprint: string },
    isGone: () => boolean,
  ): Promise<Lease> {
    for (let waited = 0; ; waited += LOOK_AGAIN_MS) {
      try {
        return this.#take(hosted, asked);
      } catch (error) {
        const isTaken = error instanceof PronkError && error.code === "overloaded";
        if (!isTaken || waited >= this.#waitMs || isGone()) throw error;
      }
      await timerSleep(LOOK_AGAIN_MS);
    }
  }

  #take(
    { stage, fingerprint }: HostedStage,
    asked: { readonly slots: number; readonly fingerprint: string },
  ): Lease {
    if (asked.fingerprint !== fingerprint) {
      const found = `it serves ${fingerprint}, asked for ${asked.fingerprint.slice(0, 40)}`;
      throw new PronkError("bad_request", `stage: another model or form: ${found}`);
    }
    const all = stage.info.sizes.slots;
    for (const lease of this.#leases) if (lease.stage !== stage) this.#leases.delete(lease);
    let free = this.#free(all);
    if (free.length < (asked.slots || 1)) {
      for (const lease of this.#leases) {
        if (this.#now() - lease.usedMs > this.#leaseMs) this.#leases.delete(lease);
      }
      free = this.#free(all);
    }
    const count = asked.slots || free.length;
    if (count === 0 || free.length < count) {
      const found = `${free.length} of ${all} slots are free, ${asked.slots || 1} are needed`;
      throw new PronkError("overloaded", `stage: ${found}`);
    }
    const lease = { stage, slots: free.slice(0, count), usedMs: this.#now() };
    this.#leases.add(lease);
    return lease;
  }

  #free(count: number): number[] {
    const taken = new Set([...this.#leases].flatMap(({ slots }) => slots));
    return Array.from({ length: count }, (_, slot) => slot).filter((slot) => !taken.has(slot));
  }
}

/** With the session's slots in place of its own numbers for them. */
function run(
  stage: Stage,
  slots: readonly number[],
  copies: readonly SlotCopy[],
  request: StageRequest,
): ReturnType<Stage["run"]> {
  const own = (slot: number): number => {
    if (slot < slots.length) return slots[slot];
    throw new PronkError("bad_request", `stage: slot ${slot} of ${slots.length}`);
  };
  const { ctx } = stage.info.sizes;
  for (const { from, to, positions } of copies) {
    if (positions > ctx) throw new PronkError("bad_request", `stage: ${positions} positions`);
    stage.copySlot(own(from), own(to), positions);
  }
  const spans = request.spans?.map((span) => ({ ...span, slot: own(span.slot) }));
  return stage.run({ ...request, ...(spans && { spans }) });
}
