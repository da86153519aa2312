/** Where the fields of a MessagePack file of Flax lie: maps, extensions around [shape, dtype, bytes]. */
import { Broken, type Field, type Layout, type LayoutReader, layoutOf } from "./layout.ts";

export function msgpackLayout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => value(reader, 0));
}

interface Size {
  readonly value: number;
  /** Of sizes within the code there is none: the whole code is one then. */
  readonly field: Field | undefined;
}

function value(reader: LayoutReader, depth: number): void {
  if (depth > 40) throw new Broken();
  const code = reader.number("be", 1).value;
  const sized = (width: number): Size => reader.number("be", width);
  if (code >= 0x80 && code <= 0x8f) map(reader, { value: code & 15, field: undefined }, depth);
  else if (code === 0xde || code === 0xdf) map(reader, sized(code === 0xde ? 2 : 4), depth);
  else if (code >= 0x90 && code <= 0x9f)
    list(reader, { value: code & 15, field: undefined }, depth);
  else if (code === 0xdc) list(reader, sized(2), depth);
  else if (code >= 0xa0 && code <= 0xbf) reader.skip("text", code & 31);
  else if (code === 0xd9) text(reader, sized(1));
  else if (code >= 0xc4 && code <= 0xc6) bytes(reader, sized(2 ** (code - 0xc4)));
  else if (code >= 0xc7 && code <= 0xc9) extension(reader, sized(2 ** (code - 0xc7)), depth);
  else if (code >= 0xd4 && code <= 0xd8) {
    extension(reader, { value: 2 ** (code - 0xd4), field: undefined }, depth);
  } else if (code >= 0xcc && code <= 0xd3) reader.number("be", 2 ** ((code - 0xcc) & 3));
  else if (code === 0xca || code === 0xcb) reader.skip("bytes", code === 0xca ? 4 : 8);
}

function map(reader: LayoutReader, size: Size, depth: number): void {
  for (let i = 0; i < size.value; i++) {
    const start = reader.at;
    value(reader, depth + 1);
    value(reader, depth + 1);
    reader.layout.section("member", start, reader.at, size.field);
  }
}

function list(reader: LayoutReader, size: Size, depth: number): void {
  for (let i = 0; i < size.value; i++) {
    const start = reader.at;
    value(reader, depth + 1);
    reader.layout.section("item", start, reader.at, size.field);
  }
}

function text(reader: LayoutReader, size: Size): void {
  const { start, end } = reader.skip("text", size.value);
  if (size.field) reader.layout.extent(size.field, start, end);
}

function bytes(reader: LayoutReader, size: Size): void {
  const { start, end } = reader.skip("bytes", size.value);
  if (size.field) reader.layout.extent(size.field, start, end);
}

function extension(reader: LayoutReader, size: Size, depth: number): void {
  reader.number("be", 1);
  const end = reader.at + size.value;
  if (size.field && end <= reader.bytes.length) reader.layout.extent(size.field, reader.at, end);
  value(reader, depth + 1);
}
