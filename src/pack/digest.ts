/** The checksum of stored objects, as they are written. src/sources/verified.ts checks it. */

/** SHA-256 of these bytes, which do not change until it settles. */
export type Digest = (bytes: Uint8Array) => Promise<ArrayBuffer>;

/** In lower-case hex; by WebCrypto, which every runtime has, where no digest is given. */
export async function sha256(bytes: Uint8Array, digest: Digest = subtleDigest): Promise<string> {
  return toHex(new Uint8Array(await digest(bytes)));
}

/** Two lower-case digits a byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** By WebCrypto. */
export function subtleDigest(bytes: Uint8Array): Promise<ArrayBuffer> {
  // WebCrypto refuses shared memory.
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
  return crypto.subtle.digest("SHA-256", own as Uint8Array<ArrayBuffer>);
}
