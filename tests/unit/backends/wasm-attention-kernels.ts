/**
 * Runs the attention kernels in guarded memory: every buffer has its exact size, with bytes around it
 * that must stay as they are. Also a plain f64 attention with bounds on what a kernel may differ by.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KvType } from "../../../src/backends/backend.ts";
import type { Kernels } from "../../../src/backends/wasm/kernels.gen.ts";
import { attentionScratchBytes, kvLayout } from "../../../src/backends/wasm/kv-layout.ts";
import { RESERVED_BYTES } from "../../../src/backends/wasm/memory-layout.ts";

const DIST = process.env.PRONK_WASM_DIST ?? "wasm/dist";
const MEMORY_PAGES = 1024;
const GUARD_BYTES = 64;
const GUARD = 0xa5;

/** What the cache and the scratch hold before a kernel writes to them: NaN in every float type. */
const STALE = 0xff;

interface KvNumbers {
  readonly word: number;
  readonly bytes: number;
  readonly kvMax: number;
  readonly pMax: number;
  readonly block: number;
  readonly qMax: (headDim: number) => number;
}

const compiledModules = new Map<string, WebAssembly.Module>();

function compiled(name: string): WebAssembly.Module {
  const module =
    compiledModules.get(name) ?? new WebAssembly.Module(readFileSync(join(DIST, `${name}.wasm`)));
  compiledModules.set(name, module);
  return module;
}

/** Elements of a 32-bit word, largest integers of K and V, of q and of p, positions of a block of p. */
export const KV: Readonly<Record<KvType, KvNumbers>> = {
  int8: { word: 2, bytes: 1, kvMax: 127, pMax: 32767, block: 64, qMax: () => 32767 },
  int16: {
    word: 2,
    bytes: 2,
    kvMax: 1023,
    pMax: 16383,
    block: 64,
    qMax: (headDim: number) => (headDim <= 128 ? 16383 : 8191),
  },
  bf16: { word: 1, bytes: 2, kvMax: 0, pMax: 0, block: 0, qMax: () => 0 },
  f32: { word: 1, bytes: 4, kvMax: 0, pMax: 0, block: 0, qMax: () => 0 },
};
export const KV_TYPES: readonly KvType[] = ["int8", "int16", "bf16", "f32"];

/** Numbers that are the same on every engine: sums of three uniform ones, about normal. */
export function randomNumbers(seed: number, count: number, size = 1): Float32Array {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 8) / 2 ** 23 - 1;
  };
  return Float32Array.from({ length: count }, () => (uniform() + uniform() + uniform()) * size);
}

/** Memory in which each allocation is exactly as large as asked, and guarded. */
export class GuardedMemory {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
  readonly #ranges: [start: number, end: number][] = [];
  #top = RESERVED_BYTES;

