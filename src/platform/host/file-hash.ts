/** Hashes of files, read in pieces. */
import { createHash, type Hash } from "node:crypto";
import { open } from "node:fs/promises";

/** Large enough that the hash, not the system calls, takes the time. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** @returns lower-case hex and the length; about 0.1 s per 100 MB. */
export async function hashFile(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash("sha256");
  const bytes = await update(hash, path);
  return { sha256: hash.digest("hex"), bytes };
}

/** What git names a file's content by, in lower-case hex: the SHA-1 of a header and it. */
export async function hashGitBlob(path: string, bytes: number): Promise<string> {
  const hash = createHash("sha1").update(`blob ${bytes}\0`);
  await update(hash, path);
  return hash.digest("hex");
}

async function update(hash: Hash, path: string): Promise<number> {
  const piece = new Uint8Array(PIECE_BYTES);
  const file = await open(path, "r");
  try {
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, bytes);
      if (bytesRead === 0) return bytes;
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}
