/**
 * Copies one member out of a zip archive (a Python wheel), without unpacking the rest.
 *
 * Layout: members, then a directory of 46-byte records, then a 22-byte end record and a comment.
 * Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16. No zip64: wheels are below 4 GiB.
 */
import { createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { PronkError, throwIfAborted } from "../../errors.ts";

const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const RECORD_BYTES = 46;
const RECORD_SIGNATURE = 0x02014b50;
const HEADER_BYTES = 30;
const HEADER_SIGNATURE = 0x04034b50;

/** The end record's comment is at most this long. */
const MAX_COMMENT_BYTES = 0xffff;

/** 65,535 records of 46 bytes, with names; bounds what a hostile archive can make us allocate. */
const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;

const STORED = 0;
const DEFLATED = 8;

/**
 * @throws PronkError "bad_format" when the archive is malformed; "not_found" without that member.
 */
export async function copyZipMember(
  archive: string,
  member: string,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = await open(archive, "r");
  try {
    const { start, compressed, method } = await findMember(file, archive, member);
    const input = file.createReadStream({
      start,
      end: start + compressed - 1,
      autoClose: false,
      highWaterMark: 1024 * 1024,
    });
    const output = createWriteStream(target);
    if (method === STORED) await pipeline(input, output, { signal });
    else await pipeline(input, createInflateRaw(), output, { signal });
  } catch (cause) {
    throwIfAborted(signal);
    if (cause instanceof PronkError) throw cause;
    throw new PronkError("bad_format", `${archive}: ${member}: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    await file.close();
  }
}

async function findMember(
  file: FileHandle,
  archive: string,
  member: string,
): Promise<{ start: number; compressed: number; method: number }> {
  const bad = (why: string): PronkError => new PronkError("bad_format", `${archive}: ${why}`);
  const { size } = await file.stat();
  const read = async (start: number, bytes: number): Promise<DataView> => {
    const view = new DataView(new ArrayBuffer(bytes));
    const { bytesRead } = await file.read(view, 0, bytes, start);
    if (bytesRead !== bytes) throw bad(`ends inside its record at ${start}`);
    return view;
  };

  const tail = Math.min(size, END_BYTES + MAX_COMMENT_BYTES);
  if (tail < END_BYTES) throw bad("too short for a zip archive");
  const end = await read(size - tail, tail);
  let at = tail - END_BYTES;
  while (at >= 0 && end.getUint32(at, true) !== END_SIGNATURE) at--;
  if (at < 0) throw bad("not a zip archive");
  const records = end.getUint16(at + 10, true);
  const directoryBytes = end.getUint32(at + 12, true);
  const directoryStart = end.getUint32(at + 16, true);
  if (directoryBytes > MAX_DIRECTORY_BYTES || directoryStart + directoryBytes > size) {
    throw bad(`directory of ${directoryBytes} bytes at ${directoryStart}`);
  }

  const directory = await read(directoryStart, directoryBytes);
  const names = new TextDecoder();
  let record = 0;
  for (let i = 0; i < records; i++) {
    if (
      record + RECORD_BYTES > directoryBytes ||
      directory.getUint32(record, true) !== RECORD_SIGNATURE
    ) {
      throw bad(`malformed directory record ${i}`);
    }
    const nameBytes = directory.getUint16(record + 28, true);
    const extra = directory.getUint16(record + 30, true) + directory.getUint16(record + 32, true);
    if (record + RECORD_BYTES + nameBytes > directoryBytes) throw bad(`record ${i} is cut off`);
    const name = names.decode(new Uint8Array(directory.buffer, record + RECORD_BYTES, nameBytes));
    if (name === member) {
      const method = directory.getUint16(record + 10, true);
      if (method !== STORED && method !== DEFLATED) throw bad(`${member}: method ${method}`);
      const compressed = directory.getUint32(record + 20, true);
      const headerStart = directory.getUint32(record + 42, true);
      // The header repeats the name, and its extra field may have another length.
      const header = await read(headerStart, HEADER_BYTES);
      if (header.getUint32(0, true) !== HEADER_SIGNATURE) throw bad(`${member}: no header`);
      const start =
        headerStart + HEADER_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
      if (compressed === 0 || start + compressed > size) throw bad(`${member}: is cut off`);
      return { start, compressed, method };
    }
    record += RECORD_BYTES + nameBytes + extra;
  }
  throw new PronkError("not_found", `${archive}: no member ${member}`);
}
