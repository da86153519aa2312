/**
 * Where the fields of an input lie, so that edits can change a length without losing the rest. Layouts are made
 * anew after each edit, by readers that stop without a word where the input is broken.
 */

export type FieldKind =
  | "le" // unsigned, little-endian, of 1 to 8 bytes
  | "be" // the same, big-endian
  | "float" // little-endian f16, f32 or f64
  | "varint" // protobuf's
  | "digits" // a number as text
  | "json" // a whole value of JSON
  | "text" // UTF-8
  | "bytes"; // opaque

export interface Field {
  readonly kind: FieldKind;
  readonly start: number;
  readonly end: number;
}

/** A run of bytes that can be left out, doubled, or swapped with another of its group. */
export interface Section {
  readonly group: string;
  readonly start: number;
  readonly end: number;
  /** The field that says how many of the group there are. */
  readonly count?: Field;
  /** Stands between two: "," in JSON. */
  readonly separator?: number;
}

/** A number that says how many bytes [start, end) are; grows along with them. */
export interface Extent {
  readonly field: Field;
  readonly start: number;
  readonly end: number;
}

export class Layout {
  readonly fields: Field[] = [];
  readonly sections: Section[] = [];
  readonly extents: Extent[] = [];

  field(kind: FieldKind, start: number, end: number): Field {
    const field = { kind, start, end };
    this.fields.push(field);
    return field;
  }

  section(group: string, start: number, end: number, count?: Field, separator?: number): void {
    this.sections.push({ group, start, end, count, separator });
  }

  extent(field: Field, start: number, end: number): void {
    this.extents.push({ field, start, end });
  }

  /** Takes over the layout of a part that lies at `offset`. */
  add(part: Layout, offset: number): void {
    const moved = ({ kind, start, end }: Field): Field => {
      return { kind, start: start + offset, end: end + offset };
    };
    for (const field of part.fields) this.fields.push(moved(field));
    for (const { group, start, end, count, separator } of part.sections) {
      this.section(group, start + offset, end + offset, count && moved(count), separator);
    }
    for (const { field, start, end } of part.extents) {
      this.extent(moved(field), start + offset, end + offset);
    }
  }
}

/** Reads an input that may end anywhere, noting each field; throws `Broken` at the end. */
export class LayoutReader {
  readonly layout: Layout = new Layout();
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  number(kind: "le" | "be", width: number): { field: Field; value: number } {
    const field = this.layout.field(kind, this.at, this.#skip(width));
    return { field, value: Number(readNumber(this.bytes, field)) };
  }

  skip(kind: FieldKind, bytes: number): Field {
    return this.layout.field(kind, this.at, this.#skip(bytes));
  }

  #skip(bytes: number): number {
    if (!(bytes >= 0 && this.at + bytes <= this.bytes.length)) throw new Broken();
    this.at += bytes;
    return this.at;
  }
}

/** The input ends, or makes no sense from here on. */
export class Broken extends Error {}

/** What `read` notes before it stops. */
export function layoutOf(bytes: Uint8Array, read: (reader: LayoutReader) => void): Layout {
  const reader = new LayoutReader(bytes);
  try {
    read(reader);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
  }
  return reader.layout;
}

/** Of "le", "be", "varint" and "digits"; others count as 0. */
export function readNumber(bytes: Uint8Array, { kind, start, end }: Field): bigint {
  if (kind === "digits") {
    const text = new TextDecoder().decode(bytes.subarray(start, end));
    return /^-?\d{1,20}$/.test(text) ? BigInt(text) : 0n;
  }
  let value = 0n;
  if (kind === "le")
    for (let i = end - 1; i >= start; i--) value = (value << 8n) | BigInt(bytes[i]!);
  if (kind === "be") for (let i = start; i < end; i++) value = (value << 8n) | BigInt(bytes[i]!);
  if (kind === "varint") {
    for (let i = end - 1; i >= start; i--) value = (value << 7n) | BigInt(bytes[i]! & 127);
  }
  return value;
}

/** The number in a field's form and width; varints and digits may get another length. */
export function numberBytes({ kind, start, end }: Field, value: bigint): Uint8Array {
  if (kind === "digits") return new TextEncoder().encode(String(value));
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  if (kind === "varint") {
    for (; rest > 127n || out.length + 1 < end - start; rest >>= 7n) {
      if (out.length === 9) break;
      out.push(Number(rest & 127n) | 128);
    }
    out.push(Number(rest & 127n));
    return Uint8Array.from(out);
  }
  for (let i = start; i < end; i++, rest >>= 8n) out.push(Number(rest & 255n));
  return Uint8Array.from(kind === "be" ? out.reverse() : out);
}
