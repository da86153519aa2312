/** Parts of a product that one dispatch covers. */
import type { MatmulPart } from "../../model/plan.ts";
import { PANEL_ROWS, panelBytes } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { alignTo } from "./align.ts";
import type { WeightBuffers, WeightShard } from "./weight-buffers.ts";

/** Panels that one dispatch covers. */
export interface FusedPart extends Omit<WeightShard, "rows"> {
  readonly tensor: PackedTensor;
  readonly bias: string | undefined;
  /** The output's first column. */
  readonly column: number;
  rows: number;
}

/** Neighbours in the image and in the output are one product. */
export function fuseParts(
  weights: WeightBuffers,
  parts: readonly MatmulPart[],
  cols: number,
): FusedPart[] {
  const fused: FusedPart[] = [];
  let end: { buffer: GPUBuffer; offset: number } | undefined;
  for (const { weight, bias, rows, column } of parts) {
    const tensor = weights.tensor(weight);
    const shards = weights.shards(weight);
    const last = fused.at(-1);
    const [shard] = shards;
    const isNext =
      last !== undefined &&
      shards.length === 1 &&
      last.tensor.form === tensor.form &&
      last.bias === undefined &&
      bias === undefined &&
      end?.buffer === shard.buffer &&
      end.offset === shard.offset &&
      last.column + alignTo(last.rows, PANEL_ROWS) === column;
    if (isNext) last.rows = column - last.column + rows;
    else {
      for (const { first, rows: count, ...place } of shards) {
        fused.push({ tensor, bias, first, rows: count, column: column + first, ...place });
      }
    }
    const bytes =
      tensor.form === "vector"
        ? 0
        : panelBytes(tensor.form, cols) * Math.ceil(shard.rows / PANEL_ROWS);
    end = shards.length === 1 ? { buffer: shard.buffer, offset: shard.offset + bytes } : undefined;
  }
  return fused;
}
