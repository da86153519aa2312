/** The checksum of stored objects. */

/** SHA-256 of these bytes in lower-case hex. The bytes do not change until it settles. */
export type Digest = (bytes: Uint8Array<ArrayBuffer>) => Promise<string>;

/** By WebCrypto, which every runtime has; a page needs a secure context for it. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
