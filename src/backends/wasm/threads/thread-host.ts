/** What a host with threads supplies; the core starts none by itself. */

export interface Thread {
  /** Structured clone: shared memory stays shared, modules stay compiled. */
  post(message: unknown): void;
  /** Ends it, whatever it does. */
  terminate(): void;
  /** From now on the thread does not keep the process alive. */
  unref?(): void;
}

export interface ThreadEvents {
  onMessage(message: unknown): void;
  /** It ended, or could not start. */
  onEnd(reason: string): void;
}

export interface ThreadHost {
  /** What "auto" goes by. */
  readonly cores: number;
  /** The bytes of a kernel module: threads need one of their own. */
  readKernels(name: "plain" | "relaxed"): Promise<Uint8Array>;
  /** Starts a thread that passes the first message it gets to `serveThread`. */
  spawn(events: ThreadEvents): Thread;
}
