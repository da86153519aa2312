/**
 * The KV cache of a layer and slot from outside the kernels: which bytes hold its first positions, and the
 * values there. The layout is that of wasm/kv_cache.h.
 */
import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../../model/config.ts";
import type { CachedLayer } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { CACHE_TYPES, KV_TILE, kvLayout, V_BLOCK } from "./kv-layout.ts";
import type { CacheRegion } from "./memory-layout.ts";

/** Bytes [offset, offset + length) of one part of a region. */
export interface CachedRange {
  readonly part: keyof CacheRegion;
  readonly offset: number;
  readonly length: number;
}

type Sizes = Pick<RunnerOptions, "kv" | "ctx">;

/** The bytes that hold the first `positions` of every head, in whole tiles and blocks. */
export function cachedRanges(
  { num_key_value_heads: kvHeads, head_dim: headDim }: LlamaConfig,
  { kv, ctx }: Sizes,
  positions: number,
): CachedRange[] {
  const sizes = kvLayout(kv, kvHeads, headDim, ctx);
  const { bytes, integer } = CACHE_TYPES[kv];
  const strips = stripsOf(headDim);
  const blocks = Math.ceil(positions / V_BLOCK);
  const stripBytes = V_BLOCK * KV_TILE * bytes;
  const slab = Math.ceil(ctx / V_BLOCK) * strips.first * stripBytes;
  return Array.from({ length: kvHeads }, (_, head): CachedRange[] => {
    const keys = (head * sizes.kBytes) / kvHeads;
    const values = (head * sizes.vBytes) / kvHeads;
    const scales = { offset: head * ctx * 4, length: integer ? positions * 4 : 0 };
    const tiles = Math.ceil(positions / KV_TILE);
    return [
      { part: "keys", offset: keys, length: tiles * KV_TILE * headDim * bytes },
      { part: "values", offset: values, length: blocks * strips.first * stripBytes },
      { part: "values", offset: values + slab, length: blocks * strips.second * stripBytes },
      { part: "keyScales", ...scales },
      { part: "valueScales", ...scales },
    ];
  }).flat();
}

/** Where a layer's elements are, counted in elements from its part's start, and its scales, in f32. */
interface CacheIndexes {
  readonly bytes: number;
  readonly hasScales: boolean;
  key(head: number, position: number, dim: number): number;
  value(head: number, position: number, dim: number): number;
  scale(head: number, position: number): number;
}

function cacheIndexes({ head_dim: headDim }: LlamaConfig, { kv, ctx }: Sizes): CacheIndexes {
  const { bytes, integer } = CACHE_TYPES[kv];
  const word = integer ? 2 : 1;
  const strips = stripsOf(headDim);
  const blocks = Math.ceil(ctx / V_BLOCK);
  return {
    bytes,
    hasScales: integer,
    key: (head, t, d) =>
      (head * ctx + t - (t % KV_TILE)) * headDim +
      (Math.floor(d / word) * KV_TILE + (t % KV_TILE)) * word +
      (d % word),
    value(head, t, d) {
      const strip = Math.floor(d / KV_TILE);
      const block = Math.floor(t / V_BLOCK);
      const before =
        strip < strips.first
          ? block * strips.first + strip
          : blocks * strips.first + block * strips.second + strip - strips.first;
      const inStrip =
        (Math.floor((t % V_BLOCK) / word) * KV_TILE + (d % KV_TILE)) * word + (t % word);
      const all = strips.first + strips.second;
      return (head * blocks * all + before) * KV_TILE * V_BLOCK + inStrip;
    },
    scale: (head, t) => head * ctx + t,
  };
}

