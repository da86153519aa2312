/**
 * A stage that others use: sessions, each with slots of its own, over whatever carries their messages. It answers a
 * message at a time, so that sessions take turns batch by batch.
 */
import { PronkError } from "../errors.ts";
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

export interface StageSession {
  /** Answers a message; what is wrong with it, or fails, is an answer, too. */
  answer(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives its slots back; nothing is answered any more. */
  close(): void;
}

export class StageHost {
  readonly #get: () => HostedStage | Promise<HostedStage>;
  /** Slots that sessions have. */
  readonly #taken = new Set<number>();
  #sessions = 0;

  /** @param get the stage, loaded now if need be. */
  constructor(get: () => HostedStage | Promise<HostedStage>) {
    this.#get = get;
  }

  /** Sessions that are open. */
  get sessions(): number {
    return this.#sessions;
  }

  connect(): StageSession {
    let slots: readonly number[] | undefined;
    let isClosed = false;
    const give = (): void => {
      for (const slot of slots ?? []) this.#taken.delete(slot);
      if (slots) this.#sessions--;
      slots = undefined;
    };
    const handle = async (message: StageMessage): Promise<Uint8Array<ArrayBuffer>> => {
      if (message.do === "ping") return encodePong();
      const hosted = await this.#get();
      if (isClosed) throw new PronkError("aborted", "stage: the session is closed");
      if (message.do === "open") {
        give();
        slots = this.#take(hosted, message);
        const { stage, fingerprint, instance } = hosted;
        const sizes = { ...stage.info.sizes, slots: slots.length };
        return encodeOpened({ ...stage.info, sizes, fingerprint, instance });
      }
      if (!slots) throw new PronkError("bad_request", "stage: no session is open");
      return encodeReply(await run(hosted.stage, slots, message.copies, message.request));
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

  #take(
    { stage, fingerprint }: HostedStage,
    asked: { readonly slots: number; readonly fingerprint: string },
  ): readonly number[] {
    if (asked.fingerprint !== fingerprint) {
      const found = `it serves ${fingerprint}, asked for ${asked.fingerprint.slice(0, 40)}`;
      throw new PronkError("bad_request", `stage: another model or form: ${found}`);
    }
    const free: number[] = [];
    for (let slot = 0; slot < stage.info.sizes.slots; slot++) {
      if (!this.#taken.has(slot)) free.push(slot);
    }
    const count = asked.slots || free.length;
    if (count === 0 || free.length < count) {
      const found = `${free.length} of ${stage.info.sizes.slots} slots are free`;
      throw new PronkError("overloaded", `stage: ${found}, ${asked.slots || 1} are needed`);
    }
    const slots = free.slice(0, count);
    for (const slot of slots) this.#taken.add(slot);
    this.#sessions++;
    return slots;
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
