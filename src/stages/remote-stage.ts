/** A stage that is elsewhere, over whatever carries messages: one session, opened again when it was lost. */
import { PronkError } from "../errors.ts";
import type { Stage, StageInfo, StageReply, StageRequest } from "./stage.ts";
import {
  decodeOpened,
  decodeReply,
  encodeMessage,
  type OpenedStage,
  type SlotCopy,
} from "./stage-messages.ts";

/** Carries messages to one session of a stage, and their answers back, one at a time. */
export interface StageChannel {
  /** @throws PronkError "source_failed" when the other side cannot be reached any more. */
  send(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /** A promise where the other side is told: until then its slots are not free. Never rejects. */
  close(): void | Promise<void>;
}

export interface RemoteOptions {
  /** What the stage is called in messages: an address, a binding. */
  readonly name: string;
  /** A new channel. */
  connect(): Promise<StageChannel>;
  /** Of the model. */
  readonly fingerprint: string;
  /** Slots of the session; 0: all that are free. */
  readonly slots: number;
}

/**
 * Connects and opens a session.
 *
 * @throws PronkError "source_failed" when nothing answers; "bad_request" for a stage of another model; "overloaded" when
 *   its slots are taken; "unsupported" for another protocol.
 */
export async function openRemoteStage(options: RemoteOptions): Promise<Stage> {
  return new RemoteStage(options, await openChannel(options));
}

interface Session {
  readonly channel: StageChannel;
  readonly opened: OpenedStage;
}

async function openChannel({ name, connect, fingerprint, slots }: RemoteOptions): Promise<Session> {
  const channel = await connect();
  try {
    const opened = decodeOpened(
      await channel.send(encodeMessage({ do: "open", slots, fingerprint })),
    );
    if (opened.fingerprint !== fingerprint) {
      throw new PronkError("bad_request", `it serves ${opened.fingerprint}, not ${fingerprint}`);
    }
    return { channel, opened };
  } catch (error) {
    channel.close();
    if (!(error instanceof PronkError)) throw error;
    const { code, message, retryAfterMs } = error;
    const again = retryAfterMs === undefined ? {} : { retryAfterMs };
    throw new PronkError(code, `${name}: ${message}`, { cause: error, ...again });
  }
}

class RemoteStage implements Stage {
  readonly info: StageInfo;
  readonly #options: RemoteOptions;
  #session: Session | undefined;
  #closing: void | Promise<void> = undefined;
  #copies: SlotCopy[] = [];
  #disposed = false;

  constructor(options: RemoteOptions, session: Session) {
    this.#options = options;
    this.#session = session;
    this.info = session.opened;
  }

  async run(request: StageRequest): Promise<StageReply> {
    if (this.#disposed) throw new PronkError("engine_failed", "stage: disposed");
    // Whoever asks again was told that the caches are gone.
    const session = this.#session ?? (await this.#openAgain());
    const copies = this.#copies;
    this.#copies = [];
    let answer: Uint8Array;
    try {
      answer = await session.channel.send(encodeMessage({ do: "run", copies, request }));
    } catch (error) {
      this.#drop();
      throw this.#lost(error);
    }
    try {
      return decodeReply(answer);
    } catch (error) {
      // What it refused left it as it was; anything else it will not recover from in this session.
      if (!(error instanceof PronkError) || error.code !== "bad_request") this.#drop();
      throw error instanceof PronkError && error.code === "bad_request" ? error : this.#lost(error);
    }
  }

  copySlot(from: number, to: number, positions: number): void {
    this.#copies.push({ from, to, positions });
  }

  dispose(): void {
    this.#disposed = true;
    this.#drop();
  }

  #drop(): void {
    if (this.#session) this.#closing = this.#session.channel.close();
    this.#session = undefined;
    this.#copies = [];
  }

  /** To the same part of the same model. */
  async #openAgain(): Promise<Session> {
    let session: Session;
    await this.#closing;
    try {
      session = await openChannel(this.#options);
    } catch (error) {
      throw this.#lost(error);
    }
    const { part, sizes } = session.opened;
    const isSame =
      JSON.stringify(part) === JSON.stringify(this.info.part) &&
      sizes.slots >= this.info.sizes.slots &&
      sizes.ctx === this.info.sizes.ctx &&
      sizes.kv === this.info.sizes.kv;
    if (!isSame || this.#disposed) {
      session.channel.close();
      throw this.#lost(new PronkError("bad_request", "another part answers there now"));
    }
    this.#session = session;
    this.#copies = [];
    return session;
  }

  #lost(cause: unknown): PronkError {
    const why = cause instanceof PronkError ? cause.message : String(cause);
    return new PronkError("engine_failed", `${this.#options.name}: stage lost: ${why}`, {
      cause,
      retryAfterMs: 0,
    });
  }
}
