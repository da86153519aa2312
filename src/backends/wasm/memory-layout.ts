/**
 * Where everything is in the one WebAssembly.Memory of a model, decided before it is allocated:
 * stack and constants, weights, KV cache, rope tables, activations, scratch.
 */
import type { BufferName, Plan } from "../../model/plan.ts";
import { isQuantized } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { MemoryUse } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import {
  ActivationLayout,
  activationBytes,
  gemmScratchBytes,
  tiledRows,
} from "./activation-layout.ts";
import { attentionScratchBytes, kvLayout } from "./kv-layout.ts";

/** The kernels' stack (64 KiB, first in memory) and their constants; checked against __heap_base. */
export const RESERVED_BYTES: number = 80 * 1024;

/** All that 32-bit addresses reach; engines give a memory all of it. */
export const WASM32_BYTES: number = 2 ** 32;

/** A cache line: no two regions share one. */
const REGION_ALIGNMENT = 64;

export interface CacheRegion {
  readonly keys: number;
  readonly values: number;
  readonly keyScales: number;
  readonly valueScales: number;
}

/** Addresses in bytes. */
export interface MemoryLayout {
  readonly weights: number;
  /** [slot][layer] */
  readonly cache: readonly (readonly CacheRegion[])[];
  /** (head_dim / 2,) f64 */
  readonly inverseFrequencies: number;
  /** (ctx, head_dim / 2) f32 */
  readonly cos: number;
  readonly sin: number;
  /** (maxRows,) i32 */
  readonly ids: number;
  /** (rows, cols) f32 */
  readonly buffers: Readonly<Record<BufferName, number>>;
  /** Quantized activations of the largest matrix product. */
  readonly activations: number;
  /** One f32 row for the fused norms. */
  readonly row: number;
  /** The unpacked panel of a GEMM. */
  readonly panel: number;
  readonly attention: number;
  readonly use: MemoryUse;
}

/** Plans the memory; allocates nothing. */
export function planMemory(
  plan: Plan,
  tensors: readonly PackedTensor[],
  weightBytes: number,
  options: RunnerOptions,
): MemoryLayout {
  const { config } = plan;
  const { head_dim: headDim, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  let top = RESERVED_BYTES;
  const allocate = (bytes: number): number => {
    const at = top;
    top = Math.ceil((top + bytes) / REGION_ALIGNMENT) * REGION_ALIGNMENT;
    return at;
  };

  const weights = allocate(weightBytes);
  const afterWeights = top;

  const kv = kvLayout(options.kv, kvHeads, headDim, options.ctx);
  const cache = Array.from({ length: options.slots }, () =>
    Array.from({ length: config.num_hidden_layers }, () => ({
      keys: allocate(kv.kBytes),
      values: allocate(kv.vBytes),
      keyScales: allocate(kv.kScaleBytes),
      valueScales: allocate(kv.vScaleBytes),
    })),
  );
  const afterKv = top;

  const half = headDim / 2;
  const inverseFrequencies = allocate(half * 8);
  const cos = allocate(options.ctx * half * 4);
  const sin = allocate(options.ctx * half * 4);
  const rows = tiledRows(options.maxRows);
  const buffer = (name: BufferName, count: number): number =>
    allocate(count * plan.buffers[name] * 4);
  const ids = allocate(rows * 4);
  const buffers = {
    x: buffer("x", rows),
    h: buffer("h", rows),
    qkv: buffer("qkv", rows),
    att: buffer("att", rows),
    gateUp: buffer("gateUp", rows),
    ffn: buffer("ffn", rows),
    logits: buffer("logits", tiledRows(options.maxLogits)),
  };
  const afterActivations = top;

  // Only quantized products need scratch; the widest layout serves every kernel.
  const widest = tensors.reduce(
    (cols, { form, shape }) =>
      form !== "vector" && isQuantized(form) ? Math.max(cols, shape[1]) : cols,
    0,
  );
  const activations = allocate(activationBytes(ActivationLayout.tileWords, rows, widest));
  const row = allocate(widest * 4);
  const panel = allocate(gemmScratchBytes(widest));
  const attention = allocate(
    attentionScratchBytes(options.kv, options.maxRows, heads, kvHeads, headDim, options.ctx),
  );
  return {
    weights,
    cache,
    inverseFrequencies,
    cos,
    sin,
    ids,
    buffers,
    activations,
    row,
    panel,
    attention,
    use: {
      weights: afterWeights,
      kv: afterKv - afterWeights,
      activations: afterActivations - afterKv,
      scratch: top - afterActivations,
      total: top,
    },
  };
}
