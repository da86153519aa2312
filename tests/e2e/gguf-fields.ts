/** Where the fields of a GGUF header lie, found by a reader that trusts the file. */

export interface GgufField {
  /** As error messages name it: "tensor count", "key general.name", "tensor blk.0.attn_q.weight". */
  readonly where: string;
  readonly kind: "count" | "key" | "string" | "array" | "item" | "name" | "dimension" | "offset";
  /** Of the field's eight bytes in the file. */
  readonly offset: number;
}

/** A part of the header that messages name as one. */
export interface GgufPlace {
  readonly where: string;
  /** Bytes [start, end) of the file. */
  readonly start: number;
  readonly end: number;
}

export interface GgufFields {
  /** Every field of 64 bits that holds a count, a length, a size or an offset, in file order. */
  readonly fields: readonly GgufField[];
  /** One behind the other, from the first byte to the end of the header. */
  readonly places: readonly GgufPlace[];
}

const SCALAR_BYTES: Readonly<Record<number, number>> = {
  0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
}; // biome-ignore format: a table
const STRING = 8;
const ARRAY = 9;

export function ggufFields(file: Uint8Array): GgufFields {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const fields: GgufField[] = [];
  let at = 8;
  const u32 = (): number => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const u64 = (kind: GgufField["kind"], where: string): number => {
    fields.push({ where, kind, offset: at });
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  };
  const string = (kind: GgufField["kind"], where: string): string => {
    const length = u64(kind, where);
    at += length;
    return new TextDecoder().decode(file.subarray(at - length, at));
  };

  const places: GgufPlace[] = [{ where: "magic and version", start: 0, end: at }];
  /** Everything since the last place. */
  const place = (where: string): void => {
    places.push({ where, start: places[places.length - 1].end, end: at });
  };

  const tensors = u64("count", "tensor count");
  place("tensor count");
  const entries = u64("count", "metadata count");
  place("metadata count");
  for (let i = 0; i < entries; i++) {
    const entry = `metadata entry ${i + 1} of ${entries}`;
    const where = `key ${string("key", entry)}`;
    place(entry);
    const type = u32();
    if (type === STRING) string("string", where);
    else if (type !== ARRAY) at += SCALAR_BYTES[type];
    else {
      const items = u32();
      const count = u64("array", where);
      if (items !== STRING) at += count * SCALAR_BYTES[items];
      else for (let j = 0; j < count; j++) string("item", where);
    }
    place(where);
  }
  for (let i = 0; i < tensors; i++) {
    const entry = `tensor entry ${i + 1} of ${tensors}`;
    const where = `tensor ${string("name", entry)}`;
    place(entry);
    const dimensions = u32();
    for (let j = 0; j < dimensions; j++) u64("dimension", where);
    u32();
    u64("offset", where);
    place(where);
  }
  return { fields, places };
}
