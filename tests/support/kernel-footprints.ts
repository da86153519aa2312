/**
 * How many bytes of each buffer a kernel's call may touch, from its sizes alone. scripts/test-native.mjs runs the kernels
 * under AddressSanitizer in buffers of just these sizes; tests/unit/backends/kernel-calls.test.ts checks that the runner
 * plans no less for any call. Together: no kernel touches what the plan did not give it.
 */
import type { KvType } from "../../src/backends/backend.ts";
import {
  activationBytes,
  activationLayout,
  gemmScratchBytes,
  type KernelVariant,
} from "../../src/backends/wasm/activation-layout.ts";
import { attentionScratchBytes, kvLayout } from "../../src/backends/wasm/kv-layout.ts";
import {
  type MatrixForm,
  matrixBytes,
  PANEL_ROWS,
  panelBytes,
  type QuantizedForm,
} from "../../src/pack/forms.ts";

/** Bytes for each pointer, by its place among the arguments; undefined: what other data decides (the ids of embed). */
export type Footprint = readonly (readonly [argument: number, bytes: number | undefined])[];

const CACHE_NAMES: Readonly<Record<string, KvType>> = {
  i8: "int8",
  i16: "int16",
  bf16: "bf16",
  f32: "f32",
};

/** Of f32 in rows `ld` apart, the last of `cols`. */
const rowsOf = (rows: number, cols: number, ld: number): number =>
  rows < 1 ? 0 : 4 * ((rows - 1) * ld + cols);

/** @throws Error for a kernel that is not known: a new one has to be added here. */
export function kernelFootprint(kernel: string, a: readonly number[]): Footprint {
  const [name, form = "", variant = ""] = /^(gemv|gemm|matmul|embed)_([^_]+)_?(.*)$/
    .exec(kernel)
    ?.slice(1) ?? [kernel];
  const f = form as QuantizedForm;
  const v = variant as KernelVariant;
  switch (name) {
    case "add":
      return [[0, 4 * a[2]], [1, 4 * a[2]]]; // biome-ignore format: a table
    case "add_bias": {
      const [, , tokens, cols, ldy] = a;
      return [[0, rowsOf(tokens, cols, ldy)], [1, 4 * cols]]; // biome-ignore format: a table
    }
    case "argmax":
      return [[0, 4 * a[1]]];
    case "rms_norm": {
      const [, , , rows, dim] = a;
      return [[0, 4 * rows * dim], [1, 4 * rows * dim], [2, 4 * dim]]; // biome-ignore format: a table
    }
    case "rms_norm_quantize": {
      const [, , , , rows, dim, , layout] = a;
      return [[0, activation(layout, rows, dim)], [1, 4 * dim], [2, 4 * rows * dim], [3, 4 * dim]]; // biome-ignore format: a table
    }
    case "swiglu":
    case "glu": {
      const [, , rows, ffn, up, ld] = a;
      return [[0, 4 * rows * ffn], [1, rowsOf(rows, up + ffn, ld)]]; // biome-ignore format: a table
    }
    case "swiglu_quantize": {
      const [, , , rows, ffn, up, ld, layout] = a;
      return [[0, activation(layout, rows, ffn)], [1, 4 * ffn], [2, rowsOf(rows, up + ffn, ld)]]; // biome-ignore format: a table
    }
    case "quantize": {
      const [, , rows, cols, ldx, layout] = a;
      return [[0, activation(layout, rows, cols)], [1, rowsOf(rows, cols, ldx)]]; // biome-ignore format: a table
    }
    case "rope": {
      const [, rows, ldx, heads, dim, position] = a;
      const table = 4 * (position + rows) * (dim / 2);
      return [[0, rowsOf(rows, heads * dim, ldx)], [6, table], [7, table]]; // biome-ignore format: a table
    }
    case "rope_table": {
      const [, , , half, , end] = a;
      return [[0, 4 * end * half], [1, 4 * end * half], [2, 8 * half]]; // biome-ignore format: a table
    }
    case "matmul": {
      const [, , , tokens, rows, cols, ldx, ldy] = a;
      const weights = matrixBytes(form as MatrixForm, rows, cols);
      return [[0, rowsOf(tokens, rows, ldy)], [1, weights], [2, rowsOf(tokens, cols, ldx)]]; // biome-ignore format: a table
    }
    case "gemv": {
      const [, , , rows, cols] = a;
      const layout = activationLayout(v, f, 1);
      return [[0, 4 * rows], [1, matrixBytes(f, rows, cols)], [2, activation(layout, 1, cols)]]; // biome-ignore format: a table
    }
    case "gemm": {
      const [, , , , tokens, rows, cols, ldy] = a;
      const layout = activationLayout(v, f, 2);
      return [
        [0, rowsOf(tokens, rows, ldy)],
        [1, matrixBytes(f, rows, cols)],
        [2, activation(layout, tokens, cols)],
        [3, gemmScratchBytes(cols)],
      ];
    }
    case "embed": {
      const [, , , tokens, cols] = a;
      return [[0, 4 * tokens * cols], [1, undefined], [2, 4 * tokens]]; // biome-ignore format: a table
    }
    default:
      return cacheFootprint(kernel, a);
  }
}

