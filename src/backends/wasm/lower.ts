/**
 * A plan's steps as calls of kernels. Two programs: for one row (GEMV) and for several (GEMM); they
 * give the same bits. Fused here: norm or SwiGLU with the quantization of the product that follows,
 * products over tensors that lie together, rotations of neighbouring heads.
 */
import { PronkError } from "../../errors.ts";
import type { MatmulPart, Plan, Step } from "../../model/plan.ts";
import { isQuantized, type MatrixForm, paddedRows } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { Span } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { activationLayout, type KernelVariant, tiledRows } from "./activation-layout.ts";
import { quantizedMatmul } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import type { MemoryLayout } from "./memory-layout.ts";

/** Runs over the first `rows` rows of the buffers. */
export type Call = (rows: number, spans: readonly Span[]) => void;

export interface Program {
  /** For a batch of one row. */
  readonly one: readonly Call[];
  readonly many: readonly Call[];
}

export interface LoweringInput {
  readonly plan: Plan;
  readonly tensors: ReadonlyMap<string, PackedTensor>;
  readonly layout: MemoryLayout;
  readonly kernels: Kernels;
  readonly variant: KernelVariant;
  readonly options: RunnerOptions;
}

/** Parts that one kernel call covers: the same form, adjacent in the image and in the output. */
interface FusedPart {
  readonly form: MatrixForm;
  readonly address: number;
  readonly column: number;
  rows: number;
}

export function lower(steps: readonly Step[], input: LoweringInput): Program {
  return { one: lowerFor(steps, input, true), many: lowerFor(steps, input, false) };
}

function lowerFor(steps: readonly Step[], input: LoweringInput, one: boolean): Call[] {
  const { plan, layout, kernels, options } = input;
  const { config } = plan;
  const { hidden_size: dim, rms_norm_eps: eps, head_dim: headDim } = config;
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads;
  const { buffers } = layout;
  const calls: Call[] = [];
  const weightAddress = (name: string): number => layout.weights + tensor(input, name).offset;
  /** What `layout.activations` holds when the next call runs: this buffer in this layout. */
  let quantized: { buffer: string; layout: number } | undefined;

  for (let i = 0; i < steps.length; i++) {
    const step = steps[i];
    const next = steps[i + 1];
    switch (step.op) {
      case "embed": {
        const { form, offset } = tensor(input, step.weight);
        const embed = kernel(kernels, `embed_${form}`);
        const w = layout.weights + offset;
        calls.push((rows) => embed(buffers[step.out], w, layout.ids, rows, dim));
        break;
      }
      case "rmsNorm": {
        const w = weightAddress(step.weight);
        const x = buffers[step.in];
        const target = fusedLayout(step.out, next, input, one);
        if (target !== undefined) {
          calls.push((rows) =>
            kernels.rms_norm_quantize(layout.activations, layout.row, x, w, rows, dim, eps, target),
          );
          quantized = { buffer: step.out, layout: target };
        } else {
          calls.push((rows) => kernels.rms_norm(buffers[step.out], x, w, rows, dim, eps));
          quantized = undefined;
        }
        break;
      }
      case "swiglu": {
        const x = buffers[step.in];
        const ld = plan.buffers[step.in];
        const { cols, upColumn } = step;
        const target = fusedLayout(step.out, next, input, one);
        if (target !== undefined) {
          calls.push((rows) =>
            kernels.swiglu_quantize(
              layout.activations,
              layout.row,
              x,
              rows,
              cols,
              upColumn,
              ld,
              target,
            ),
          );
          quantized = { buffer: step.out, layout: target };
        } else {
          calls.push((rows) => kernels.swiglu(buffers[step.out], x, rows, cols, upColumn, ld));
          quantized = undefined;
        }
        break;
      }
      case "matmul": {
        const x = buffers[step.in];
        const ldx = plan.buffers[step.in];
        const ldy = plan.buffers[step.out];
        const { cols } = step;
        const accumulate = step.accumulate ? 1 : 0;
        for (const part of fuse(step.parts, input)) {
          const y = buffers[step.out] + part.column * 4;
          const { form, address: w, rows: n } = part;
          if (isQuantized(form)) {
            const target = activationLayout(input.variant, form, one ? 1 : 2);
            if (quantized?.buffer !== step.in || quantized.layout !== target) {
              calls.push((rows) =>
                kernels.quantize(layout.activations, x, rows, cols, ldx, target),
              );
              quantized = { buffer: step.in, layout: target };
            }
            const { activations: a, panel } = layout;
            const { gemv, gemm } = quantizedMatmul(kernels, input.variant, form);
            if (one) calls.push(() => gemv(y, w, a, n, cols, accumulate));
            else {
              calls.push((rows) => gemm(y, w, a, panel, tiledRows(rows), n, cols, ldy, accumulate));
            }
          } else {
            const matmul = kernel(kernels, `matmul_${form}`);
            calls.push((rows) => matmul(y, w, x, rows, n, cols, ldx, ldy, accumulate));
          }
        }
        for (const { bias, column, rows: n } of step.parts) {
          if (bias === undefined) continue;
          const b = weightAddress(bias);
          const y = buffers[step.out] + column * 4;
          calls.push((rows) => kernels.add_bias(y, b, rows, n, ldy));
        }
        if (step.out === quantized?.buffer) quantized = undefined;
        break;
      }
      case "rope": {
        let count = step.heads;
        if (next?.op === "rope" && next.column === step.column + count * headDim) {
          count += next.heads;
          i++;
        }
        const ld = plan.buffers[step.buffer];
        const x = buffers[step.buffer] + step.column * 4;
        calls.push((_, spans) => {
          let row = x;
          for (const span of spans) {
            kernels.rope(row, span.count, ld, count, headDim, span.start, layout.cos, layout.sin);
            row += span.count * ld * 4;
          }
        });
        break;
      }
      case "storeKv": {
        const store = kvStore(kernels, options.kv);
        const ld = plan.buffers[step.in];
        const { layer } = step;
        calls.push((_, spans) => {
          let row = buffers[step.in];
          for (const { slot, start, count } of spans) {
            const k = row + step.keyColumn * 4;
            const v = row + step.valueColumn * 4;
            const cache = layout.cache[slot][layer];
            store(cache, k, v, count, ld, start, kvHeads, headDim, options.ctx);
            row += count * ld * 4;
          }
        });
        break;
      }
      case "attention": {
        const attend = attention(kernels, options.kv);
        const ldq = plan.buffers[step.in];
        const ldo = plan.buffers[step.out];
        const scale = Math.fround(1 / Math.sqrt(headDim));
        const { layer } = step;
        calls.push((_, spans) => {
          let q = buffers[step.in] + step.queryColumn * 4;
          let out = buffers[step.out];
          for (const { slot, start, count } of spans) {
            const cache = layout.cache[slot][layer];
            const sizes = [count, ldq, ldo, start, heads, kvHeads, headDim, options.ctx, scale];
            attend(out, q, cache, layout.attention, sizes);
            q += count * ldq * 4;
            out += count * ldo * 4;
          }
        });
        quantized = undefined;
        break;
      }
    }
  }
  return calls;
}

