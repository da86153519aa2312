/**
 * What a front and a stage send each other, as bytes: the same over Workers RPC and WebSocket.
 *
 *   u32 bytes of the head | head: JSON, padded with spaces to whole words | numbers, one array behind the other
 *
 * all little-endian. The head's `numbers` names the arrays in their order with their lengths. A frame may be anything:
 * its sizes are checked against the bytes that are there before anything is made of it.
 */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";

/** Raised with every change of what is sent; another one is refused. */
const STAGE_PROTOCOL = 1;

/** Of a batch of 4,096 rows with ids and positions, as text. */
const MAX_HEAD_BYTES = 1024 * 1024;

/** 1,024 rows of 16,384 numbers, or 128 rows of logits of 131,072. */
export const MAX_FRAME_BYTES: number = 64 * 1024 * 1024;

const WORD = 4;
const MAX_ARRAYS = 8;

export type Numbers = Float32Array | Int32Array;

export interface Frame {
  readonly head: Readonly<Record<string, unknown>>;
  /** f32, as views of the frame. */
  readonly numbers: Readonly<Record<string, Float32Array>>;
}

export function encodeFrame(
  head: Readonly<Record<string, unknown>>,
  arrays: Readonly<Record<string, Float32Array | undefined>> = {},
): Uint8Array<ArrayBuffer> {
  const given = Object.entries(arrays).filter(
    (entry): entry is [string, Float32Array] => entry[1] !== undefined,
  );
  const numbers = given.map(([name, { length }]) => [name, length]);
  const text = new TextEncoder().encode(
    JSON.stringify({ protocol: STAGE_PROTOCOL, ...head, numbers }),
  );
  const start = WORD + Math.ceil(text.length / WORD) * WORD;
  const total = given.reduce((sum, [, { byteLength }]) => sum + byteLength, start);
  const bytes = new Uint8Array(total);
  new DataView(bytes.buffer).setUint32(0, start - WORD, true);
  bytes.fill(0x20, WORD, start);
  bytes.set(text, WORD);
  let at = start;
  for (const [, { buffer, byteOffset, byteLength }] of given) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return bytes;
}

/** @throws PronkError "bad_format" for what is no frame; "unsupported" for one of another protocol. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const bad = (why: string, cause?: unknown): PronkError =>
    new PronkError("bad_format", `stage message: ${why}`, { cause });
  if (bytes.length < WORD || bytes.length > MAX_FRAME_BYTES) throw bad(`${bytes.length} bytes`);
  const headBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const start = WORD + headBytes;
  if (headBytes > MAX_HEAD_BYTES || headBytes % WORD !== 0 || start > bytes.length) {
    throw bad(`a head of ${headBytes} bytes in ${bytes.length}`);
  }
  // Bounded in depth, too: what is wrong with a head is told with some of it.
  const head = parseBoundedJson(bytes.subarray(WORD, start), (why, cause) =>
    bad(`its head ${why}`, cause),
  );
  if (typeof head !== "object" || head === null || Array.isArray(head)) {
    throw bad("its head is no object");
  }
  const { protocol, numbers: listed } = head as Record<string, unknown>;
  if (protocol !== STAGE_PROTOCOL) {
    const found = `protocol ${JSON.stringify(protocol)?.slice(0, 20)}, this side speaks ${STAGE_PROTOCOL}`;
    throw new PronkError("unsupported", `stage message: ${found}: update the other side, too`);
  }
  if (!Array.isArray(listed) || listed.length > MAX_ARRAYS) throw bad("its arrays are not listed");
  // Frames come at any address; numbers are read at multiples of four.
  // (Not slice(): a Node Buffer's is no copy.)
  const aligned = (bytes.byteOffset + start) % WORD === 0 ? bytes : new Uint8Array(bytes);
  const numbers: Record<string, Float32Array> = {};
  let at = start;
  for (const item of listed) {
    const [name, length] = Array.isArray(item) ? item : [];
    const isArray = typeof name === "string" && Number.isInteger(length) && length >= 0;
    if (!isArray || at + length * WORD > bytes.length || Object.hasOwn(numbers, name)) {
      throw bad("its arrays are not those that are listed");
    }
    numbers[name] = new Float32Array(aligned.buffer, aligned.byteOffset + at, length);
    at += length * WORD;
  }
  if (at !== bytes.length) throw bad(`${bytes.length - at} bytes more than it lists`);
  return { head: head as Frame["head"], numbers };
}
