/** A matrix product's kernels for many rows: what they are multiplied as is the runner's choice. */
import { PronkError } from "../../errors.ts";
import type { Plan } from "../../model/plan.ts";
import { isQuantized, type MatrixForm } from "../../pack/forms.ts";
import { alignTo } from "./align.ts";
import type { Buffers } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";
import type { LoweringInput, Pending } from "./lower-steps.ts";
import type { KernelSpec } from "./pipelines.ts";
import { ROW_TILES, roomForRows } from "./row-tiles.ts";
import type { ShaderName } from "./shaders.gen.ts";

/**
 * What products of many rows are multiplied as. f16: inputs and weights are rounded to it. int8: inputs are, in blocks of
 * 32 columns; weights that are not quantized stay f32. Sums are f32.
 */
export type ProductNumbers = "f32" | "f16" | "int8";

/** Of the batch's rows as int8. */
export interface QuantizedRows {
  readonly codes: GPUBuffer;
  readonly scales: GPUBuffer;
}

/** Of wgsl/matmul_tile.wgsl and matmul_tile_int8.wgsl, where a thread has 8 rows and 4 outputs. */
const TILE_OUTPUTS = 64;
const THREADS_OF_A_ROW = TILE_OUTPUTS / 4 / 8;

/** Words of four columns that a workgroup of wgsl/quantize_rows.wgsl has. */
const QUANTIZED_WORDS = 64;

/** @throws PronkError "unsupported" where the adapter has no such numbers. */
export function checkNumbers(
  numbers: ProductNumbers | undefined,
  { name, hasF16, hasInt8 }: Gpu,
): ProductNumbers {
  if (numbers === undefined || numbers === "f32") return "f32";
  if (numbers === "f16" ? hasF16 : hasInt8) return numbers;
  throw new PronkError("unsupported", `webgpu: ${name} does not multiply in ${numbers}`);
}

/** Room for the inputs of any of the plan's products. */
export function quantizedRows(
  { steps, head }: Plan,
  buffers: Buffers,
  rows: number,
): QuantizedRows {
  const widths = [...steps, ...head].map((step) => (step.op === "matmul" ? step.cols : 0));
  const bytes = roomForRows(rows) * alignTo(Math.max(...widths), 32);
  return {
    codes: buffers.storage(bytes, "rows in int8"),
    scales: buffers.storage((bytes / 32) * 8, "scales of rows"),
  };
}

export interface TiledProduct {
  readonly form: MatrixForm;
  /** What its kernels are put together with. */
  readonly parts: readonly ShaderName[];
  readonly constants: NonNullable<KernelSpec["constants"]>;
  readonly cols: number;
  readonly outputs: number;
  /** Rows that the output has room for. */
  readonly room: number;
}

/** @param single the kernel of single rows, whose parameters they share. */
export function productTiles(
  single: Pending,
  { form, parts, constants, cols, outputs, room }: TiledProduct,
  { pipelines, numbers, quantized }: LoweringInput,
): Pending[] {
  const groups = Math.ceil(outputs / TILE_OUTPUTS);
  const inBytes = quantized !== undefined && isQuantized(form);
  const before = inBytes ? quantizeRows(single, cols, pipelines, quantized) : undefined;
  return ROW_TILES.filter((tile) => tile <= room).map((tileRows): Pending => {
    const tile = { TILE_ROWS: tileRows, THREADS: tileRows * THREADS_OF_A_ROW };
    const common = { ...single, groups, tileRows };
    const all = { ...constants, ...tile };
    if (!before || !inBytes) {
      const kind = numbers === "f16" ? "numbers/f16" : "numbers/f32";
      const spec: KernelSpec = { op: "matmul_tile", parts: [kind, ...parts], constants: all };
      return { ...common, kernel: pipelines.kernel(spec) };
    }
    const [weights, , y, bias] = single.resources;
    const kernel = pipelines.kernel({ op: "matmul_tile_int8", parts, constants: all });
    const resources = [weights, quantized.codes, y, bias, quantized.scales];
    return { ...common, kernel, resources, before };
  });
}

function quantizeRows(
  single: Pending,
  cols: number,
  pipelines: LoweringInput["pipelines"],
  { codes, scales }: QuantizedRows,
): Pending {
  const [, x] = single.resources;
  const [, , xStride] = single.params;
  return {
    kernel: pipelines.kernel({ op: "quantize_rows" }),
    params: [cols / 4, xStride],
    at: 0,
    resources: [x, codes, scales],
    groups: Math.ceil(cols / 4 / QUANTIZED_WORDS),
  };
}