/** The layout to quantize `buffer` into at once, when all that reads it is one such product. */
function fusedLayout(
  buffer: string,
  next: Step | undefined,
  input: LoweringInput,
  one: boolean,
): number | undefined {
  if (next?.op !== "matmul" || next.in !== buffer) return undefined;
  const layouts = next.parts.map(({ weight }) => {
    const { form } = tensor(input, weight);
    return form !== "vector" && isQuantized(form)
      ? activationLayout(input.variant, form, one ? 1 : 2)
      : undefined;
  });
  return layouts.every((found) => found === layouts[0]) ? layouts[0] : undefined;
}

function fuse(parts: readonly MatmulPart[], input: LoweringInput): FusedPart[] {
  const fused: FusedPart[] = [];
  let end = -1; // of the previous part in the image
  for (const { weight, rows, column } of parts) {
    const { form, offset, bytes } = tensor(input, weight);
    if (form === "vector") throw new PronkError("bad_format", `tensor ${weight} is a vector`);
    const last = fused.at(-1);
    if (last && last.form === form && end === offset && last.column + last.rows === column) {
      last.rows += paddedRows(rows);
    } else {
      const address = input.layout.weights + offset;
      fused.push({ form, address, column, rows: paddedRows(rows) });
    }
    end = offset + bytes;
  }
  return fused;
}

type StoreKv = (cache: MemoryLayout["cache"][0][0], ...rest: number[]) => void;

function kvStore(kernels: Kernels, kv: RunnerOptions["kv"]): StoreKv {
  if (kv === "bf16" || kv === "f32") {
    const store = kernel(kernels, `kv_store_${kv}`);
    return ({ keys, values }, ...rest) => store(keys, values, ...rest);
  }
  const store = kernel(kernels, kv === "int8" ? "kv_store_i8" : "kv_store_i16");
  return ({ keys, values, keyScales, valueScales }, ...rest) =>
    store(keys, values, keyScales, valueScales, ...rest);
}

type Attend = (
  out: number,
  q: number,
  cache: MemoryLayout["cache"][0][0],
  scratch: number,
  sizes: readonly number[],
) => void;

function attention(kernels: Kernels, kv: RunnerOptions["kv"]): Attend {
  if (kv === "bf16" || kv === "f32") {
    const attend = kernel(kernels, `attention_${kv}`);
    return (out, q, { keys, values }, scratch, sizes) =>
      attend(out, q, keys, values, scratch, ...sizes);
  }
  const attend = kernel(kernels, kv === "int8" ? "attention_i8" : "attention_i16");
  return (out, q, { keys, values, keyScales, valueScales }, scratch, sizes) =>
    attend(out, q, keys, values, keyScales, valueScales, scratch, ...sizes);
}

/** A kernel by its full name; the names were verified when the module was loaded. */
function kernel(kernels: Kernels, name: string): (...args: number[]) => number {
  const found = (kernels as unknown as Record<string, (...args: number[]) => number>)[name];
  if (!found) throw new PronkError("unsupported", `no kernel ${name} in this module`);
  return found;
}

function tensor(input: LoweringInput, name: string): PackedTensor {
  const found = input.tensors.get(name);
  if (!found) throw new PronkError("bad_format", `tensor ${name} is missing`);
  return found;
}
