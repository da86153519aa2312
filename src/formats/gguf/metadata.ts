/** Keys and values of a GGUF header. */
import type { MetadataArray, MetadataValue, PackedStrings } from "../model-file.ts";
import { PackedStringsBuilder } from "../packed-strings.ts";
import type { HeaderCursor } from "./cursor.ts";

/** The format's own limit. */
const MAX_KEY_BYTES = 65_535;

/** Some files hold a whole tokenizer.json in one string; those of 256k tokens have 17 MB. */
const MAX_STRING_BYTES = 32 * 1024 * 1024;

/** A string has at least its length. */
const MIN_STRING_BYTES = 8;

/** The largest known arrays, merges of a vocabulary, have about 500,000 items. */
const MAX_ARRAY_LENGTH = 16 * 1024 * 1024;

/** Numbers of the value types that are not numbers. */
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** How a value of fixed size is read, alone and in arrays; by the type's number. */
interface Scalar {
  readonly bytes: number;
  readonly read: (cursor: HeaderCursor) => MetadataValue;
  readonly array: (length: number) => Exclude<MetadataArray, PackedStrings>;
}

const SCALARS: Readonly<Record<number, Scalar>> = {
  0: { bytes: 1, read: (c) => c.u8(), array: (n) => new Uint8Array(n) },
  1: { bytes: 1, read: (c) => c.i8(), array: (n) => new Int8Array(n) },
  2: { bytes: 2, read: (c) => c.u16(), array: (n) => new Uint16Array(n) },
  3: { bytes: 2, read: (c) => c.i16(), array: (n) => new Int16Array(n) },
  4: { bytes: 4, read: (c) => c.u32(), array: (n) => new Uint32Array(n) },
  5: { bytes: 4, read: (c) => c.i32(), array: (n) => new Int32Array(n) },
  6: { bytes: 4, read: (c) => c.f32(), array: (n) => new Float32Array(n) },
  [BOOL]: { bytes: 1, read: readBool, array: (n) => new Uint8Array(n) },
  10: { bytes: 8, read: (c) => c.u64(), array: (n) => new BigUint64Array(n) },
  11: { bytes: 8, read: (c) => c.i64(), array: (n) => new BigInt64Array(n) },
  12: { bytes: 8, read: (c) => c.f64(), array: (n) => new Float64Array(n) },
};

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads how many items follow, which have at least `itemBytes` each.
 *
 * @throws PronkError "bad_format" when there are more than `max`, or than the file has room for.
 */
export async function readLength(
  cursor: HeaderCursor,
  what: string,
  max: number,
  itemBytes: number,
): Promise<number> {
  if (cursor.buffered < 8) await cursor.need(8, what);
  const length = cursor.u64();
  if (typeof length === "bigint" || length > max) {
    throw cursor.bad(`${what} is ${length}, the limit is ${max}`);
  }
  cursor.check(length * itemBytes, `${what} of ${length}`);
  return length;
}

/** A string that names something: valid UTF-8 of at least one byte. */
export async function readString(
  cursor: HeaderCursor,
  what: string,
  maxBytes: number,
): Promise<string> {
  const length = await readLength(cursor, `${what} length`, maxBytes, 1);
  if (length === 0) throw cursor.bad(`${what} is empty`);
  await cursor.need(length, what);
  try {
    return strict.decode(cursor.take(length));
  } catch {
    throw cursor.bad(`${what} is not UTF-8`);
  }
}

export function readKey(cursor: HeaderCursor): Promise<string> {
  return readString(cursor, "key", MAX_KEY_BYTES);
}

export async function readValue(cursor: HeaderCursor): Promise<MetadataValue> {
  await cursor.need(4, "value type");
  const type = cursor.u32();
  if (type === STRING) return readText(cursor);
  if (type === ARRAY) return readArray(cursor);
  const scalar = SCALARS[type];
  if (!scalar) throw cursor.bad(`value type ${type}`);
  await cursor.need(scalar.bytes, "value");
  return scalar.read(cursor);
}

function readBool(cursor: HeaderCursor): boolean {
  const value = cursor.u8();
  if (value > 1) throw cursor.bad(`boolean ${value}`);
  return value === 1;
}

/** Bytes that are not UTF-8 become U+FFFD: such a description must not keep a model from running. */
async function readText(cursor: HeaderCursor): Promise<string> {
  const length = await readLength(cursor, "string length", MAX_STRING_BYTES, 1);
  await cursor.need(length, "string");
  return lenient.decode(cursor.take(length));
}

async function readArray(cursor: HeaderCursor): Promise<MetadataArray> {
  await cursor.need(4, "array type");
  const type = cursor.u32();
  if (type === ARRAY) throw cursor.unsupported("array of arrays");
  if (type === STRING) return readStrings(cursor);
  const scalar = SCALARS[type];
  if (!scalar) throw cursor.bad(`array of value type ${type}`);

  const length = await readLength(cursor, "array length", MAX_ARRAY_LENGTH, scalar.bytes);
  const values = scalar.array(length);
  const bytes = new Uint8Array(values.buffer);
  await cursor.copyInto(bytes);
  if (type === BOOL) {
    const wrong = bytes.find((value) => value > 1);
    if (wrong !== undefined) throw cursor.bad(`boolean ${wrong}`);
  }
  return values;
}

async function readStrings(cursor: HeaderCursor): Promise<PackedStrings> {
  const count = await readLength(cursor, "array length", MAX_ARRAY_LENGTH, MIN_STRING_BYTES);
  const strings = new PackedStringsBuilder(count);
  for (let i = 0; i < count; i++) {
    // Waiting is rare, and costs more than the string when there is nothing to wait for.
    if (cursor.buffered < MIN_STRING_BYTES) await cursor.need(MIN_STRING_BYTES, `string ${i}`);
    const length = cursor.u64();
    if (typeof length === "bigint" || length > MAX_STRING_BYTES) {
      throw cursor.bad(`string ${i} has ${length} bytes, the limit is ${MAX_STRING_BYTES}`);
    }
    if (cursor.buffered < length) await cursor.need(length, `string ${i}`);
    cursor.takeInto(strings, length);
  }
  return strings.build();
}
