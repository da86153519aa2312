/**
 * Reads the index of a safetensors file: which tensors it holds and where. Never reads weights.
 *
 * Layout: u64le n, n bytes of JSON, then tensor data; offsets in the JSON count from the data, which
 * the tensors fill from its first byte to its last without gap or overlap.
 * Source: https://github.com/huggingface/safetensors#format and its safetensors/src/tensor.rs.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import { parseBoundedJson } from "../bounded-json.ts";
import { printable } from "../printable.ts";

/** Bytes of an element, of every type that the format has. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

/**
 * Of JSON; Llama 3.1 405B in one file would have 140 KB. The format allows 100 MB, whose objects would
 * take a gigabyte.
 */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** Llama 3.1 405B has 1,138. */
const MAX_TENSORS = 65_536;

/** Of a shape. */
const MAX_DIMS = 8;

export interface SafetensorsEntry {
  /** As in the file: F32, F16, BF16, I64, ... */
  readonly dtype: string;
  /** Row-major, outermost first. */
  readonly shape: readonly number[];
  /** The file that holds the bytes [start, start + bytes). */
  readonly source: ByteSource;
  readonly start: number;
  readonly bytes: number;
}

/**
 * Lists the tensors in a file, by name, in the order of their data.
 *
 * Costs two reads, of 8 bytes and of the header (about 120 bytes a tensor).
 *
 * @throws PronkError "bad_format" when the header is malformed or disagrees with the file;
 *   "unsupported" on a dtype that the format did not have in 2025; "source_failed"; "aborted".
 */
export async function readSafetensors(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Map<string, SafetensorsEntry>> {
  const bad = (why: string, cause?: unknown): PronkError =>
    new PronkError("bad_format", `${source.name}: ${why}`, { cause });
  if (source.size < 8) throw bad(`${source.size} bytes are too short for a safetensors file`);
  const prefix = new Uint8Array(8);
  await source.readInto(prefix, 0, signal);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > source.size - 8) {
    throw bad(`a header of ${headerBytes} bytes in a file of ${source.size}: not safetensors`);
  }
  if (headerBytes > MAX_HEADER_BYTES) {
    throw bad(`a header of ${headerBytes} bytes, at most ${MAX_HEADER_BYTES}`);
  }
  const json = new Uint8Array(headerBytes);
  await source.readInto(json, 8, signal);
  const header = parseBoundedJson(json, (why, cause) => bad(`the header ${why}`, cause));
  if (!isRecord(header)) throw bad("the header is not an object");

  const dataStart = 8 + headerBytes;
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (entries.length > MAX_TENSORS) throw bad(`${entries.length} tensors, at most ${MAX_TENSORS}`);
  const found = entries.map(([name, value]): [string, SafetensorsEntry] => {
    const refuse = (why: string): PronkError => bad(`tensor ${printable(name)}: ${why}`);
    const { dtype, shape, begin, end } = checkEntry(value, refuse);
    const element = Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : undefined;
    if (element === undefined) {
      throw new PronkError(
        "unsupported",
        `${source.name}: tensor ${printable(name)}: dtype ${printable(dtype)}`,
      );
    }
    const bytes = shape.reduce((product, dim) => product * dim, element);
    if (end - begin !== bytes) {
      throw refuse(`[${shape}] ${dtype} has ${bytes} bytes, its range [${begin}, ${end}) has not`);
    }
    if (dataStart + end > source.size) {
      throw refuse(`bytes up to ${dataStart + end} in a file of ${source.size}`);
    }
    return [name, { dtype, shape, source, start: dataStart + begin, bytes }];
  });
  found.sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes);
  let next = dataStart;
  for (const [name, { start, bytes }] of found) {
    if (start !== next) {
      const what = start < next ? "overlaps the one before it" : "leaves a gap before it";
      throw bad(`tensor ${printable(name)}: starts at ${start}, not ${next}: it ${what}`);
    }
    next = start + bytes;
  }
  if (next !== source.size) throw bad(`the tensors end at ${next}, the file at ${source.size}`);
  return new Map(found);
}

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

function checkEntry(value: unknown, refuse: (why: string) => PronkError): Entry {
  if (!isRecord(value)) throw refuse("its entry is not an object");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw refuse("dtype is not a string");
  if (!isSizes(shape) || shape.length > MAX_DIMS) {
    throw refuse("shape is not a list of sizes");
  }
  if (!Number.isSafeInteger(shape.reduce((product, dim) => product * dim, 8))) {
    throw refuse(`shape [${shape}] is larger than any file`);
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw refuse("data_offsets is not a pair of ascending offsets");
  }
  return { dtype, shape, begin: offsets[0], end: offsets[1] };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
