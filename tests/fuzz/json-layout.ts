/** The values, members and items of JSON that may be broken. */
import { Broken, type LayoutReader } from "./layout.ts";

const COMMA = 0x2c;

/** Notes the value that begins at the reader's position, and moves behind it. */
export function readJson(reader: LayoutReader, group = "json", depth = 0): void {
  blank(reader);
  const start = reader.at;
  const first = reader.bytes[start];
  if (first === undefined || depth > 100) throw new Broken();
  if (first === 0x7b) members(reader, `${group}{`, depth, true);
  else if (first === 0x5b) members(reader, `${group}[`, depth, false);
  else if (first === 0x22) text(reader);
  else word(reader);
  reader.layout.field("json", start, reader.at);
}

function members(reader: LayoutReader, group: string, depth: number, isObject: boolean): void {
  const { bytes, layout } = reader;
  const close = isObject ? 0x7d : 0x5d;
  reader.at++;
  blank(reader);
  if (bytes[reader.at] === close) {
    reader.at++;
    return;
  }
  for (;;) {
    blank(reader);
    const start = reader.at;
    let name = "";
    if (isObject) {
      if (bytes[reader.at] !== 0x22) throw new Broken();
      text(reader);
      // Members of the same name are of a kind, so that splices put them where they may stand.
      if (depth < 3)
        name = new TextDecoder().decode(bytes.subarray(start, Math.min(reader.at, start + 24)));
      blank(reader);
      if (bytes[reader.at++] !== 0x3a) throw new Broken();
    }
    readJson(reader, `${group}${name}`, depth + 1);
    layout.section(group, start, reader.at, undefined, COMMA);
    blank(reader);
    const next = bytes[reader.at++];
    if (next === close) return;
    if (next !== COMMA) throw new Broken();
  }
}

function text(reader: LayoutReader): void {
  const { bytes, layout } = reader;
  const start = ++reader.at;
  while (reader.at < bytes.length && bytes[reader.at] !== 0x22) {
    reader.at += bytes[reader.at] === 0x5c ? 2 : 1;
  }
  if (reader.at >= bytes.length) throw new Broken();
  layout.field("text", start, reader.at);
  reader.at++;
}

function word(reader: LayoutReader): void {
  const start = reader.at;
  while (
    reader.at < reader.bytes.length &&
    /[\w.+-]/.test(String.fromCharCode(reader.bytes[reader.at]!))
  ) {
    reader.at++;
  }
  if (reader.at === start) throw new Broken();
  if (/[\d-]/.test(String.fromCharCode(reader.bytes[start]!))) {
    reader.layout.field("digits", start, reader.at);
  }
}

function blank(reader: LayoutReader): void {
  while ([0x20, 0x09, 0x0a, 0x0d].includes(reader.bytes[reader.at] ?? 0)) reader.at++;
}
