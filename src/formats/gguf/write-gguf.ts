/**
 * Writes a GGUF file of version 3, tensor by tensor. Layout: src/formats/gguf/header.ts.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { throwIfAborted } from "../../errors.ts";
import type { PackedStrings } from "../model-file.ts";
import type { OutputFile } from "../output-file.ts";
import { type WrittenType, writtenBytes } from "./quantize.ts";
import { typeNumber } from "./types.ts";

/** A metadata value with the type that it has in the file. */
export type GgufValue =
  | { readonly type: "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: PackedStrings }
  | { readonly type: "i32s"; readonly value: ArrayLike<number> }
  | { readonly type: "f32s"; readonly value: ArrayLike<number> };

export interface GgufTensor {
  readonly name: string;
  readonly type: WrittenType;
  /** Outermost first. */
  readonly shape: readonly number[];
  /** Hands out the tensor's bytes in order; each piece is valid until the promise settles. */
  write(put: (bytes: Uint8Array) => Promise<void>, signal?: AbortSignal): Promise<void>;
}

/** Numbers of the value types. */
const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Of tensor data, which is what files without general.alignment have. */
const ALIGNMENT = 32;

const MAGIC = 0x46554747;
const VERSION = 3;

/** @throws PronkError as the tensors and the file do; "aborted". */
export async function writeGguf(
  file: OutputFile,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
  signal?: AbortSignal,
): Promise<void> {
  const header = new HeaderBuilder();
  header.u32(MAGIC);
  header.u32(VERSION);
  header.u64(tensors.length);
  header.u64(metadata.size);
  for (const [key, value] of metadata) {
    header.string(key);
    header.value(value);
  }
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    header.string(name);
    header.u32(shape.length);
    for (const size of [...shape].reverse()) header.u64(size);
    header.u32(typeNumber(type));
    header.u64(offset);
    offset = align(offset + bytesOf(type, shape));
  }
  header.pad(align(header.length) - header.length);
  await file.write(header.bytes());

  for (const tensor of tensors) {
    throwIfAborted(signal);
    let written = 0;
    const put = async (bytes: Uint8Array): Promise<void> => {
      written += bytes.length;
      await file.write(bytes);
    };
    await tensor.write(put, signal);
    const expected = bytesOf(tensor.type, tensor.shape);
    if (written !== expected) {
      throw new Error(`writeGguf: ${tensor.name}: ${written} bytes, expected ${expected}`);
    }
    await file.write(new Uint8Array(align(expected) - expected));
  }
}

function bytesOf(type: WrittenType, shape: readonly number[]): number {
  return writtenBytes(
    type,
    shape.reduce((product, size) => product * size, 1),
  );
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

const encoder = new TextEncoder();

/** Little-endian values one behind the other. */
class HeaderBuilder {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  pad(bytes: number): void {
    this.#reserve(bytes);
  }

  u32(value: number): void {
    this.#view.setUint32(this.#reserve(4), value, true);
  }

  u64(value: number): void {
    this.#view.setBigUint64(this.#reserve(8), BigInt(value), true);
  }

  string(text: string): void {
    this.#text(encoder.encode(text));
  }

  value(value: GgufValue): void {
    switch (value.type) {
      case "bool":
        this.u32(TYPES.bool);
        this.#bytes[this.#reserve(1)] = value.value ? 1 : 0;
        return;
      case "string":
        this.u32(TYPES.string);
        this.string(value.value);
        return;
      case "strings": {
        const { bytes, offsets, length } = value.value;
        this.#array(TYPES.string, length);
        for (let i = 0; i < length; i++) this.#text(bytes.subarray(offsets[i], offsets[i + 1]));
        return;
      }
      case "i32s":
        this.#array(TYPES.i32, value.value.length);
        for (let i = 0; i < value.value.length; i++) this.#number("i32", value.value[i]!);
        return;
      case "f32s":
        this.#array(TYPES.f32, value.value.length);
        for (let i = 0; i < value.value.length; i++) this.#number("f32", value.value[i]!);
        return;
      default:
        this.u32(TYPES[value.type]);
        this.#number(value.type, value.value);
    }
  }

  #number(type: "u32" | "i32" | "f32", value: number): void {
    const at = this.#reserve(4);
    if (type === "u32") this.#view.setUint32(at, value, true);
    else if (type === "i32") this.#view.setInt32(at, value, true);
    else this.#view.setFloat32(at, value, true);
  }

  #array(type: number, length: number): void {
    this.u32(TYPES.array);
    this.u32(type);
    this.u64(length);
  }

  #text(text: Uint8Array): void {
    this.u64(text.length);
    this.#bytes.set(text, this.#reserve(text.length));
  }

  /** Where the next `bytes` bytes go: zeros so far. */
  #reserve(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