  allocate(bytes: number, fill: number = STALE): number {
    const start = Math.ceil((this.#top + GUARD_BYTES) / 16) * 16;
    const u8 = new Uint8Array(this.memory.buffer);
    u8.fill(GUARD, this.#top, start);
    u8.fill(fill, start, start + bytes);
    u8.fill(GUARD, start + bytes, start + bytes + GUARD_BYTES);
    this.#ranges.push([this.#top, start], [start + bytes, start + bytes + GUARD_BYTES]);
    this.#top = start + bytes + GUARD_BYTES;
    return start;
  }

  copyIn(data: Float32Array | Float64Array): number {
    const start = this.allocate(data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.memory.buffer).set(bytes, start);
    return start;
  }

  floats(start: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, start, count);
  }

  bytes(start: number, count: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, start, count);
  }

  /** Addresses of guard bytes that were written. */
  damaged(): number[] {
    const u8 = new Uint8Array(this.memory.buffer);
    const found: number[] = [];
    for (const [start, end] of this.#ranges)
      for (let i = start; i < end; i++) if (u8[i] !== GUARD) found.push(i);
    return found;
  }

  kernels(module: string): Kernels {
    const { exports } = new WebAssembly.Instance(compiled(module), {
      env: { memory: this.memory },
    });
    return exports as unknown as Kernels;
  }
}

export interface Shape {
  readonly kv: KvType;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ctx: number;
  /** Rows of a call at most. */
  readonly rows: number;
}

/** A cache and a sequence of `ctx` rows of q, k and v; `module` runs on them. */
export class AttentionCase {
  readonly shape: Shape;
  readonly space: GuardedMemory = new GuardedMemory();
  readonly scale: number;
  /** Row-major: heads of q, then of k, then of v, then a gap that no kernel may read for a row. */
  readonly ld: number;
  /** Of out: heads * headDim and a gap. */
  readonly ldo: number;
  readonly scratchBytes: number;
  readonly #qkv: number;
  readonly #out: number;
  readonly #scratch: number;
  readonly #cache: { k: number; v: number; kScales: number; vScales: number };
  readonly #kernels: Kernels;
  readonly #view: DataView;

  constructor(module: string, shape: Shape, qkv: Float32Array, ld: number) {
    const { kv, heads, kvHeads, headDim, ctx, rows } = shape;
    this.shape = shape;
    this.scale = Math.fround(1 / Math.sqrt(headDim));
    this.ld = ld;
    this.ldo = heads * headDim + 2;
    const layout = kvLayout(kv, kvHeads, headDim, ctx);
    this.#cache = {
      k: this.space.allocate(layout.kBytes),
      v: this.space.allocate(layout.vBytes),
      kScales: this.space.allocate(layout.kScaleBytes),
      vScales: this.space.allocate(layout.vScaleBytes),
    };
    this.scratchBytes = attentionScratchBytes(kv, rows, heads, kvHeads, headDim, ctx);
    this.#scratch = this.space.allocate(this.scratchBytes);
    this.#qkv = this.space.copyIn(qkv);
    this.#out = this.space.allocate(ctx * this.ldo * 4);
    this.#kernels = this.space.kernels(module);
    this.#view = new DataView(this.space.memory.buffer);
  }

  /** Columns of a row of q, k and v, and where k and v start. */
  static columns({ heads, kvHeads, headDim }: Shape): { k: number; v: number; ld: number } {
    const k = heads * headDim;
    return { k, v: k + kvHeads * headDim, ld: k + 2 * kvHeads * headDim + 3 };
  }

  /** Stores the keys and values of these rows, then attends; leaves the output in place. */
  run(position: number, rows: number): void {
    this.store(position, rows);
    this.attend(position, rows);
  }

  store(position: number, rows: number): void {
    const { kv, kvHeads, headDim, ctx } = this.shape;
    const columns = AttentionCase.columns(this.shape);
    const k = this.#qkv + (position * this.ld + columns.k) * 4;
    const v = this.#qkv + (position * this.ld + columns.v) * 4;
    const { k: keys, v: values, kScales, vScales } = this.#cache;
    const sizes = [rows, this.ld, position, kvHeads, headDim, ctx] as const;
    if (kv === "int8") this.#kernels.kv_store_i8(keys, values, kScales, vScales, k, v, ...sizes);
    if (kv === "int16") this.#kernels.kv_store_i16(keys, values, kScales, vScales, k, v, ...sizes);
    if (kv === "bf16") this.#kernels.kv_store_bf16(keys, values, k, v, ...sizes);
    if (kv === "f32") this.#kernels.kv_store_f32(keys, values, k, v, ...sizes);
  }

  attend(position: number, rows: number): void {
    const { kv, heads, kvHeads, headDim, ctx } = this.shape;
    const out = this.#out + position * this.ldo * 4;
    const q = this.#qkv + position * this.ld * 4;
    const { k, v, kScales, vScales } = this.#cache;
    const shape = [position, heads, kvHeads, headDim, ctx, this.scale] as const;
    const sizes = [this.#scratch, rows, this.ld, this.ldo, ...shape] as const;
    if (kv === "int8") this.#kernels.attention_i8(out, q, k, v, kScales, vScales, ...sizes);
    if (kv === "int16") this.#kernels.attention_i16(out, q, k, v, kScales, vScales, ...sizes);
    if (kv === "bf16") this.#kernels.attention_bf16(out, q, k, v, ...sizes);
    if (kv === "f32") this.#kernels.attention_f32(out, q, k, v, ...sizes);
  }

  /** (heads * headDim,) of one position. */
  output(position: number): Float32Array {
    const { heads, headDim } = this.shape;
    return this.space.floats(this.#out + position * this.ldo * 4, heads * headDim);
  }

  /** Forgets everything but q, k and v. */
  clear(): void {
    for (const bytes of this.#cacheBytes()) bytes.fill(STALE);
    this.space.bytes(this.#scratch, this.scratchBytes).fill(STALE);
    this.space.bytes(this.#out, this.shape.ctx * this.ldo * 4).fill(STALE);
  }

  /** Bytes of the cache that look as if never written. */
  staleCacheBytes(): number {
    const stale = (sum: number, byte: number): number => sum + (byte === STALE ? 1 : 0);
    return this.#cacheBytes().reduce((sum, bytes) => sum + bytes.reduce(stale, 0), 0);
  }

  /** Bytes at the end of the scratch that look as if never written. */
  untouchedScratch(): number {
    const bytes = this.space.bytes(this.#scratch, this.scratchBytes);
    return bytes.length - 1 - bytes.findLastIndex((byte) => byte !== STALE);
  }

  #cacheBytes(): Uint8Array[] {
    const { kv, kvHeads, headDim, ctx } = this.shape;
    const { kBytes, vBytes, kScaleBytes, vScaleBytes } = kvLayout(kv, kvHeads, headDim, ctx);
    const { k, v, kScales, vScales } = this.#cache;
    return [
      this.space.bytes(k, kBytes),
      this.space.bytes(v, vBytes),
      this.space.bytes(kScales, kScaleBytes),
      this.space.bytes(vScales, vScaleBytes),
    ];
  }

  /** (headDim,) of a q row, as given. */
  query(position: number, head: number): Float32Array {
    const { headDim } = this.shape;
    return this.space.floats(this.#qkv + (position * this.ld + head * headDim) * 4, headDim);
  }

  /** (headDim,) as given to the cache. */
  given(which: "k" | "v", position: number, kvHead: number): Float32Array {
    const { headDim } = this.shape;
    const column = AttentionCase.columns(this.shape)[which] + kvHead * headDim;
    return this.space.floats(this.#qkv + (position * this.ld + column) * 4, headDim);
  }

  /** The stored element (an integer of integer types) and its vector's scale (1 for float types). */
  stored(which: "k" | "v", position: number, kvHead: number, dim: number): [number, number] {
    const { kv, headDim, ctx } = this.shape;
    const { word, bytes } = KV[kv];
    const tiles = Math.ceil(headDim / 8);
    const blocks = Math.ceil(ctx / 64);
    const index =
      which === "k"
        ? (kvHead * ctx + position - (position % 8)) * headDim +
          Math.floor(dim / word) * 8 * word +
          (position % 8) * word +
          (dim % word)
        : (kvHead * blocks * tiles + this.#strip(position, Math.floor(dim / 8))) * 8 * 64 +
          Math.floor((position % 64) / word) * 8 * word +
          (dim % 8) * word +
          (position % word);
    const view = this.#view;
    const at = this.#cache[which] + index * bytes;
    if (kv === "f32") return [view.getFloat32(at, true), 1];
    if (kv === "bf16") {
      view.setUint32(0, view.getUint16(at, true) << 16); // address 0: the unused end of the stack
      return [view.getFloat32(0), 1];
    }
    const scales = which === "k" ? this.#cache.kScales : this.#cache.vScales;
    const scale = view.getFloat32(scales + (kvHead * ctx + position) * 4, true);
    return [kv === "int8" ? view.getInt8(at) : view.getInt16(at, true), scale];
  }

  /** Strips of V before that one: two slabs, the larger half of the strips first. */
  #strip(position: number, strip: number): number {
    const strips = Math.ceil(this.shape.headDim / 8);
    const first = Math.ceil(strips / 2);
    const block = Math.floor(position / 64);
    if (strip < first) return block * first + strip;
    return Math.ceil(this.shape.ctx / 64) * first + block * (strips - first) + strip - first;
  }

  /** (positions, headDim) of one K/V head, decoded. */
  decoded(which: "k" | "v", positions: number, kvHead: number): Float64Array[] {
    return Array.from({ length: positions }, (_, position) =>
      Float64Array.from({ length: this.shape.headDim }, (_, dim) => {
        const [value, scale] = this.stored(which, position, kvHead, dim);
        return value * scale;
      }),
    );
  }
}
