/**
 * Bytes that say what they are and whether they are whole, little-endian: the magic text and a version byte; u32 bytes
 * of the header; the header, JSON, with spaces up to a multiple of 8; parts; SHA-256 of all before.
 */
import { PronkError } from "../errors.ts";
import { type Digest, sha256, subtleDigest, toHex } from "./digest.ts";

const HASH_BYTES = 32;

export interface Seal {
  /** What the bytes begin with, in ASCII. */
  readonly magic: string;
  /** Below 256. */
  readonly version: number;
  /** Where an error is, for people. */
  readonly what: string;
}

/** @param header what JSON can hold. */
export async function sealBytes(
  { magic, version }: Seal,
  header: unknown,
  parts: readonly Uint8Array[],
): Promise<Uint8Array> {
  const prefix = prefixBytes(magic);
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text).length;
  const json = new TextEncoder().encode(text + " ".repeat((8 - ((prefix + bytes) % 8)) % 8));
  const size = [json, ...parts].reduce((sum, part) => sum + part.length, prefix);
  const out = new Uint8Array(size + HASH_BYTES);
  new TextEncoder().encodeInto(magic, out);
  out[magic.length] = version;
  new DataView(out.buffer).setUint32(magic.length + 1, json.length, true);
  let at = prefix;
  for (const part of [json, ...parts]) {
    out.set(part, at);
    at += part.length;
  }
  out.set(new Uint8Array(await subtleDigest(out.subarray(0, size))), size);
  return out;
}

/**
 * The header, not yet checked, a view of what is behind it, and the hash in hex.
 *
 * @throws PronkError "bad_format" when the bytes are something else; "unsupported" for another version; "corrupt" when
 *   they have changed.
 */
export async function openSealed(
  { magic, version, what }: Seal,
  bytes: Uint8Array,
  digest: Digest = subtleDigest,
): Promise<{ header: unknown; body: Uint8Array; hash: string }> {
  const bad = (why: string): PronkError => new PronkError("bad_format", `${what}: ${why}`);
  const prefix = prefixBytes(magic);
  const size = bytes.length - HASH_BYTES;
  if (new TextDecoder().decode(bytes.subarray(0, magic.length)) !== magic || size < prefix) {
    throw bad("these are no bytes of one");
  }
  const found = bytes[magic.length];
  if (found !== version) {
    throw new PronkError("unsupported", `${what}: version ${found}; reads: ${version}`);
  }
  const hash = await sha256(bytes.subarray(0, size), digest);
  if (hash !== toHex(bytes.subarray(size))) {
    throw new PronkError("corrupt", `${what}: its bytes have changed`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = prefix + view.getUint32(magic.length + 1, true);
  if (end > size) throw bad("its header does not end");
  try {
    const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(prefix, end)));
    return { header, body: bytes.subarray(end, size), hash };
  } catch (cause) {
    throw new PronkError("bad_format", `${what}: its header is no JSON`, { cause });
  }
}

function prefixBytes(magic: string): number {
  return magic.length + 1 + 4;
}
