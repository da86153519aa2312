/** Objects named by what they hold, checked when they arrive. */
import { PronkError, throwIfAborted } from "../errors.ts";
import type { ByteSource, ReadProgress } from "./source.ts";

export interface VerifyOptions {
  /** SHA-256 of bytes. Default: `crypto.subtle`, which reads the view in place, without a copy. */
  readonly digest?: (bytes: Uint8Array) => Promise<ArrayBuffer>;
  readonly signal?: AbortSignal;
  readonly onProgress?: ReadProgress;
}

/**
 * Reads a whole object into `destination` and checks its SHA-256 (lower-case hex) there.
 *
 * @throws PronkError "corrupt" when its length or its hash is another: `destination` then holds
 *   bytes that must not be used; and as the source does.
 */
export async function readVerified(
  source: ByteSource,
  sha256Hex: string,
  destination: Uint8Array,
  options: VerifyOptions = {},
): Promise<void> {
  const { digest = subtleDigest, signal, onProgress } = options;
  const corrupt = (what: string) => new PronkError("corrupt", `${source.name}: ${what}`);
  if (source.size !== destination.length) {
    throw corrupt(`${source.size} bytes, expected ${destination.length}`);
  }
  await source.readInto(destination, 0, signal, onProgress);
  throwIfAborted(signal);
  const found = hex(new Uint8Array(await digest(destination)));
  if (found !== sha256Hex) throw corrupt(`SHA-256 ${found}, expected ${sha256Hex}`);
}

function subtleDigest(bytes: Uint8Array): Promise<ArrayBuffer> {
  // Views of shared memory, which subtle refuses, are not typed apart in the contract.
  return crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
