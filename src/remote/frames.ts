/**
 * A message as one frame: its JSON as text; or, with bytes beside it, u32le length of the JSON, the JSON, the bytes.
 */
import { PronkError } from "../errors.ts";
import type { Message } from "./channel.ts";

/** Cloudflare's bound on a message of a WebSocket is 32 MiB. */
const MAX_FRAME_BYTES: number = 32 * 2 ** 20;

export type Frame = string | Uint8Array<ArrayBuffer>;

/** @throws PronkError "unsupported" for a frame that no transport takes. */
export function encodeFrame({ head, body }: Message): Frame {
  const text = JSON.stringify(head);
  if (body === undefined) return checked(text, text.length);
  const json = new TextEncoder().encode(text);
  const size = 4 + json.length + body.length;
  if (size > MAX_FRAME_BYTES) checked("", size);
  const frame = new Uint8Array(size);
  new DataView(frame.buffer).setUint32(0, json.length, true);
  frame.set(json, 4);
  frame.set(body, 4 + json.length);
  return frame;
}

/** @throws PronkError "bad_format" on what is none. */
export function decodeFrame(frame: string | Uint8Array): Message {
  try {
    if (typeof frame === "string") return { head: JSON.parse(frame) };
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const end = 4 + view.getUint32(0, true);
    if (end > frame.length) throw new RangeError(`${end} of ${frame.length} bytes`);
    const head: unknown = JSON.parse(new TextDecoder().decode(frame.subarray(4, end)));
    return { head, body: frame.subarray(end) };
  } catch (cause) {
    throw new PronkError("bad_format", "remote engine: a frame that is none", { cause });
  }
}

function checked<T extends Frame>(frame: T, size: number): T {
  if (size <= MAX_FRAME_BYTES) return frame;
  const found = `a message of ${size} bytes, ${MAX_FRAME_BYTES} at most`;
  throw new PronkError("unsupported", `remote engine: ${found}`);
}
