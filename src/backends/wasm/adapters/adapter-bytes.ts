/** What an adapter takes beside a model, before anything of it is loaded. */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import type { Plan } from "../../../model/plan.ts";
import { paddedRows } from "../../../pack/forms.ts";
import { RESERVED_BYTES } from "../memory-layout.ts";
import { planAdapterImage } from "./adapter-image.ts";

/** Of WebAssembly. */
export const PAGE_BYTES = 65_536;

/** Rows that are copied at once: whole tiles of the float kernels. */
export const BLOCK_ROWS = 16;

/** Output columns at once: 16 rows of them fit the first-level caches. */
export const BLOCK_COLUMNS = 2048;

/** Bytes of the memory that an adapter has beside a model; it was compared with the model. */
export function adapterMemoryBytes(adapter: LoraAdapter, plan: Plan): number {
  const { x, low, y } = scratchBytes(adapter, plan);
  const bytes = RESERVED_BYTES + planAdapterImage(adapter, plan).bytes + x + low + y;
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** Bytes of the rows; the widest buffer of the plan may be any step's input. */
export function scratchBytes(
  { modules }: LoraAdapter,
  { buffers, config }: Plan,
): { readonly x: number; readonly low: number; readonly y: number } {
  const { x, h, att, ffn } = buffers;
  // A product has three parts at most.
  const ranks = 3 * Math.max(0, ...[...modules.values()].map(({ rank }) => paddedRows(rank)));
  const row = BLOCK_ROWS * 4;
  return {
    x: row * Math.max(x, h, att, ffn),
    low: row * ranks,
    y: row * Math.max(BLOCK_COLUMNS, config.hidden_size),
  };
}
