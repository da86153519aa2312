/**
 * Where the members of a zip archive lie, of those that PyTorch writes: stored, not compressed.
 *
 * Layout: members, each behind a 30-byte header, then a directory of 46-byte records, then an end
 * record. Zip64 puts what needs 64 bits into extra fields and an end record of its own.
 * Reads the directory and each header, never a member. Checksums are not verified: rows are read one
 * by one. Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16, 4.5.3.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import { printable } from "../printable.ts";

const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const LOCATOR_BYTES = 20;
const LOCATOR_SIGNATURE = 0x07064b50;
const END64_BYTES = 56;
const END64_SIGNATURE = 0x06064b50;
const RECORD_BYTES = 46;
const RECORD_SIGNATURE = 0x02014b50;
const HEADER_BYTES = 30;
const HEADER_SIGNATURE = 0x04034b50;
const EXTRA_ZIP64 = 0x0001;

/** The end record's comment is at most this long. */
const MAX_COMMENT_BYTES = 0xffff;

/** Llama 3.1 405B in one file would take 1,200 members; bounds what a hostile file makes us read. */
const MAX_MEMBERS = 65_536;
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;

/** Headers on their way at a time: in remote storage the round trip is what they cost. */
const HEADERS_AT_ONCE = 16;

const ENCRYPTED = 1;
const IN_EXTRA = 0xffffffff;

export interface ZipMember {
  /** Offset of its first byte in the file. */
  readonly start: number;
  readonly bytes: number;
}

interface Directory {
  readonly start: number;
  readonly bytes: number;
  readonly members: number;
}

interface Entry {
  readonly name: string;
  readonly header: number;
  readonly bytes: number;
}

/**
 * Members by name, all within the file, none over another.
 *
 * @throws PronkError "bad_format"; "unsupported" when a member is compressed or encrypted.
 */
export async function readZipIndex(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Map<string, ZipMember>> {
  const bad = (why: string): PronkError =>
    new PronkError("bad_format", `${source.name}: zip: ${why}`);
  const read = async (start: number, bytes: number): Promise<DataView> => {
    const buffer = new Uint8Array(bytes);
    await source.readInto(buffer, start, signal);
    return new DataView(buffer.buffer);
  };

  const directory = await findDirectory(source.size, read, bad);
  const view = await read(directory.start, directory.bytes);
  const entries = parseDirectory(view, directory, source.name, bad);
  entries.sort((a, b) => a.header - b.header);

  const members = new Map<string, ZipMember>();
  for (let i = 0; i < entries.length; i += HEADERS_AT_ONCE) {
    const some = entries.slice(i, i + HEADERS_AT_ONCE);
    const located = await Promise.all(
      some.map(async ({ name, header, bytes }, j) => {
        const end = entries[i + j + 1]?.header ?? directory.start;
        if (header + HEADER_BYTES > end) throw bad(`${name}: over another member`);
        const fields = await read(header, HEADER_BYTES);
        if (fields.getUint32(0, true) !== HEADER_SIGNATURE) throw bad(`${name}: no header`);
        if (fields.getUint16(8, true) !== 0) throw bad(`${name}: stored here, compressed there`);
        const names = fields.getUint16(26, true) + fields.getUint16(28, true);
        const start = header + HEADER_BYTES + names;
        if (start + bytes > end) {
          throw bad(`${name}: ${bytes} bytes from ${start}, what follows begins at ${end}`);
        }
        return { start, bytes };
      }),
    );
    for (const [j, { name }] of some.entries()) members.set(name, located[j]!);
  }
  return members;
}

async function findDirectory(
  size: number,
  read: (start: number, bytes: number) => Promise<DataView>,
  bad: (why: string) => PronkError,
): Promise<Directory> {
  const tailBytes = Math.min(size, LOCATOR_BYTES + END_BYTES + MAX_COMMENT_BYTES);
  if (tailBytes < END_BYTES) throw bad("too short");
  const tailStart = size - tailBytes;
  const tail = await read(tailStart, tailBytes);
  let at = tailBytes - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END_SIGNATURE) at--;
  if (at < 0) throw bad("no end record: cut off?");

  let members = tail.getUint16(at + 10, true);
  let bytes = tail.getUint32(at + 12, true);
  let start = tail.getUint32(at + 16, true);
  let end = tailStart + at;
  const locator = at - LOCATOR_BYTES;
  if (locator >= 0 && tail.getUint32(locator, true) === LOCATOR_SIGNATURE) {
    const end64 = uint64(tail, locator + 8);
    if (end64 + END64_BYTES > tailStart + locator) throw bad(`zip64 end record at ${end64}`);
    const record = await read(end64, END64_BYTES);
    if (record.getUint32(0, true) !== END64_SIGNATURE) throw bad(`no zip64 end record at ${end64}`);
    members = uint64(record, 32);
    bytes = uint64(record, 40);
    start = uint64(record, 48);
    end = end64;
  }
  if (start + bytes > end)
    throw bad(`directory of ${bytes} bytes from ${start}, it ends at ${end}`);
  if (bytes > MAX_DIRECTORY_BYTES || members > MAX_MEMBERS) {
    throw bad(`${members} members in a directory of ${bytes} bytes`);
  }
  return { start, bytes, members };
}