/** Bytes of an embedding's matrix up to the row of the largest id. */
export function embeddedBytes(form: MatrixForm, largestId: number, cols: number): number {
  return (Math.floor(largestId / PANEL_ROWS) + 1) * panelBytes(form, cols);
}

const activation = activationBytes as (layout: number, rows: number, cols: number) => number;

function cacheFootprint(kernel: string, a: readonly number[]): Footprint {
  const [, op, type] = /^(kv_store|attention|attention_masked)_([^_]+)$/.exec(kernel) ?? [];
  if (op === undefined) throw new Error(`no footprint of ${kernel}`);
  const kv = CACHE_NAMES[type];
  const hasScales = kv === "int8" || kv === "int16";
  const scales = (first: number, bytes: number): [number, number][] =>
    hasScales ? [[first, bytes], [first + 1, bytes]] : []; // biome-ignore format: a table
  if (op === "kv_store") {
    const [rows, ld, , kvHeads, headDim, ctx] = a.slice(hasScales ? 6 : 4);
    const { kBytes, vBytes, kScaleBytes } = kvLayout(kv, kvHeads, headDim, ctx);
    const given = rowsOf(rows, kvHeads * headDim, ld);
    const inputs = hasScales ? 4 : 2;
    return [[0, kBytes], [1, vBytes], ...scales(2, kScaleBytes), [inputs, given], [inputs + 1, given]]; // biome-ignore format: a table
  }
  if (op === "attention_masked") {
    const [rows, ldq, ldo, keys, heads, kvHeads, headDim, ctx] = a.slice(7);
    const { kBytes, vBytes } = kvLayout(kv, kvHeads, headDim, ctx);
    return [
      [0, rowsOf(rows, heads * headDim, ldo)],
      [1, 4 * rows * heads * keys],
      [2, rowsOf(rows, heads * headDim, ldq)],
      [3, kBytes],
      [4, vBytes],
      [5, rows * keys],
      [6, attentionScratchBytes(kv, 1, heads, kvHeads, headDim, ctx)],
    ];
  }
  const scratch = hasScales ? 6 : 4;
  const [rows, ldq, ldo, , heads, kvHeads, headDim, ctx] = a.slice(scratch + 1);
  const { kBytes, vBytes, kScaleBytes } = kvLayout(kv, kvHeads, headDim, ctx);
  return [
    [0, rowsOf(rows, heads * headDim, ldo)],
    [1, rowsOf(rows, heads * headDim, ldq)],
    [2, kBytes],
    [3, vBytes],
    ...scales(4, kScaleBytes),
    [scratch, attentionScratchBytes(kv, rows, heads, kvHeads, headDim, ctx)],
  ];
}
