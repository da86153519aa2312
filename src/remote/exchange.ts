/**
 * One request on one channel, from the side that asks: it says that it is there, and notices when the other side is
 * not. Ends once: with an answer, or lost.
 */
import type { Channel } from "./channel.ts";
import { checkTold } from "./check-told.ts";
import { type Asked, type Heard, PING_MS, SILENCE_MS, type Told } from "./messages.ts";
import type { EnginePeer } from "./peers.ts";
import type { Timer } from "./timer.ts";

export interface ExchangeListener {
  told(message: Told, body: Uint8Array | undefined): void;
  /** There will be no answer, or no more of it. */
  lost(cause: unknown): void;
}

export class Exchange {
  readonly #listener: ExchangeListener;
  readonly #timer: Timer;
  #channel: Channel | undefined;
  #isOver = false;
  /** Times that it would have been heard of since it was. */
  #silence = 0;
  #stopPing: () => void = () => {};

  constructor(peer: EnginePeer, asked: Asked, timer: Timer, listener: ExchangeListener) {
    this.#listener = listener;
    this.#timer = timer;
    this.#ping();
    peer.connect().then(
      (channel) => this.#open(channel, asked),
      (error: unknown) => this.#lose(error),
    );
  }

  say(heard: Heard): void {
    this.#channel?.send({ head: heard });
  }

  /** Stops what was asked for, wherever it is; nothing is told any more. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopPing();
    this.#channel?.close();
  }

  #open(channel: Channel, asked: Asked): void {
    if (this.#isOver) {
      channel.close();
      return;
    }
    this.#channel = channel;
    channel.listen({
      message: ({ head, body }) => {
        if (this.#isOver) return;
        this.#silence = 0;
        try {
          this.#listener.told(checkTold(head), body);
        } catch (cause) {
          // What cannot be read is no answer, and no more of it comes.
          this.close();
          this.#listener.lost(cause);
        }
      },
      closed: () => this.#lose(undefined),
    });
    try {
      channel.send({ head: asked });
    } catch (error) {
      this.#lose(error); // too large for the transport
    }
  }

  #ping(): void {
    this.#stopPing = this.#timer(PING_MS, () => {
      if (this.#isOver) return;
      if (++this.#silence * PING_MS > SILENCE_MS) {
        this.#lose(undefined);
        return;
      }
      this.say({ ping: true });
      this.#ping();
    });
  }

  #lose(cause: unknown): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.lost(cause);
  }
}
