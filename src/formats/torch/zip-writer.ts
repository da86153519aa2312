/**
 * Writes a zip archive of stored members from its first byte to its last, as PyTorch lays it out: each
 * member's data at a multiple of 64 bytes, so that it can be mapped into memory. Checksums follow the
 * data, since it is not read twice. Source: PKWARE APPNOTE 6.3.10; caffe2/serialize/inline_container.cc.
 */
import type { OutputFile } from "../output-file.ts";

const HEADER_BYTES = 30;
const HEADER_SIGNATURE = 0x04034b50;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
const RECORD_BYTES = 46;
const RECORD_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const END64_BYTES = 56;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR_BYTES = 20;
const LOCATOR_SIGNATURE = 0x07064b50;

const EXTRA_ZIP64 = 0x0001;
/** "FB", with which PyTorch pads. */
const EXTRA_PADDING = 0x4246;

/** Sizes and checksum stand behind the data. */
const DESCRIPTOR_FLAG = 0x0808; // and names are UTF-8
const VERSION_NEEDED = 45;
/** 1980-01-01, the first day that the format has: equal content is an equal file. */
const DATE = 0x0021;
const IN_EXTRA = 0xffffffff;
const MANY_MEMBERS = 0xffff;
const ALIGNMENT = 64;

interface Member {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: number;
  readonly start: number;
}

export class ZipWriter {
  readonly #file: OutputFile;
  readonly #members: Member[] = [];
  #at = 0;

  constructor(file: OutputFile) {
    this.#file = file;
  }

  /** `write` hands out exactly `bytes` bytes. */
  async add(
    name: string,
    bytes: number,
    write: (put: (piece: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const start = this.#at;
    const encoded = new TextEncoder().encode(name);
    const isLarge = bytes >= IN_EXTRA;
    await this.#put(localHeader(encoded, start, isLarge));
    let crc = 0;
    let written = 0;
    await write(async (piece) => {
      crc = crc32(piece, crc);
      written += piece.length;
      await this.#put(piece);
    });
    if (written !== bytes) throw new Error(`zip: ${name}: ${written} bytes, expected ${bytes}`);
    const descriptor = new DataView(new ArrayBuffer(isLarge ? 24 : 16));
    descriptor.setUint32(0, DESCRIPTOR_SIGNATURE, true);
    descriptor.setUint32(4, crc, true);
    for (const at of isLarge ? [8, 16] : []) descriptor.setBigUint64(at, BigInt(bytes), true);
    for (const at of isLarge ? [] : [8, 12]) descriptor.setUint32(at, bytes, true);
    await this.#put(new Uint8Array(descriptor.buffer));
    this.#members.push({ name: encoded, crc, bytes, start });
  }

  addBytes(name: string, bytes: Uint8Array): Promise<void> {
    return this.add(name, bytes.length, (put) => put(bytes));
  }

  /** Writes the directory; the archive is whole. */
  async finish(): Promise<void> {
    const start = this.#at;
    for (const member of this.#members) await this.#put(directoryRecord(member));
    await this.#put(endRecords(this.#members.length, start, this.#at - start));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#at += bytes.length;
    await this.#file.write(bytes);
  }
}

function localHeader(name: Uint8Array, start: number, isLarge: boolean): Uint8Array {
  const zip64 = isLarge ? 20 : 0;
  const fixed = HEADER_BYTES + name.length + zip64 + 4;
  const padding = (ALIGNMENT - ((start + fixed) % ALIGNMENT)) % ALIGNMENT;
  const bytes = new Uint8Array(fixed + padding);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEADER_SIGNATURE, true);
  view.setUint16(4, VERSION_NEEDED, true);
  view.setUint16(6, DESCRIPTOR_FLAG, true);
  view.setUint16(12, DATE, true);
  if (isLarge) {
    view.setUint32(18, IN_EXTRA, true);
    view.setUint32(22, IN_EXTRA, true);
  }
  view.setUint16(26, name.length, true);
  view.setUint16(28, zip64 + 4 + padding, true);
  bytes.set(name, HEADER_BYTES);
  let at = HEADER_BYTES + name.length;
  if (isLarge) {
    view.setUint16(at, EXTRA_ZIP64, true);
    view.setUint16(at + 2, 16, true);
    at += zip64;
  }
  view.setUint16(at, EXTRA_PADDING, true);
  view.setUint16(at + 2, padding, true);
  return bytes;
}

function directoryRecord({ name, crc, bytes, start }: Member): Uint8Array {
  const isLarge = bytes >= IN_EXTRA || start >= IN_EXTRA;
  const record = new Uint8Array(RECORD_BYTES + name.length + (isLarge ? 28 : 0));
  const view = new DataView(record.buffer);
  view.setUint32(0, RECORD_SIGNATURE, true);
  view.setUint16(4, VERSION_NEEDED, true);
  view.setUint16(6, VERSION_NEEDED, true);
  view.setUint16(8, DESCRIPTOR_FLAG, true);
  view.setUint16(14, DATE, true);
  view.setUint32(16, crc, true);
  view.setUint32(20, isLarge ? IN_EXTRA : bytes, true);
  view.setUint32(24, isLarge ? IN_EXTRA : bytes, true);
  view.setUint16(28, name.length, true);
  view.setUint16(30, isLarge ? 28 : 0, true);
  view.setUint32(42, isLarge ? IN_EXTRA : start, true);
  record.set(name, RECORD_BYTES);
  if (isLarge) {
    const at = RECORD_BYTES + name.length;
    view.setUint16(at, EXTRA_ZIP64, true);
    view.setUint16(at + 2, 24, true);
    view.setBigUint64(at + 4, BigInt(bytes), true);
    view.setBigUint64(at + 12, BigInt(bytes), true);
    view.setBigUint64(at + 20, BigInt(start), true);
  }
  return record;
}

/** With Zip64's own where the numbers need it. */
function endRecords(members: number, start: number, bytes: number): Uint8Array {
  const isLarge = members >= MANY_MEMBERS || start >= IN_EXTRA || bytes >= IN_EXTRA;
  const before = isLarge ? END64_BYTES + LOCATOR_BYTES : 0;
  const view = new DataView(new ArrayBuffer(before + END_BYTES));
  if (isLarge) {
    view.setUint32(0, END64_SIGNATURE, true);
    view.setBigUint64(4, BigInt(END64_BYTES - 12), true);
    view.setUint16(12, VERSION_NEEDED, true);
    view.setUint16(14, VERSION_NEEDED, true);
    view.setBigUint64(24, BigInt(members), true);
    view.setBigUint64(32, BigInt(members), true);
    view.setBigUint64(40, BigInt(bytes), true);
    view.setBigUint64(48, BigInt(start), true);
    view.setUint32(END64_BYTES, LOCATOR_SIGNATURE, true);
    view.setBigUint64(END64_BYTES + 8, BigInt(start + bytes), true);
    view.setUint32(END64_BYTES + 16, 1, true);
  }
  view.setUint32(before, END_SIGNATURE, true);
  view.setUint16(before + 8, Math.min(members, MANY_MEMBERS), true);
  view.setUint16(before + 10, Math.min(members, MANY_MEMBERS), true);
  view.setUint32(before + 12, isLarge ? IN_EXTRA : bytes, true);
  view.setUint32(before + 16, isLarge ? IN_EXTRA : start, true);
  return new Uint8Array(view.buffer);
}

/** CRC-32 of ISO 3309, reflected. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
});

/** Goes on from the checksum of what came before. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
