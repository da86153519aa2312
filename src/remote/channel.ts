/** Messages between who asks an engine and who has it, over anything that keeps them in order: one channel a request. */
import { decodeFrame, encodeFrame } from "./frames.ts";

export interface Message {
  /** What JSON can hold. */
  readonly head: unknown;
  /** Bytes beside it. */
  readonly body?: Uint8Array | undefined;
}

export interface ChannelListener {
  message(message: Message): void;
  /** Once, whichever side closed it or lost it. Nothing comes after. */
  closed(): void;
}

export interface Channel {
  /** Does nothing once it is closed. */
  send(message: Message): void;
  /** To be called once, in the task in which the channel was opened; `closed` is told also where it was before. */
  listen(listener: ChannelListener): void;
  close(): void;
}

/** Both ends of a channel within a process, with the same frames as on the wire. */
export function channelPair(): [Channel, Channel] {
  const left = new LocalEnd();
  const right = new LocalEnd();
  left.other = right;
  right.other = left;
  return [left, right];
}

class LocalEnd implements Channel {
  other: LocalEnd | undefined;
  #listener: ChannelListener | undefined;
  /** Delivered when nobody is in the middle of anything. */
  #line: Promise<void> = Promise.resolve();
  #isClosed = false;

  listen(listener: ChannelListener): void {
    this.#listener = listener;
    if (this.#isClosed) listener.closed();
  }

  send(message: Message): void {
    if (this.#isClosed) return;
    const frame = encodeFrame(message);
    this.other?.receive(() => decodeFrame(frame));
  }

  close(): void {
    this.#end();
    this.other?.receive(undefined);
  }

  receive(read: (() => Message) | undefined): void {
    this.#line = this.#line.then(() => {
      if (this.#isClosed) return;
      if (read === undefined) this.#end();
      else this.#listener?.message(read());
    });
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener?.closed();
  }
}
