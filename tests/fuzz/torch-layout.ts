/** Where the fields of torch.save's files lie: zip archives of stored members, and pickles by opcode. */
import { OP } from "../../src/formats/torch/pickle-ops.ts";
import { Broken, type Layout, type LayoutReader, layoutOf } from "./layout.ts";

export function torchLayout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    if (input[0] === 0x50) zip(reader);
    else legacy(reader);
  });
}

const RECORD = 0x02014b50;

function zip(reader: LayoutReader): void {
  const { bytes, layout } = reader;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - 22;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) throw new Broken();
  // Members begin where the directory says; what it says is a field of its own.
  const start = view.getUint32(end + 16, true);
  const count = layout.field("le", end + 10, end + 12);
  layout.field("le", end + 8, end + 10);
  layout.extent(layout.field("le", end + 12, end + 16), start, end);
  layout.extent(layout.field("le", end + 16, end + 20), 0, start);
  for (let at = start; at + 46 <= end && view.getUint32(at, true) === RECORD; ) {
    const [nameBytes, extraBytes] = [28, 30].map((field) => view.getUint16(at + field, true)) as [
      number,
      number,
    ];
    const next = at + 46 + nameBytes + extraBytes + view.getUint16(at + 32, true);
    for (const field of [8, 10, 28, 30, 32]) layout.field("le", at + field, at + field + 2);
    const sizes = [20, 24].map((field) => layout.field("le", at + field, at + field + 4));
    const header = view.getUint32(at + 42, true);
    layout.extent(layout.field("le", at + 42, at + 46), 0, header);
    const name = layout.field("text", at + 46, at + 46 + nameBytes);
    layout.extent({ kind: "le", start: at + 28, end: at + 30 }, name.start, name.end);
    if (extraBytes > 0) layout.field("bytes", name.end, name.end + extraBytes);
    layout.section("record", at, next, count);
    if (header + 30 <= start) {
      const data =
        header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
      const bytesOf = view.getUint32(at + 24, true);
      if (data + bytesOf <= start) {
        for (const size of sizes) layout.extent(size, data, data + bytesOf);
        layout.field("le", header + 26, header + 28);
        layout.field("le", header + 28, header + 30);
        member(layout, bytes.subarray(data, data + bytesOf), data);
      }
    }
    at = next;
  }
}

function member(layout: Layout, bytes: Uint8Array, at: number): void {
  if (bytes[0] === OP.PROTO)
    layout.add(
      layoutOf(bytes, (reader) => pickle(reader)),
      at,
    );
  else if (bytes.length > 0) layout.field("bytes", at, at + bytes.length);
}

/** Five pickles, then the storages. */
function legacy(reader: LayoutReader): void {
  for (let i = 0; i < 5; i++) pickle(reader);
  while (reader.at < reader.bytes.length) {
    const count = reader.number("le", 8).value;
    reader.skip("bytes", Math.min(4 * count, reader.bytes.length - reader.at));
  }
}

/** Bytes of arguments, by opcode. */
const FIXED: ReadonlyMap<number, number> = new Map([
  ...([OP.PROTO, OP.BININT1, OP.BINGET, OP.BINPUT] as number[]).map((op) => [op, 1] as const),
  [OP.BININT2, 2],
  ...([OP.BININT, OP.LONG_BINGET, OP.LONG_BINPUT] as number[]).map((op) => [op, 4] as const),
  [OP.FRAME, 8],
]);

/** Bytes of the length of what follows. */
const SIZED: ReadonlyMap<number, number> = new Map([
  ...([OP.LONG1, OP.SHORT_BINSTRING, OP.SHORT_BINBYTES, OP.SHORT_BINUNICODE] as number[]).map(
    (op) => [op, 1] as const,
  ),
  ...([OP.LONG4, OP.BINSTRING, OP.BINBYTES, OP.BINUNICODE] as number[]).map(
    (op) => [op, 4] as const,
  ),
  [OP.BINUNICODE8, 8],
]);

function pickle(reader: LayoutReader): void {
  const { layout, bytes } = reader;
  const marks: number[] = [];
  for (;;) {
    const start = reader.at;
    const op = reader.number("le", 1).value;
    const fixed = FIXED.get(op);
    const sized = SIZED.get(op);
    if (fixed !== undefined) reader.number("le", fixed);
    else if (sized !== undefined) {
      const length = reader.number("le", sized);
      const { start: from, end } = reader.skip("text", length.value);
      layout.extent(length.field, from, end);
    } else if (op === OP.GLOBAL) {
      for (let i = 0; i < 2; i++) {
        const end = bytes.indexOf(0x0a, reader.at);
        if (end < 0) throw new Broken();
        reader.skip("text", end - reader.at);
        reader.at++;
      }
    } else if (op === OP.BINFLOAT) reader.skip("bytes", 8);
    if (op === OP.MARK) marks.push(start);
    // A whole tuple, list or dict, to be doubled or swapped.
    const mark = [OP.TUPLE, OP.APPENDS, OP.SETITEMS, OP.DICT, OP.LIST].includes(op as never)
      ? marks.pop()
      : undefined;
    if (mark !== undefined) layout.section("group", mark, reader.at);
    layout.section(`op ${op}`, start, reader.at);
    if (op === OP.STOP) return;
  }
}
