/**
 * What a stream is gone on with after its connection was lost, as an opaque text: a hash of the request and the model,
 * the answer's id and time, the seed, how many chunks arrived, and the tokens so far. It holds nothing that its reader
 * does not have, and needs nothing kept here: any process with the same model goes on from it.
 *
 * base64url of bytes: a version, 16 bytes of the hash, then numbers of 7 bits a byte, low ones first.
 */
import { PronkError } from "../errors.ts";

const VERSION = 1;
const HASH_BYTES = 16;

/** Tokens that are carried; those behind them are generated again. Some 7 KB, of the 16 that headers may have. */
const MAX_CARRIED = 2048;

/** Of the text: hostile ones cost no more. */
const MAX_CHARACTERS = 16_384;

export interface ResumeState {
  /** SHA-256 of what decides the answer, in hex; as many digits as are kept. */
  readonly hash: string;
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  /** What was chosen where the request has no seed. */
  readonly seed: number;
  /** Chunks that arrived: without a choice, then of each choice. */
  readonly delivered: readonly number[];
  /** Of each choice. */
  readonly outputs: readonly (readonly number[])[];
}

/** Hex digits of a hash that a token keeps. */
export const HASH_DIGITS: number = HASH_BYTES * 2;

export function encodeResume(state: ResumeState): string {
  const { hash, id, created, seed, delivered, outputs } = state;
  const bytes = [VERSION];
  for (let i = 0; i < HASH_DIGITS; i += 2) bytes.push(Number.parseInt(hash.slice(i, i + 2), 16));
  const name = new TextEncoder().encode(id);
  putNumbers(bytes, [name.length]);
  bytes.push(...name);
  putNumbers(bytes, [created, seed, delivered.length, ...delivered, outputs.length]);
  let left = MAX_CARRIED;
  for (const ids of outputs) {
    const carried = ids.slice(0, left);
    left -= carried.length;
    putNumbers(bytes, [carried.length, ...carried]);
  }
  const text = btoa(bytes.map((byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @throws PronkError "bad_request" with the param "resume" for a text that is no such token. */
export function decodeResume(text: string): ResumeState {
  const bad = (): PronkError =>
    new PronkError("bad_request", "resume: not a token of this server", { param: "resume" });
  if (text.length > MAX_CHARACTERS || !/^[\w-]+$/.test(text)) throw bad();
  let raw: string;
  try {
    raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw bad();
  }
  const bytes = Uint8Array.from(raw, (character) => character.charCodeAt(0));
  let at = 1 + HASH_BYTES;
  if (bytes[0] !== VERSION || bytes.length < at) throw bad();
  const number = (): number => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw bad();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw bad();
  };
  const list = (): number[] => {
    const count = number();
    // Each takes a byte at least.
    if (count > bytes.length - at) throw bad();
    return Array.from({ length: count }, number);
  };
  const hash = Array.from(bytes.subarray(1, at), (byte) => byte.toString(16).padStart(2, "0"));
  const length = number();
  if (length > bytes.length - at) throw bad();
  const id = new TextDecoder().decode(bytes.subarray(at, at + length));
  at += length;
  const created = number();
  const seed = number();
  const delivered = list();
  const count = number();
  if (count > bytes.length - at) throw bad();
  const outputs = Array.from({ length: count }, list);
  if (at !== bytes.length) throw bad();
  return { hash: hash.join(""), id, created, seed, delivered, outputs };
}

/** Integers from 0 to 2^49. */
function putNumbers(bytes: number[], numbers: readonly number[]): void {
  for (const number of numbers) {
    let rest = number;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  }
}