/** The first `positions` in f32: (kvHeads, positions, headDim). */
export function readCachedLayer(
  memory: ArrayBufferLike,
  region: CacheRegion,
  config: LlamaConfig,
  sizes: Sizes,
  positions: number,
): CachedLayer {
  const view = new DataView(memory);
  const { num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const at = cacheIndexes(config, sizes);
  const element = ELEMENTS[sizes.kv];
  const read = (start: number, scales: number, indexOf: CacheIndexes["key"]): Float32Array => {
    const out = new Float32Array(kvHeads * positions * headDim);
    let i = 0;
    for (let head = 0; head < kvHeads; head++) {
      for (let t = 0; t < positions; t++) {
        const scale = at.hasScales ? view.getFloat32(scales + at.scale(head, t) * 4, true) : 1;
        for (let d = 0; d < headDim; d++) {
          out[i++] = element(view, start + indexOf(head, t, d) * at.bytes) * scale;
        }
      }
    }
    return out;
  };
  return {
    keys: read(region.keys, region.keyScales, at.key),
    values: read(region.values, region.valueScales, at.value),
  };
}

/** Bytes of `positions` of a layer as `saveCachedLayer` gives them. */
export function savedLayerBytes(
  { num_key_value_heads: kvHeads, head_dim: headDim }: LlamaConfig,
  { kv }: Pick<Sizes, "kv">,
  positions: number,
): number {
  const { bytes, integer } = CACHE_TYPES[kv];
  return 2 * kvHeads * positions * (headDim * bytes + (integer ? 4 : 0));
}

/**
 * The first `positions` as they are kept, and nothing of what else is in their tiles. Of each head: keys in whole tiles,
 * the other positions' one by one; values in whole blocks of both slabs, the other positions' one by one; scales of
 * keys and of values, where there are any.
 */
export function saveCachedLayer(
  memory: ArrayBufferLike,
  region: CacheRegion,
  config: LlamaConfig,
  sizes: Sizes,
  positions: number,
  into?: ArrayBuffer,
): Uint8Array {
  const bytes = savedLayerBytes(config, sizes, positions);
  const isRoom = into !== undefined && into.byteLength >= bytes;
  const out = isRoom ? new Uint8Array(into, 0, bytes) : new Uint8Array(bytes);
  const all = new Uint8Array(memory);
  const { from, to } = elementsOf(memory, out, sizes);
  eachSaved(region, config, sizes, positions, {
    bytes: (saved, kept, length) => out.set(all.subarray(kept, kept + length), saved),
    elements(saved, kept, offsets) {
      for (let d = 0; d < offsets.length; d++) to[saved + d] = from[kept + offsets[d]];
    },
  });
  return out;
}

/** Puts back what `saveCachedLayer` gave. @throws PronkError "bad_format" for another number of bytes. */
export function loadCachedLayer(
  memory: ArrayBufferLike,
  region: CacheRegion,
  config: LlamaConfig,
  sizes: Sizes,
  positions: number,
  saved: Uint8Array,
): void {
  const expected = savedLayerBytes(config, sizes, positions);
  if (saved.length !== expected) {
    throw new PronkError("bad_format", `saved cache: ${saved.length} bytes, expected ${expected}`);
  }
  const all = new Uint8Array(memory);
  const isAligned = saved.byteOffset % CACHE_TYPES[sizes.kv].bytes === 0;
  const { from: kept, to } = elementsOf(memory, isAligned ? saved : new Uint8Array(saved), sizes);
  eachSaved(region, config, sizes, positions, {
    bytes: (from, at, length) => all.set(saved.subarray(from, from + length), at),
    elements(from, at, offsets) {
      for (let d = 0; d < offsets.length; d++) kept[at + offsets[d]] = to[from + d];
    },
  });
}

type Elements = Uint8Array | Uint16Array | Uint32Array;

/** Memory and saved bytes by the element. */
function elementsOf(
  memory: ArrayBufferLike,
  saved: Uint8Array,
  { kv }: Pick<Sizes, "kv">,
): { from: Elements; to: Elements } {
  const { bytes } = CACHE_TYPES[kv];
  const { buffer, byteOffset, length } = saved;
  if (bytes === 1) return { from: new Uint8Array(memory), to: saved };
  return bytes === 2
    ? { from: new Uint16Array(memory), to: new Uint16Array(buffer, byteOffset, length / 2) }
    : { from: new Uint32Array(memory), to: new Uint32Array(buffer, byteOffset, length / 4) };
}

/** What lies together when it is saved: where it begins there, and where it is in memory. */
interface Visitor {
  /** Lies together in memory, too. */
  bytes(saved: number, kept: number, length: number): void;
  /** A position's, counted in elements, with their distances from `kept`. */
  elements(saved: number, kept: number, offsets: Int32Array): void;
}

/** In the order in which they are saved. */
function eachSaved(
  region: CacheRegion,
  config: LlamaConfig,
  sizes: Sizes,
  positions: number,
  visit: Visitor,
): void {
  const { num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const at = cacheIndexes(config, sizes);
  const offsets = new Int32Array(headDim);
  let saved = 0;
  const take = (kept: number, length: number): void => {
    visit.bytes(saved, kept, length);
    saved += length;
  };
  const takeEach = (first: number, start: number, head: number, indexOf: CacheIndexes["key"]) => {
    for (let t = first; t < positions; t++) {
      const from = indexOf(head, t, 0);
      // The same within a block.
      if (t === first || t % V_BLOCK === 0) {
        for (let d = 0; d < headDim; d++) offsets[d] = indexOf(head, t, d) - from;
      }
      visit.elements(saved / at.bytes, start / at.bytes + from, offsets);
      saved += headDim * at.bytes;
    }
  };
  // Strips of V that are not full have more than the positions' elements.
  const isWhole = headDim % KV_TILE === 0;
  const tiled = isWhole ? positions - (positions % KV_TILE) : 0;
  const blocked = isWhole ? positions - (positions % V_BLOCK) : 0;
  const strips = stripsOf(headDim);
  for (let head = 0; head < kvHeads; head++) {
    take(region.keys + at.key(head, 0, 0) * at.bytes, tiled * headDim * at.bytes);
    takeEach(tiled, region.keys, head, at.key);
    const slabs = [0, strips.first * KV_TILE];
    for (const [i, strip] of [strips.first, strips.second].entries()) {
      if (blocked === 0 || strip === 0) continue;
      const start = region.values + at.value(head, 0, slabs[i]) * at.bytes;
      take(start, blocked * strip * KV_TILE * at.bytes);
    }
    takeEach(blocked, region.values, head, at.value);
    if (!at.hasScales) continue;
    take(region.keyScales + at.scale(head, 0) * 4, positions * 4);
    take(region.valueScales + at.scale(head, 0) * 4, positions * 4);
  }
}

const ELEMENTS: Readonly<Record<RunnerOptions["kv"], (view: DataView, at: number) => number>> = {
  int8: (view, at) => view.getInt8(at),
  int16: (view, at) => view.getInt16(at, true),
  bf16: (view, at) => bf16ToF32(view.getUint16(at, true)),
  f32: (view, at) => view.getFloat32(at, true),
};

const word32 = new DataView(new ArrayBuffer(4));

function bf16ToF32(bits: number): number {
  word32.setUint32(0, bits << 16);
  return word32.getFloat32(0);
}

/** Strips of V's two slabs. */
function stripsOf(headDim: number): { readonly first: number; readonly second: number } {
  const all = Math.ceil(headDim / KV_TILE);
  const first = Math.ceil(all / 2);
  return { first, second: all - first };
}
