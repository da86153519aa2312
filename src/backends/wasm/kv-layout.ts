/**
 * Sizes of the KV cache of one layer and slot, and of the attention kernels' scratch: exactly what
 * wasm/kv_cache.h and wasm/attention.h lay out, to the byte.
 *
 *   K       [kvHeads][ctx / 8][headDim / w][8 positions][w]      w = 2 for integer types, else 1
 *   V       [kvHeads][2 slabs][ceil(ctx / 64)][strips][64 / w][8 dims][w]   ceil(headDim / 8) strips in both
 *   scales  [kvHeads][ctx] f32 of K and of V, integer types only
 */
import { PronkError } from "../../errors.ts";
import type { KvType } from "../backend.ts";

/** Positions of a slot come in tiles of 8, dimensions of V too. */
export const KV_TILE = 8;

/** Above this an int16 sum of products could overflow (wasm/attention_int.c). */
export const MAX_HEAD_DIM = 256;

/** ROWS_MAX of wasm/attention.h. */
const MAX_PASS_ROWS = 48;

/** V_BLOCK of wasm/kv_cache.h: positions. */
export const V_BLOCK = 64;

export const CACHE_TYPES: Readonly<
  Record<KvType, { readonly bytes: number; readonly integer: boolean; readonly narrow: boolean }>
> = {
  int8: { bytes: 1, integer: true, narrow: true },
  int16: { bytes: 2, integer: true, narrow: false },
  bf16: { bytes: 2, integer: false, narrow: true },
  f32: { bytes: 4, integer: false, narrow: false },
};

/** Bytes of one layer and slot. K and V hold every position's element once; all zero is an empty cache. */
export interface KvLayout {
  readonly kBytes: number;
  readonly vBytes: number;
  /** 0 for bf16 and f32. */
  readonly kScaleBytes: number;
  readonly vScaleBytes: number;
}

/**
 * Sizes for one layer and slot of `ctx` positions.
 *
 * @throws PronkError "unsupported" for sizes that the kernels cannot take: headDim odd or above 256,
 *   ctx no multiple of 8.
 */
export function kvLayout(kv: KvType, kvHeads: number, headDim: number, ctx: number): KvLayout {
  check(headDim, ctx);
  const { bytes, integer } = CACHE_TYPES[kv];
  const scaleBytes = integer ? kvHeads * ctx * 4 : 0;
  return {
    kBytes: kvHeads * ctx * headDim * bytes,
    vBytes: kvHeads * vBlocks(ctx) * V_BLOCK * wholeTiles(headDim) * bytes,
    kScaleBytes: scaleBytes,
    vScaleBytes: scaleBytes,
  };
}

/**
 * Bytes of `scratch` for attention_* with up to `rows` queries at positions below `ctx`.
 *
 * Most of it are scores, 4 bytes a position: of a pass of up to 48 rows (a row is one query of one
 * head), or, for a single query, of up to 4 heads (one of bf16 and f32).
 *
 * @throws PronkError "unsupported" as `kvLayout` does.
 */
export function attentionScratchBytes(
  kv: KvType,
  rows: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  ctx: number,
): number {
  check(headDim, ctx);
  const { integer, narrow } = CACHE_TYPES[kv];
  const wordElements = integer ? 2 : 1;
  const headWords = headDim / wordElements;
  const scaleWords = integer ? vBlocks(ctx) : 0;
  const group = heads / kvHeads;
  const decodeGroup = integer ? 4 : 1; // GROUP of wasm/attention.h

  const decodeRows = Math.ceil(group / Math.ceil(group / decodeGroup));
  const outputs = wholeTiles(headDim) + (integer ? KV_TILE : 0);
  const decode = decodeRows * (headWords + ctx + ctx / wordElements + scaleWords + outputs);
  if (rows === 1) return decode * 4;

  const passRows = Math.min(rows * group, MAX_PASS_ROWS);
  const panelSteps = narrow ? Math.max(headWords, V_BLOCK / wordElements) : 0;
  const prefill =
    wholeTiles(passRows) * (headWords + ctx + scaleWords) +
    Math.ceil(passRows / 4) * 4 * wholeTiles(headDim) +
    panelSteps * KV_TILE;
  return Math.max(decode, prefill) * 4;
}

function check(headDim: number, ctx: number): void {
  if (headDim % 2 !== 0 || headDim < 2 || headDim > MAX_HEAD_DIM)
    throw new PronkError(
      "unsupported",
      `KV cache: head_dim ${headDim}: an even number up to ${MAX_HEAD_DIM} was expected`,
    );
  if (ctx % KV_TILE !== 0 || ctx < KV_TILE)
    throw new PronkError(
      "unsupported",
      `KV cache: ctx ${ctx}: a multiple of ${KV_TILE} was expected`,
    );
}

function vBlocks(positions: number): number {
  return Math.ceil(positions / V_BLOCK);
}

function wholeTiles(n: number): number {
  return Math.ceil(n / KV_TILE) * KV_TILE;
}
