/**
 * Streams a body into memory that the caller owns, with no other copy than one small scratch.
 *
 * A BYOB reader is used where there is one: the default reader of workerd gives chunks of 4 KiB and
 * is five times slower. It detaches the buffers it fills, which WebAssembly memory refuses, so bytes
 * go through the scratch. Never `for await` over a body: in workerd that is the slow reader.
 */

/** From here on, larger reads were no faster in workerd. */
const SCRATCH_BYTES = 64 * 1024;

/** A scratch that is kept between reads: of the same source, so that there are few. */
export interface Scratch {
  /** undefined while a read uses it. */
  idle: ArrayBuffer | undefined;
}

export interface CopyOptions {
  readonly scratch: Scratch;
  /** Bytes of the body before those that are wanted. Default 0. */
  readonly skip?: number;
  /** Reads on to the end of the body, to learn how much it has. Default false. */
  readonly drain?: boolean;
  /** Told how many bytes of `destination` are in place, after each chunk that brought some. */
  readonly onProgress?: (bytes: number) => void;
  /** Told the bytes of every chunk. */
  readonly onChunk?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Fills `destination` from the body, as far as that goes, and lets go of the rest.
 *
 * @returns how many bytes were copied: fewer than asked when the body ended early. With `drain`: how many
 *   there are after those that were skipped.
 * @throws what the body fails with; the signal's reason when it fires.
 */
export async function copyBody(
  body: ReadableStream<Uint8Array>,
  destination: Uint8Array,
  options: CopyOptions,
): Promise<number> {
  const { scratch, signal, drain = false } = options;
  const reader = openReader(body, scratch);
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", cancel);
  /** Where the next byte belongs in `destination`; negative while bytes are skipped. */
  let at = -(options.skip ?? 0);
  try {
    while (drain || at < destination.length) {
      signal.throwIfAborted();
      const chunk = await reader.read();
      if (!chunk) break;
      options.onChunk?.(chunk.length);
      const from = Math.min(Math.max(0, -at), chunk.length);
      const to = Math.min(chunk.length, destination.length - at);
      if (from < to) destination.set(chunk.subarray(from, to), at + from);
      at += drain ? chunk.length : to;
      if (from < to) options.onProgress?.(Math.min(at, destination.length));
    }
    signal.throwIfAborted();
    if (!drain && at === destination.length) reader.finish();
    return Math.max(0, at);
  } catch (error) {
    cancel();
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
    reader.release();
  }
}

/** The two kinds of reader, as one. */
interface BodyReader {
  /** The next bytes, valid until the next read; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
  /**
   * Meets the end of the body in the background, which lets the connection be used again; a body
   * that goes on is cancelled.
   */
  finish(): void;
  /** Gives the scratch back. */
  release(): void;
}

function openReader(body: ReadableStream<Uint8Array>, scratch: Scratch): BodyReader {
  try {
    return byobReader(body.getReader({ mode: "byob" }), scratch);
  } catch {
    return defaultReader(body.getReader());
  }
}

function byobReader(reader: ReadableStreamBYOBReader, scratch: Scratch): BodyReader {
  let buffer = scratch.idle;
  scratch.idle = undefined;
  return {
    async read() {
      const view = new Uint8Array(buffer ?? new ArrayBuffer(SCRATCH_BYTES), 0, SCRATCH_BYTES);
      // The read detaches it; a stream that fails or is cancelled does not give it back.
      buffer = undefined;
      const { done, value } = await reader.read(view);
      buffer = value?.buffer;
      return done ? undefined : value;
    },
    cancel: () => reader.cancel(),
    finish: () => settle(reader, reader.read(new Uint8Array(1))),
    release: () => {
      scratch.idle = buffer;
    },
  };
}

function defaultReader(reader: ReadableStreamDefaultReader<Uint8Array>): BodyReader {
  return {
    async read() {
      const { done, value } = await reader.read();
      return done ? undefined : value;
    },
    cancel: () => reader.cancel(),
    finish: () => settle(reader, reader.read()),
    release: () => undefined,
  };
}

function settle(reader: { cancel(): Promise<void> }, last: Promise<unknown>): void {
  last.then(() => reader.cancel()).catch(() => undefined);
}
