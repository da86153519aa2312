/**
 * Bytes that say what they are and whether they are whole, little-endian: the magic text and a version byte; u32 bytes
 * of the header; the header, JSON, with spaces up to a multiple of 8; parts; SHA-256 of all before.
 */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { type Digest, sha256, subtleDigest, toHex } from "./digest.ts";
import { Sha256 } from "./sha256-pieces.ts";

const HASH_BYTES = 32;

/** Of a header, for each of its values: numbers of tokens have seven digits at most, and a comma. */
const BYTES_PER_VALUE = 8;

export interface Seal {
  /** What the bytes begin with, in ASCII. */
  readonly magic: string;
  /** Below 256. */
  readonly version: number;
  /** Where an error is, for people. */
  readonly what: string;
  /** Of lists and objects of a header, together. Anybody can seal bytes: what they hold is to be bounded. */
  readonly maxValues: number;
}

/** @param header what JSON can hold. */
export async function sealBytes(
  seal: Seal,
  header: unknown,
  parts: readonly Uint8Array[],
): Promise<Uint8Array> {
  const head = sealHead(seal, header);
  const size = parts.reduce((sum, part) => sum + part.length, head.length);
  const out = new Uint8Array(size + HASH_BYTES);
  let at = 0;
  for (const part of [head, ...parts]) {
    out.set(part, at);
    at += part.length;
  }
  out.set(new Uint8Array(await subtleDigest(out.subarray(0, size))), size);
  return out;
}

/** What comes before the parts. Who writes sealed bytes piece by piece ends them with the hash of all pieces. */
export function sealHead({ magic, version }: Seal, header: unknown): Uint8Array {
  const prefix = prefixBytes(magic);
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text).length;
  const json = new TextEncoder().encode(text + " ".repeat((8 - ((prefix + bytes) % 8)) % 8));
  const out = new Uint8Array(prefix + json.length);
  new TextEncoder().encodeInto(magic, out);
  out[magic.length] = version;
  new DataView(out.buffer).setUint32(magic.length + 1, json.length, true);
  out.set(json, prefix);
  return out;
}

/**
 * Reads sealed bytes that come in pieces of any size: the header first, then the body in parts, then `end`. What was
 * read may be believed only then.
 */
export class SealedPieces {
  readonly #pieces: Iterator<Uint8Array>;
  readonly #hash = new Sha256();
  readonly #seal: Seal;
  /** Of the piece at hand. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(seal: Seal, pieces: Iterable<Uint8Array>) {
    this.#seal = seal;
    this.#pieces = pieces[Symbol.iterator]();
  }

  /** Not yet checked. @throws PronkError "bad_format", "unsupported". */
  header(): unknown {
    const { magic, version, what } = this.#seal;
    const prefix = this.#read(prefixBytes(magic));
    if (new TextDecoder().decode(prefix.subarray(0, magic.length)) !== magic) {
      throw this.#bad("these are no bytes of one");
    }
    const found = prefix[magic.length];
    if (found !== version) {
      throw new PronkError("unsupported", `${what}: version ${found}; reads: ${version}`);
    }
    const view = new DataView(prefix.buffer, prefix.byteOffset);
    const bytes = view.getUint32(magic.length + 1, true);
    checkSize(this.#seal, bytes);
    return parseHeader(this.#seal, this.#read(bytes));
  }

  /** Fills `out` with the next bytes. @throws PronkError "bad_format" where there are fewer. */
  readInto(out: Uint8Array): void {
    this.#take(out);
    this.#hash.update(out);
  }

  /** @throws PronkError "corrupt" when the bytes have changed; "bad_format" when there are more. */
  end(): void {
    const expected = toHex(this.#hash.digest());
    const found = new Uint8Array(HASH_BYTES);
    this.#take(found);
    if (toHex(found) !== expected) {
      throw new PronkError("corrupt", `${this.#seal.what}: its bytes have changed`);
    }
    // Pieces may be empty, also behind the last byte.
    while (this.#rest.length === 0) {
      const { done, value } = this.#pieces.next();
      if (done) return;
      this.#rest = value;
    }
    throw this.#bad("it goes on after its end");
  }

  #read(length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.readInto(out);
    return out;
  }

  #take(out: Uint8Array): void {
    for (let at = 0; at < out.length; ) {
      if (this.#rest.length === 0) {
        const { done, value } = this.#pieces.next();
        if (done) throw this.#bad("it is cut off");
        this.#rest = value;
        continue;
      }
      const part = this.#rest.subarray(0, out.length - at);
      out.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
  }

  #bad(why: string): PronkError {
    return new PronkError("bad_format", `${this.#seal.what}: ${why}`);
  }
}

/**
 * The header, not yet checked, a view of what is behind it, and the hash in hex.
 *
 * @throws PronkError "bad_format" when the bytes are something else; "unsupported" for another version; "corrupt" when
 *   they have changed.
 */
export async function openSealed(
  seal: Seal,
  bytes: Uint8Array,
  digest: Digest = subtleDigest,
): Promise<{ header: unknown; body: Uint8Array; hash: string }> {
  const { magic, version, what } = seal;
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
  checkSize(seal, end - prefix);
  const header = parseHeader(seal, bytes.subarray(prefix, end));
  return { header, body: bytes.subarray(end, size), hash };
}

/** Before memory is taken for it. */
function checkSize({ what, maxValues }: Seal, bytes: number): void {
  const most = maxValues * BYTES_PER_VALUE;
  if (bytes <= most) return;
  throw new PronkError("bad_format", `${what}: its header has ${bytes} bytes, at most ${most}`);
}

function parseHeader({ what, maxValues }: Seal, bytes: Uint8Array): unknown {
  return parseBoundedJson(
    bytes,
    (why, cause) => new PronkError("bad_format", `${what}: its header ${why}`, { cause }),
    maxValues,
  );
}

function prefixBytes(magic: string): number {
  return magic.length + 1 + 4;
}
