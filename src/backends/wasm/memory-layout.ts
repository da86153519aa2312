/**
 * Where everything is in the one WebAssembly.Memory of a model, decided before it is allocated:
 * stack and constants, weights, KV cache, rope tables, activations, scratch.
 */
import { PronkError } from "../../errors.ts";
import type { BufferName, Plan } from "../../model/plan.ts";
import { ropeDependsOnLength } from "../../model/rope.ts";
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
import { controlBytes, mostSpans } from "./threads/control.ts";

/** The kernels' stack (64 KiB, first in memory) and their constants; checked against __heap_base. */
export const RESERVED_BYTES: number = 80 * 1024;

/** All that 32-bit addresses reach; engines give a memory all of it. */
export const WASM32_BYTES: number = 2 ** 32;

/** Layers of all slots together: 256 slots of 1,024 layers, the most of each. It bounds the plan itself. */
const MAX_CACHE_REGIONS = 2 ** 18;

/** Of each thread but the first, as much as the modules reserve for theirs. */
const STACK_BYTES = 64 * 1024;

/** A cache line: no two regions share one. */
const REGION_ALIGNMENT = 64;

export interface CacheRegion {
  readonly keys: number;
  readonly values: number;
  readonly keyScales: number;
  readonly valueScales: number;
}

/** What each thread has of its own. Addresses in bytes. */
export interface ThreadScratch {
  /** Quantized activations of one row; the first thread's lie where those of many rows do. */
  readonly rowActivations?: number;
  /** One f32 row for the fused norms. */
  readonly row: number;
  /** The unpacked panel of a GEMM. */
  readonly panel: number;
  readonly attention: number;
}

/** Addresses in bytes. */
export interface MemoryLayout extends ThreadScratch {
  readonly weights: number;
  /** [slot][layer] */
  readonly cache: readonly (readonly CacheRegion[])[];
  /** (head_dim / 2,) f64 */
  readonly inverseFrequencies: number;
  /** (ctx, head_dim / 2) f32; (maxRows, head_dim / 2) of the batch where frequencies change with a sequence's length. */
  readonly cos: number;
  readonly sin: number;
  /** (maxRows,) i32 */
  readonly ids: number;
  /** (rows, cols) f32 */
  readonly buffers: Readonly<Record<BufferName, number>>;
  /** Quantized activations of the largest matrix product. */
  readonly activations: number;
  /** Of a span: (rows, keys) bytes, and (rows, heads, keys) f32. Only with `masks`. */
  readonly visible: number;
  readonly probabilities: number;
  /** Words through which threads talk. */
  readonly control: number;
  /** Of the second thread and those after it; `stack` is the end of it, where it begins. */
  readonly threads: readonly (ThreadScratch & { readonly stack: number })[];
  readonly use: MemoryUse;
}

/**
 * Plans the memory; allocates nothing.
 *
 * @throws PronkError "unsupported" as kvLayout; "out_of_memory" for more slots than could be listed.
 */
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

  const regions = options.slots * config.num_hidden_layers;
  if (!(regions <= MAX_CACHE_REGIONS)) {
    throw new PronkError(
      "out_of_memory",
      `${options.slots} slots of ${config.num_hidden_layers} layers, at most ${MAX_CACHE_REGIONS} together`,
    );
  }
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
  const rows = tiledRows(options.maxRows);
  const angles = ropeDependsOnLength(config) ? rows : options.ctx;
  const cos = allocate(angles * half * 4);
  const sin = allocate(angles * half * 4);
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
    // A single row is a product of vectors, which writes no tile.
    logits: buffer("logits", options.maxLogits === 1 ? 1 : tiledRows(options.maxLogits)),
  };
  const afterActivations = top;

  // Only quantized products need scratch; the widest layout serves every kernel.
  const widest = tensors.reduce(
    (cols, { form, shape }) =>
      form !== "vector" && isQuantized(form) ? Math.max(cols, shape[1]) : cols,
    0,
  );
  const threadCount = options.threads ?? 1;
  const attentionBytes = (groupHeads: number, groups: number): number =>
    attentionScratchBytes(options.kv, options.maxRows, groupHeads, groups, headDim, options.ctx);
  const activations = allocate(activationBytes(ActivationLayout.tileWords, rows, widest));
  // A thread may take any part of a group of heads, and four heads need more than three of five.
  const parts =
    threadCount === 1 ? [] : Array.from({ length: heads / kvHeads }, (_, part) => part + 1);
  const mostAttention = Math.max(
    attentionBytes(heads, kvHeads),
    ...parts.map((part) => attentionBytes(part, 1)),
  );
  const allocateScratch = (): ThreadScratch => ({
    row: allocate(widest * 4),
    panel: allocate(gemmScratchBytes(widest)),
    attention: allocate(mostAttention),
  });
  const pairs = options.masks ? options.maxRows * options.ctx : 0;
  const visible = allocate(pairs);
  const probabilities = allocate(pairs * heads * 4);
  const first = allocateScratch();
  const control = allocate(threadCount === 1 ? 0 : controlBytes(threadCount, mostSpans(options)));
  const threads = Array.from({ length: threadCount - 1 }, () => ({
    stack: allocate(STACK_BYTES) + STACK_BYTES,
    rowActivations: allocate(activationBytes(ActivationLayout.words, 1, widest)),
    ...allocateScratch(),
  }));
  return {
    weights,
    cache,
    inverseFrequencies,
    cos,
    sin,
    ids,
    buffers,
    activations,
    visible,
    probabilities,
    ...first,
    control,
    threads,
    use: {
      weights: afterWeights,
      kv: afterKv - afterWeights,
      activations: afterActivations - afterKv,
      scratch: top - afterActivations,
      total: top,
    },
  };
}