function parseDirectory(
  view: DataView,
  { start, bytes, members }: Directory,
  file: string,
  bad: (why: string) => PronkError,
): Entry[] {
  const text = new TextDecoder();
  const names = new Set<string>();
  const entries: Entry[] = [];
  for (let at = 0, i = 0; i < members; i++) {
    const fits = at + RECORD_BYTES <= bytes && view.getUint32(at, true) === RECORD_SIGNATURE;
    if (!fits) throw bad(`directory record ${i} is malformed`);
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + RECORD_BYTES + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > bytes) throw bad(`directory record ${i} is cut off`);
    const raw = text.decode(new Uint8Array(view.buffer, at + RECORD_BYTES, nameBytes));
    const name = printable(raw);
    if (!isPlain(raw)) throw bad(`member ${name}: not a plain path`);
    if (names.has(raw)) throw bad(`member ${name} is there twice`);
    names.add(raw);
    const method = view.getUint16(at + 10, true);
    if (method !== 0) {
      throw new PronkError("unsupported", `${file}: zip: ${name}: compressed (method ${method})`);
    }
    if ((view.getUint16(at + 8, true) & ENCRYPTED) !== 0) {
      throw new PronkError("unsupported", `${file}: zip: ${name}: encrypted`);
    }
    const fields = [24, 20, 42].map((field) => view.getUint32(at + field, true));
    const extra = at + RECORD_BYTES + nameBytes;
    const [size, stored, header] = widen(view, fields, extra, extra + extraBytes, () =>
      bad(`${name}: malformed zip64 field`),
    );
    if (size !== stored) throw bad(`${name}: ${size} bytes, ${stored} of them stored`);
    if (header! + size! > start) throw bad(`${name}: ${size} bytes from ${header}: cut off`);
    entries.push({ name: raw, header: header!, bytes: size! });
    at = next;
  }
  return entries;
}

/** The fields, those with all bits set from the zip64 extra field, in its order. */
function widen(
  view: DataView,
  fields: readonly number[],
  from: number,
  to: number,
  bad: () => PronkError,
): number[] {
  if (!fields.includes(IN_EXTRA)) return [...fields];
  for (let at = from; at + 4 <= to; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > to) throw bad();
    if (view.getUint16(at, true) === EXTRA_ZIP64) {
      let value = at + 4;
      return fields.map((field) => {
        if (field !== IN_EXTRA) return field;
        if (value + 8 > end) throw bad();
        value += 8;
        return uint64(view, value - 8);
      });
    }
    at = end;
  }
  throw bad();
}

/** Too large a number stays too large a number, which is all that checks need. */
function uint64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

/** Names are only looked up, never opened; what looks like a trick is refused all the same. */
function isPlain(name: string): boolean {
  const parts = name.replace(/\/$/, "").split("/");
  return !/[\\\0:]/.test(name) && !parts.some((part) => ["", ".", ".."].includes(part));
}
