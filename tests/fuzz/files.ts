/**
 * Several files as one input: u16 length and name, u32 length and bytes of each, little-endian. What is damaged in
 * the container itself ends it; edits stay within the files.
 */
import { Layout } from "./layout.ts";

export type Files = ReadonlyMap<string, Uint8Array>;

export function joinFiles(files: Files | Readonly<Record<string, Uint8Array>>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, bytes] of files instanceof Map ? files : Object.entries(files)) {
    const encoded = new TextEncoder().encode(name);
    const head = new DataView(new ArrayBuffer(6 + encoded.length));
    head.setUint16(0, encoded.length, true);
    new Uint8Array(head.buffer).set(encoded, 2);
    head.setUint32(2 + encoded.length, bytes.length, true);
    parts.push(new Uint8Array(head.buffer), bytes);
  }
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

interface Place {
  readonly name: string;
  readonly head: number;
  readonly start: number;
  readonly end: number;
}

function places(input: Uint8Array): Place[] {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const found: Place[] = [];
  for (let head = 0; head + 6 <= input.length; ) {
    const nameBytes = view.getUint16(head, true);
    if (head + 6 + nameBytes > input.length) break;
    const name = new TextDecoder().decode(input.subarray(head + 2, head + 2 + nameBytes));
    const start = head + 6 + nameBytes;
    const end = Math.min(input.length, start + view.getUint32(start - 4, true));
    found.push({ name, head, start, end });
    head = end;
  }
  return found;
}

/** The last of a name counts. */
export function splitFiles(input: Uint8Array): Map<string, Uint8Array> {
  return new Map(places(input).map(({ name, start, end }) => [name, input.subarray(start, end)]));
}

/** Files are sections, which may be left out, doubled or swapped; their lengths always follow. */
export function filesLayout(
  input: Uint8Array,
  layoutOf: (name: string, bytes: Uint8Array) => Layout,
): Layout {
  const layout = new Layout();
  for (const { name, head, start, end } of places(input)) {
    layout.add(layoutOf(name, input.subarray(start, end)), start);
    layout.extent({ kind: "le", start: start - 4, end: start }, start, end);
    layout.section(`file ${name}`, head, end);
  }
  return layout;
}
