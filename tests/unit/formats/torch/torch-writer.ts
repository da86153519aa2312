/** Files as torch.save writes them, and as no one should: pickles by opcode, zip archives by field. */
import { memorySource } from "../../../../src/sources/memory.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";

/** Opcodes as text, numbers as bytes; nested for reading. */
export type Code = string | number | Uint8Array | readonly Code[];

export function bytesOf(...code: Code[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const add = (part: Code): void => {
    if (typeof part === "number") parts.push(Uint8Array.of(part));
    else if (typeof part === "string") parts.push(new Uint8Array(Buffer.from(part, "latin1")));
    else if (part instanceof Uint8Array) parts.push(part);
    else for (const item of part) add(item);
  };
  add(code);
  return new Uint8Array(Buffer.concat(parts));
}

const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const u16 = (n: number): number[] => [n & 255, n >>> 8];
const u64 = (n: number): number[] => [...u32(n % 2 ** 32), ...u32(Math.floor(n / 2 ** 32))];

export const int = (n: number): Code => ["J", u32(n)];
export const text = (s: string): Code => ["X", u32(s.length), s];
export const tuple = (...items: Code[]): Code => ["(", items, "t"];
export const global = (module: string, name: string): Code => ["c", module, "\n", name, "\n"];
export const call = (module: string, name: string, ...args: Code[]): Code => [
  global(module, name),
  tuple(...args),
  "R",
];
export const dict = (...items: Code[]): Code => ["}(", items, "u"];
export const pickle = (...code: Code[]): Uint8Array => bytesOf(0x80, 2, code, ".");

export interface TensorCode {
  readonly type?: string;
  readonly key?: string;
  readonly elements: number;
  readonly view?: Code;
  readonly offset?: Code;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A tensor in a pickle, as _rebuild_tensor_v2 is called. */
export function tensor(of: TensorCode): Code {
  const storage = tuple(
    text("storage"),
    global("torch", of.type ?? "FloatStorage"),
    text(of.key ?? "0"),
    text("cpu"),
    int(of.elements),
    of.view ?? [],
  );
  return call(
    "torch._utils",
    "_rebuild_tensor_v2",
    [storage, "Q"],
    of.offset ?? int(0),
    tuple(...of.shape.map(int)),
    tuple(...of.strides.map(int)),
    [0x89],
    call("collections", "OrderedDict"),
  );
}

export interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What the directory says, where it lies. */
  readonly method?: number;
  readonly flags?: number;
  readonly size?: number;
  readonly stored?: number;
  readonly header?: number;
}

/** Stored members, in the directory of zip64 where asked. */
export function zip(members: readonly Member[], zip64 = false): Uint8Array {
  const parts: Uint8Array[] = [];
  const records: Uint8Array[] = [];
  let start = 0;
  for (const { name, bytes, method = 0, flags = 0, size, stored, header } of members) {
    const at = header ?? start;
    const [whole, kept] = [size ?? bytes.length, stored ?? bytes.length];
    const part = bytesOf(
      ["PK", 3, 4, u16(20), u16(flags), u16(method), u32(0), u32(0), u32(0), u32(0)],
      [u16(name.length), u16(0), name, bytes],
    );
    parts.push(part);
    start += part.length;
    const wide = 0xffffffff;
    const narrow = zip64 ? [wide, wide, wide] : [kept, whole, at];
    const extra = zip64 ? bytesOf(u16(1), u16(24), u64(whole), u64(kept), u64(at)) : "";
    records.push(
      bytesOf(
        ["PK", 1, 2, u16(20), u16(20), u16(flags), u16(method), u32(0), u32(0)],
        [u32(narrow[0]), u32(narrow[1]), u16(name.length), u16(extra.length)],
        [u16(0), u16(0), u16(0), u32(0), u32(narrow[2]), name, extra],
      ),
    );
  }
  const directory = bytesOf(records);
  const count = members.length;
  const end: Code = zip64
    ? [
        ["PK", 6, 6, u64(44), u16(45), u16(45), u32(0), u32(0), u64(count), u64(count)],
        [u64(directory.length), u64(start)],
        ["PK", 6, 7, u32(0), u64(start + directory.length), u32(1)],
        ["PK", 5, 6, u16(0), u16(0), u16(0xffff), u16(0xffff), u32(0xffffffff), u32(0xffffffff)],
      ]
    : ["PK", 5, 6, u16(0), u16(0), u16(count), u16(count), u32(directory.length), u32(start)];
  return bytesOf(parts, directory, end, u16(0));
}

export function f32(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** A file of torch.save's zip form. */
export function torchZip(data: Uint8Array, storages: Record<string, Uint8Array> = {}): ByteSource {
  const members = Object.entries(storages).map(([key, bytes]) => ({
    name: `m/data/${key}`,
    bytes,
  }));
  return memorySource(zip([{ name: "m/data.pkl", bytes: data }, ...members]), "m.pth");
}

const MAGIC = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** A file of torch.save's form before PyTorch 1.6. */
export function torchLegacy(
  data: Uint8Array,
  storages: readonly (readonly [key: string, count: number, bytes: Uint8Array])[] = [],
  system: Code = dict(text("little_endian"), [0x88]),
): ByteSource {
  const keys = ["](", storages.map(([key]) => text(key)), "e"];
  const file = bytesOf(
    pickle([0x8a, MAGIC.length, MAGIC]),
    pickle("M", u16(1001)),
    pickle(system),
    data,
    pickle(keys),
    storages.map(([, count, bytes]) => [u64(count), bytes]),
  );
  return memorySource(file, "m.pth");
}

export function repeat(code: Code, times: number): Uint8Array {
  const once = bytesOf(code);
  const all = new Uint8Array(once.length * times);
  for (let i = 0; i < times; i++) all.set(once, i * once.length);
  return all;
}

export interface StateEntry {
  readonly type: "FloatStorage" | "HalfStorage" | "BFloat16Storage" | "LongStorage";
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The zip form of a state dict, each tensor contiguous in a storage of its own. */
export function torchState(
  state: ReadonlyMap<string, StateEntry>,
  wrap: (state: Code) => Code = (code) => code,
): Uint8Array {
  const members: Member[] = [];
  const items: Code[] = [];
  for (const [name, { type, shape, bytes }] of state) {
    const key = String(members.length);
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((n, dim) => n * dim, 1));
    const elements = shape.reduce((n, dim) => n * dim, 1);
    items.push(text(name), tensor({ type, key, elements, shape, strides }));
    members.push({ name: `m/data/${key}`, bytes });
  }
  return zip([{ name: "m/data.pkl", bytes: pickle(wrap(dict(...items))) }, ...members]);
}
