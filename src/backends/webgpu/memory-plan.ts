/** What a model takes on a GPU, known before anything is allocated. */
import type { LlamaConfig } from "../../model/config.ts";
import type { BufferName, Plan } from "../../model/plan.ts";
import { ropeDependsOnLength } from "../../model/rope.ts";
import type { MemoryUse } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { alignTo } from "./align.ts";
import type { GpuLimits } from "./gpu-limits.ts";
import { kvLayerBytes } from "./kv-buffers.ts";
import { maskBytes } from "./mask-buffers.ts";
import { roomForRows } from "./row-tiles.ts";

/** (token, slot, position, row of the angles); a tile of attention takes as much. */
const ROW_BYTES = 16;

/**
 * Positions of a slot that the model's own default takes at most: a layer's keys of all slots are then one binding,
 * which is faster. Those that are asked for may be as many as a slot's are.
 */
export function gpuPositions(
  config: LlamaConfig,
  { slots, kv }: Pick<RunnerOptions, "slots" | "kv">,
  { maxBindingBytes }: GpuLimits,
): number {
  const position = kvLayerBytes(config, { ctx: 1, slots, kv: kv === "f32" ? "f32" : "f16" });
  return Math.max(8, Math.floor(maxBindingBytes / position / 8) * 8);
}

/**
 * The runner's own buffers; what is read back, parameters of kernels (256 bytes a dispatch) and attention that is shown
 * come on top.
 */
export function planGpuMemory(
  plan: Plan,
  weightBytes: number,
  options: Omit<RunnerOptions, "observe" | "tap">,
): MemoryUse {
  const { config } = plan;
  const { ctx, slots, maxRows, maxLogits, masks = false } = options;
  const cache = { ctx, slots, kv: options.kv === "f32" ? "f32" : "f16" } as const;
  const kv = 2 * config.num_hidden_layers * kvLayerBytes(config, cache);
  const stride = (name: BufferName): number => alignTo(plan.buffers[name], 4) * 4;
  const rows = roomForRows(Math.max(maxRows, maxLogits));
  const names = Object.keys(plan.buffers) as BufferName[];
  const buffers = names.reduce(
    (sum, name) => sum + (name === "logits" ? roomForRows(maxLogits) : rows) * stride(name),
    0,
  );
  const gathered = maxRows * Math.max(0, ...plan.gathered.map(stride));
  const angles = (ropeDependsOnLength(config) ? maxRows : ctx) * config.head_dim * 4;
  const tables = 2 * (2 * maxRows * ROW_BYTES + (masks ? maskBytes({ ctx, maxRows }) : 0));
  const activations = buffers + gathered + angles + tables;
  const total = weightBytes + kv + activations;
  return { weights: weightBytes, kv, activations, scratch: 0, total };
}
