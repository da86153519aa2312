/**
 * Reads the header of one GGUF file: metadata, and where each tensor lies. Never reads weights.
 *
 * Layout, all little-endian: "GGUF", u32 version, u64 tensors, u64 entries; entries of key, u32
 * type, value; tensors of name, u32 dims, u64 dims[], u32 type, u64 offset; padding; tensor data.
 * Strings are a u64 length and UTF-8. Versions 2 and 3 differ only in that 3 may be big-endian.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import type { ByteSource } from "../../sources/source.ts";
import type { MetadataValue, TensorInfo } from "../model-file.ts";
import { printable, shown } from "../printable.ts";
import { HeaderCursor } from "./cursor.ts";
import { readKey, readLength, readString, readValue } from "./metadata.ts";
import { isTensorType, TYPE_BLOCKS, typeName } from "./types.ts";

/** Known files have at most about 60 entries. */
const MAX_ENTRIES = 4096;

/** Known files have at most about 2,000 tensors. */
const MAX_TENSORS = 65_536;

/** The format says 64; some builds of ggml raise it. */
const MAX_NAME_BYTES = 256;

/** GGML_MAX_DIMS. */
const MAX_DIMS = 4;

/** Least bytes of an entry (length, one-byte key, type, one-byte value) and of a tensor. */
const MIN_ENTRY_BYTES = 14;
const MIN_TENSOR_BYTES = 33;

/** Of tensor data, when `general.alignment` does not say. */
const DEFAULT_ALIGNMENT = 32;

/** "GGUF" as a little-endian number. */
const MAGIC = 0x46554747;

export interface GgufHeader {
  readonly source: ByteSource;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** By name, in file order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** @throws PronkError as `readGguf` does. */
export async function readGgufHeader(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<GgufHeader> {
  const cursor = new HeaderCursor(source, signal);
  await readVersion(cursor);
  const tensorCount = await readLength(cursor, "tensor count", MAX_TENSORS, MIN_TENSOR_BYTES);
  const entryCount = await readLength(cursor, "metadata count", MAX_ENTRIES, MIN_ENTRY_BYTES);

  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < entryCount; i++) {
    cursor.place = `metadata entry ${i + 1} of ${entryCount}`;
    const key = await readKey(cursor);
    cursor.place = `key ${printable(key)}`;
    if (metadata.has(key)) throw cursor.bad("occurs twice");
    metadata.set(key, await readValue(cursor));
  }
  const alignment = readAlignment(cursor, metadata);

  const unplaced: UnplacedTensor[] = [];
  for (let i = 0; i < tensorCount; i++) {
    cursor.place = `tensor entry ${i + 1} of ${tensorCount}`;
    unplaced.push(await readTensor(cursor, alignment));
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { source, metadata, tensors: placeTensors(cursor, source, dataStart, unplaced) };
}

async function readVersion(cursor: HeaderCursor): Promise<void> {
  await cursor.need(8, "magic and version");
  const magic = cursor.u32();
  if (magic !== MAGIC) {
    throw cursor.bad(`not a GGUF file, starts with 0x${hex(magic)}`);
  }
  const version = cursor.u32();
  // A small number, so only a big-endian file has its low half zero.
  if (version !== 0 && (version & 0xffff) === 0) {
    throw cursor.unsupported("big-endian GGUF; little-endian runs");
  }
  if (version !== 2 && version !== 3) {
    throw cursor.unsupported(`GGUF version ${version}; versions 2 and 3 run`);
  }
}

/** The bytes of a little-endian u32 in file order. */
function hex(value: number): string {
  return [0, 8, 16, 24]
    .map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0"))
    .join("");
}

function readAlignment(cursor: HeaderCursor, metadata: ReadonlyMap<string, MetadataValue>): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment === "number" && Number.isInteger(Math.log2(alignment)) && alignment >= 1) {
    return alignment;
  }
  cursor.place = "key general.alignment";
  throw cursor.bad(`${shown(alignment)} is not a power of two`);
}

/** A tensor whose offset still counts from where the data will start. */
interface UnplacedTensor extends Omit<TensorInfo, "source" | "start"> {
  readonly offset: number;
}

async function readTensor(cursor: HeaderCursor, alignment: number): Promise<UnplacedTensor> {
  const name = await readString(cursor, "name", MAX_NAME_BYTES);
  cursor.place = `tensor ${printable(name)}`;

  await cursor.need(4, "dimension count");
  const dims = cursor.u32();
  if (dims < 1 || dims > MAX_DIMS) throw cursor.bad(`${dims} dimensions`);
  await cursor.need(dims * 8 + 12, "shape");
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dims; i++) {
    const size = cursor.u64();
    // GGUF lists the innermost dimension first.
    if (typeof size === "bigint" || size === 0 || size > Number.MAX_SAFE_INTEGER / elements) {
      throw cursor.bad(`dimension ${i} of ${size}${shape.length ? ` after [${shape}]` : ""}`);
    }
    elements *= size;
    shape.unshift(size);
  }

  const number = cursor.u32();
  const type = typeName(number);
  if (!isTensorType(type)) {
    const runs = Object.keys(TYPE_BLOCKS).join(", ");
    throw cursor.unsupported(`type ${type ?? number} does not run; these do: ${runs}`);
  }
  const block = TYPE_BLOCKS[type];
  if (shape.at(-1)! % block.elements !== 0) {
    throw cursor.bad(`rows of ${shape.at(-1)} are not whole ${type} blocks of ${block.elements}`);
  }
  const bytes = (elements / block.elements) * block.bytes;

  const offset = cursor.u64();
  if (typeof offset === "bigint") throw cursor.bad(`offset ${offset} is outside any file`);
  if (offset % alignment !== 0) {
    throw cursor.bad(`offset ${offset} is not a multiple of the alignment, ${alignment}`);
  }
  return { name, type, shape, bytes, offset };
}

function placeTensors(
  cursor: HeaderCursor,
  source: ByteSource,
  dataStart: number,
  unplaced: readonly UnplacedTensor[],
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const { name, type, shape, bytes, offset } of unplaced) {
    cursor.place = `tensor ${printable(name)}`;
    const start = dataStart + offset;
    // Sums that are no longer exact are far outside any file.
    if (start + bytes > source.size) {
      throw cursor.bad(`bytes [${start}, ${start + bytes}) in a file of ${source.size}`);
    }
    if (tensors.has(name)) throw cursor.bad("occurs twice");
    tensors.set(name, { name, type, shape, source, start, bytes });
  }

  let previous: TensorInfo | undefined;
  for (const tensor of [...tensors.values()].sort((a, b) => a.start - b.start)) {
    if (previous && previous.start + previous.bytes > tensor.start) {
      cursor.place = `tensor ${printable(tensor.name)}`;
      throw cursor.bad(`starts at ${tensor.start}, inside tensor ${printable(previous.name)}`);
    }
    previous = tensor;
  }
  return tensors;
}
