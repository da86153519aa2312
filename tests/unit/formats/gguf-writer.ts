/** Writes GGUF files for tests, right or wrong ones, and remembers where each 64-bit field lies. */

/** Numbers of the value types, by the names of the specification. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

type Kind = keyof typeof VALUE_TYPES;
type Value = number | bigint | boolean | string | Uint8Array;
export type Entry =
  | { key: string; kind: Exclude<Kind, "array">; value: Value }
  | { key: string; kind: "array"; of: Kind; values: readonly Value[] };

export interface Tensor {
  readonly name: string;
  /** As in the file: innermost first. */
  readonly dims: readonly (number | bigint)[];
  /** The number of the type. Default 0, F32. */
  readonly type?: number;
  readonly offset: number | bigint;
}

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly entries?: readonly Entry[];
  readonly tensors?: readonly Tensor[];
  readonly dataBytes?: number;
  readonly alignment?: number;
}

export interface GgufBytes {
  readonly bytes: Uint8Array;
  /** Where each 64-bit count, length, dimension or offset is. */
  readonly fields: readonly { what: string; at: number }[];
  /** Where the tensor entries end. */
  readonly headerEnd: number;
  readonly dataStart: number;
}

export function writeGguf(parts: GgufParts): GgufBytes {
  const out: number[] = [];
  const fields: { what: string; at: number }[] = [];
  const raw = (bytes: Uint8Array) => {
    for (const byte of bytes) out.push(byte);
  };
  const number = (kind: Kind, value: Value) => {
    const view = new DataView(new ArrayBuffer(8));
    const sizes = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4 } as const;
    const size = kind in sizes ? sizes[kind as keyof typeof sizes] : 8;
    if (kind === "f32") view.setFloat32(0, Number(value), true);
    else if (kind === "f64") view.setFloat64(0, Number(value), true);
    else view.setBigUint64(0, BigInt.asUintN(64, BigInt(value as number)), true);
    raw(new Uint8Array(view.buffer, 0, size));
  };
  const u64 = (what: string, value: number | bigint) => {
    fields.push({ what, at: out.length });
    number("u64", value);
  };
  const string = (what: string, value: Value) => {
    const utf8 = value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
    u64(`length of ${what}`, utf8.length);
    raw(utf8);
  };
  const scalar = (kind: Kind, what: string, value: Value) => {
    if (kind === "string") string(what, value);
    else number(kind, value);
  };

  raw(new TextEncoder().encode(parts.magic ?? "GGUF"));
  number("u32", parts.version ?? 3);
  u64("tensor count", parts.tensors?.length ?? 0);
  u64("metadata count", parts.entries?.length ?? 0);
  for (const entry of parts.entries ?? []) {
    string(`key ${entry.key}`, entry.key);
    number("u32", VALUE_TYPES[entry.kind]);
    if (entry.kind !== "array") {
      scalar(entry.kind, `value of ${entry.key}`, entry.value);
      continue;
    }
    number("u32", VALUE_TYPES[entry.of]);
    u64(`array length of ${entry.key}`, entry.values.length);
    entry.values.forEach((value, i) => void scalar(entry.of, `item ${i} of ${entry.key}`, value));
  }
  for (const tensor of parts.tensors ?? []) {
    string(`name ${tensor.name}`, tensor.name);
    number("u32", tensor.dims.length);
    tensor.dims.forEach((dim, i) => void u64(`dimension ${i} of ${tensor.name}`, dim));
    number("u32", tensor.type ?? 0);
    u64(`offset of ${tensor.name}`, tensor.offset);
  }

  const headerEnd = out.length;
  const alignment = parts.alignment ?? 32;
  const dataStart = Math.ceil(headerEnd / alignment) * alignment;
  const bytes = new Uint8Array(dataStart + (parts.dataBytes ?? 0));
  bytes.set(out);
  return { bytes, fields, headerEnd, dataStart };
}

/** A small model file with a value of every kind and four tensors, of 33 * 32 + 64 bytes of data. */
export const SMALL: GgufParts = {
  entries: [
    { key: "general.architecture", kind: "string", value: "llama" },
    { key: "general.name", kind: "string", value: "" },
    { key: "a.u8", kind: "u8", value: 200 },
    { key: "a.i8", kind: "i8", value: -100 },
    { key: "a.u16", kind: "u16", value: 60_000 },
    { key: "a.i16", kind: "i16", value: -30_000 },
    { key: "a.u32", kind: "u32", value: 4_000_000_000 },
    { key: "a.i32", kind: "i32", value: -2_000_000_000 },
    { key: "a.f32", kind: "f32", value: 0.1 },
    { key: "a.f64", kind: "f64", value: 0.1 },
    { key: "a.bool", kind: "bool", value: 1 },
    { key: "a.u64", kind: "u64", value: 2 ** 40 },
    { key: "a.u64.big", kind: "u64", value: 2n ** 63n },
    { key: "a.i64", kind: "i64", value: -5 },
    { key: "a.i64.big", kind: "i64", value: -(2n ** 62n) - 1n },
    { key: "tokens", kind: "array", of: "string", values: ["a", "", "ĠΩ", "<0x0A>"] },
    { key: "scores", kind: "array", of: "f32", values: [0, -1.5] },
    { key: "types", kind: "array", of: "i32", values: [1, -3, 6] },
    { key: "flags", kind: "array", of: "bool", values: [1, 0] },
    { key: "big", kind: "array", of: "u64", values: [2n ** 63n] },
    { key: "none", kind: "array", of: "f64", values: [] },
  ],
  tensors: [
    { name: "token_embd.weight", dims: [32, 3], type: 8, offset: 0 },
    { name: "output_norm.weight", dims: [32], offset: 128 },
    { name: "blk.0.attn_q.weight", dims: [64, 4, 2], type: 2, offset: 256 },
    { name: "blk.0.attn_k.weight", dims: [32, 2, 1, 1], type: 1, offset: 576 },
  ],
  dataBytes: 576 + 128,
};
