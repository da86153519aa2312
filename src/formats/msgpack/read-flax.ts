/**
 * Where the arrays of Flax's MessagePack files lie. Reads the names between them, never an array.
 *
 * A tree of maps; a leaf is extension 1 around [shape, dtype, bytes], or, for arrays beyond 1 GiB,
 * {__msgpack_chunked_array__, shape: {"0": n, ...}, chunks: {"0": leaf, ...}}.
 * Source: flax/serialization.py of Flax 0.10; https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { PronkError } from "../../errors.ts";
import { joinedSource, type Piece } from "../../sources/joined.ts";
import type { ByteSource } from "../../sources/source.ts";
import type { FloatType } from "../float-tensor.ts";
import { printable } from "../printable.ts";
import { MsgpackCursor } from "./cursor.ts";

const TYPES: Readonly<Record<string, FloatType>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/** Bytes of an element, by numpy's name: of a type that is not here no length can be checked. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** model/layers/0/self_attn/q_proj/kernel has 6 parts. */
const MAX_DEPTH = 16;

/** Llama 3.1 405B has 1,138. */
const MAX_ARRAYS = 65_536;

const MAX_NAME_BYTES = 256;
const MAX_DIMENSIONS = 8;

/** 2^31 - 1 bytes are the most that an extension may have: Flax cuts at half of that. */
const MAX_CHUNKS = 4096;

const NDARRAY = 1;
const CHUNKED = "__msgpack_chunked_array__";

export interface FlaxArray {
  readonly type: FloatType;
  /** Outermost first. */
  readonly shape: readonly number[];
  /** All of its bytes, row-major and little-endian. */
  readonly source: ByteSource;
  /** Offset of the first. */
  readonly start: number;
}

interface Leaf {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly piece: Piece;
}

/**
 * The arrays by path, parts joined by `/`.
 *
 * @throws PronkError "bad_format"; "unsupported" on a leaf that is no float array, by path.
 */
