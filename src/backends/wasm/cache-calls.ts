/** The kernels of the KV cache, by its type: whole groups of heads, or a part of them from `kvHead` on. */
import type { LlamaConfig } from "../../model/config.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { namedKernel } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import { kvLayout } from "./kv-layout.ts";
import type { CacheRegion } from "./memory-layout.ts";

export interface CacheCalls {
  /** kv_store_*; `rest` is what follows the cache's pointers. */
  store(cache: CacheRegion, kvHead: number, ...rest: number[]): void;
  /** attention_*; `sizes` is what follows the scratch. */
  attend(
    out: number,
    q: number,
    cache: CacheRegion,
    kvHead: number,
    scratch: number,
    sizes: readonly number[],
  ): void;
}

const SUFFIXES = { int8: "i8", int16: "i16", bf16: "bf16", f32: "f32" } as const;

export function cacheCalls(
  kernels: Kernels,
  { num_key_value_heads: kvHeads, head_dim: headDim }: LlamaConfig,
  { kv, ctx }: RunnerOptions,
): CacheCalls {
  const storeKv = namedKernel(kernels, `kv_store_${SUFFIXES[kv]}`);
  const attention = namedKernel(kernels, `attention_${SUFFIXES[kv]}`);
  const sizes = kvLayout(kv, kvHeads, headDim, ctx);
  const kBytes = sizes.kBytes / kvHeads;
  const vBytes = sizes.vBytes / kvHeads;
  const scaleBytes = sizes.kScaleBytes / kvHeads;
  if (kv === "bf16" || kv === "f32") {
    return {
      store: ({ keys, values }, head, ...rest) =>
        storeKv(keys + head * kBytes, values + head * vBytes, ...rest),
      attend: (out, q, { keys, values }, head, scratch, rest) =>
        attention(out, q, keys + head * kBytes, values + head * vBytes, scratch, ...rest),
    };
  }
  return {
    store: ({ keys, values, keyScales, valueScales }, head, ...rest) =>
      storeKv(
        keys + head * kBytes,
        values + head * vBytes,
        keyScales + head * scaleBytes,
        valueScales + head * scaleBytes,
        ...rest,
      ),
    attend: (out, q, { keys, values, keyScales, valueScales }, head, scratch, rest) =>
      attention(
        out,
        q,
        keys + head * kBytes,
        values + head * vBytes,
        keyScales + head * scaleBytes,
        valueScales + head * scaleBytes,
        scratch,
        ...rest,
      ),
  };
}