export async function readFlax(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Map<string, FlaxArray>> {
  const reader = new FlaxReader(new MsgpackCursor(source, signal));
  await reader.tree("", 0);
  return reader.arrays;
}

class FlaxReader {
  readonly #cursor: MsgpackCursor;
  readonly arrays = new Map<string, FlaxArray>();

  constructor(cursor: MsgpackCursor) {
    this.#cursor = cursor;
  }

  async tree(path: string, depth: number): Promise<void> {
    const cursor = this.#cursor;
    if (depth > MAX_DEPTH) throw cursor.bad(`maps nest deeper than ${MAX_DEPTH}`);
    const count = await this.#mapSize();
    if (count === undefined) {
      if (path === "") throw cursor.bad("not a map: not a file of Flax");
      return this.#add(path, await this.#leaf(path));
    }
    const names = new Set<string>();
    for (let i = 0; i < count; i++) {
      const name = await this.#name();
      if (names.has(name)) throw cursor.bad(`${printable(name)} is there twice`);
      if (name === CHUNKED && i === 0) return this.#chunked(path, count);
      if (name === "" || name.includes("/")) throw cursor.bad(`a name ${printable(name)}`);
      names.add(name);
      await this.tree(path === "" ? name : `${path}/${name}`, depth + 1);
    }
  }

  #add(path: string, { dtype, shape, piece }: Leaf, pieces: readonly Piece[] = [piece]): void {
    const cursor = this.#cursor;
    const elementBytes = Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : undefined;
    if (elementBytes === undefined) throw this.#unsupported(path, `dtype ${printable(dtype)}`);
    const expected = shape.reduce((product, dim) => product * dim, elementBytes);
    const bytes = pieces.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes !== expected) {
      throw cursor.bad(`${printable(path)}: [${shape}] ${dtype} has not ${bytes} bytes`);
    }
    if (this.arrays.size === MAX_ARRAYS) throw cursor.bad(`more than ${MAX_ARRAYS} arrays`);
    const whole = pieces.length === 1;
    this.arrays.set(path, {
      type: TYPES[dtype]!,
      shape,
      source: whole ? cursor.source : joinedSource(cursor.source, pieces),
      start: whole ? pieces[0]!.start : 0,
    });
  }

  /** Extension 1: what is in it is MessagePack again. */
  async #leaf(path: string): Promise<Leaf> {
    const cursor = this.#cursor;
    const bytes = await this.#extensionSize(path);
    const kind = await cursor.u8();
    if (kind !== NDARRAY) throw this.#unsupported(path, `extension ${kind}, not an array`);
    const end = cursor.position + bytes;
    if (end > cursor.source.size) throw cursor.bad(`${printable(path)}: ${bytes} bytes: cut off`);
    if ((await this.#arraySize()) !== 3) throw cursor.bad(`${printable(path)}: not an array`);
    const dimensions = await this.#arraySize();
    if (dimensions > MAX_DIMENSIONS) throw cursor.bad(`${dimensions} dimensions`);
    const shape: number[] = [];
    for (let i = 0; i < dimensions; i++) shape.push(await this.#size());
    const dtype = await this.#name();
    const length = await this.#binarySize();
    if (cursor.position + length !== end) {
      throw cursor.bad(`${printable(path)}: ${length} bytes up to ${end}`);
    }
    const piece = { start: cursor.position, bytes: length };
    cursor.skip(length);
    return { dtype, shape, piece };
  }

  /** Behind the first key of a chunked array. */
  async #chunked(path: string, count: number): Promise<void> {
    const cursor = this.#cursor;
    if ((await cursor.u8()) !== 0xc3 || count !== 3 || (await this.#name()) !== "shape") {
      throw cursor.bad(`${printable(path)}: not a chunked array`);
    }
    const shape: number[] = [];
    await this.#numbered(MAX_DIMENSIONS, async () => {
      shape.push(await this.#size());
    });
    if ((await this.#name()) !== "chunks") throw cursor.bad(`${printable(path)}: no chunks`);
    const chunks: Leaf[] = [];
    await this.#numbered(MAX_CHUNKS, async () => {
      chunks.push(await this.#leaf(path));
    });
    const first = chunks[0];
    if (first === undefined || chunks.some(({ dtype }) => dtype !== first.dtype)) {
      throw cursor.bad(`${printable(path)}: chunks of several types, or none`);
    }
    const pieces = chunks.map(({ piece }) => piece);
    this.#add(path, { ...first, shape }, pieces);
  }

  /** A tuple as Flax writes it: a map from "0", "1", ... in any order of numbers as text. */
  async #numbered(limit: number, read: () => Promise<void>): Promise<void> {
    const count = await this.#mapSize();
    if (count === undefined || count > limit) throw this.#cursor.bad(`no tuple up to ${limit}`);
    for (let i = 0; i < count; i++) {
      const name = await this.#name();
      if (name !== String(i)) throw this.#cursor.bad(`part ${printable(name)} instead of ${i}`);
      await read();
    }
  }

  /** Undefined, and nothing consumed, where something else than a map follows. */
  async #mapSize(): Promise<number | undefined> {
    const cursor = this.#cursor;
    const at = cursor.position;
    const code = await cursor.u8();
    if (code >= 0x80 && code <= 0x8f) return code & 15;
    if (code === 0xde) return cursor.unsigned(2);
    if (code === 0xdf) return cursor.unsigned(4);
    cursor.position = at;
    return undefined;
  }

  async #arraySize(): Promise<number> {
    const code = await this.#cursor.u8();
    if (code >= 0x90 && code <= 0x9f) return code & 15;
    if (code === 0xdc) return this.#cursor.unsigned(2);
    throw this.#cursor.bad("not an array");
  }

  async #binarySize(): Promise<number> {
    const code = await this.#cursor.u8();
    const bytes = code === 0xc4 ? 1 : code === 0xc5 ? 2 : code === 0xc6 ? 4 : 0;
    if (bytes === 0) throw this.#cursor.bad("no bytes");
    return this.#cursor.unsigned(bytes);
  }

  async #extensionSize(path: string): Promise<number> {
    const code = await this.#cursor.u8();
    if (code >= 0xd4 && code <= 0xd8) return 2 ** (code - 0xd4);
    if (code >= 0xc7 && code <= 0xc9) return this.#cursor.unsigned(2 ** (code - 0xc7));
    throw this.#unsupported(path, "neither a map nor an array");
  }

  async #size(): Promise<number> {
    const code = await this.#cursor.u8();
    if (code < 0x80) return code;
    const bytes = code >= 0xcc && code <= 0xcf ? 2 ** (code - 0xcc) : 0;
    const size = bytes > 0 ? await this.#cursor.unsigned(bytes) : Number.NaN;
    if (!Number.isSafeInteger(size)) throw this.#cursor.bad("a size that is none");
    return size;
  }

  async #name(): Promise<string> {
    const code = await this.#cursor.u8();
    const short = code >= 0xa0 && code <= 0xbf;
    if (!short && code !== 0xd9) throw this.#cursor.bad("not a short name");
    const bytes = short ? code & 31 : await this.#cursor.u8();
    if (bytes > MAX_NAME_BYTES) throw this.#cursor.bad(`a name of ${bytes} bytes`);
    return new TextDecoder().decode(await this.#cursor.take(bytes));
  }

  #unsupported(path: string, what: string): PronkError {
    const place = `${this.#cursor.source.name}: ${printable(path)}`;
    return new PronkError("unsupported", `${place}: ${what}; arrays of floats are read`);
  }
}
