/**
 * A plan's steps as calls of kernels. Two programs: for one row (GEMV) and for several (GEMM); they
 * give the same bits. Fused here: norm or SwiGLU with the quantization of the product that follows,
 * products over tensors that lie together, rotations of neighbouring heads.
 */
import { PronkError } from "../../errors.ts";
import type { BufferName, MatmulPart, Plan, Step } from "../../model/plan.ts";
import { isQuantized, type MatrixForm, paddedRows, type QuantizedForm } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { Span } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { activationLayout, type KernelVariant, tiledRows } from "./activation-layout.ts";
import { quantizedMatmul } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import type { MemoryLayout } from "./memory-layout.ts";

const FLOAT_BYTES = 4;

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
  /** RunnerOptions.observe, given what the runner knows of its memory. */
  readonly observe?: (step: StepOf<"matmul">, rows: number) => void;
}

/** Parts that one kernel call covers: the same form, adjacent in the image and in the output. */
interface FusedPart {
  readonly form: MatrixForm;
  readonly address: number;
  readonly column: number;
  rows: number;
}

export function lower(steps: readonly Step[], input: LoweringInput): Program {
  return {
    one: new Lowering(input, true).run(steps),
    many: new Lowering(input, false).run(steps),
  };
}

type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

class Lowering {
  readonly #input: LoweringInput;
  /** For a batch of one row. */
  readonly #one: boolean;
  readonly #calls: Call[] = [];
  /** The buffer, and its layout, that `layout.activations` holds when the next call runs. */
  #quantized: { readonly buffer: BufferName; readonly layout: number } | undefined;

  constructor(input: LoweringInput, one: boolean) {
    this.#input = input;
    this.#one = one;
  }

  run(steps: readonly Step[]): Call[] {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      const next = steps[i + 1];
      switch (step.op) {
        case "embed":
          this.#embed(step);
          break;
        case "rmsNorm":
          this.#rmsNorm(step, next);
          break;
        case "matmul":
          this.#matmul(step);
          break;
        case "rope": {
          const neighbour = this.#isNeighbour(step, next) ? next.heads : 0;
          this.#rope(step, step.heads + neighbour);
          if (neighbour > 0) i++;
          break;
        }
        case "storeKv":
          this.#storeKv(step);
          break;
        case "attention":
          this.#attention(step);
          break;
        case "swiglu":
          this.#swiglu(step, next);
      }
    }
    return this.#calls;
  }

  #embed(step: StepOf<"embed">): void {
    const { plan, layout, kernels } = this.#input;
    const { form, offset } = this.#tensor(step.weight);
    const embed = kernel(kernels, `embed_${form}`);
    const x = layout.buffers[step.out];
    const w = layout.weights + offset;
    const dim = plan.config.hidden_size;
    this.#calls.push((rows) => embed(x, w, layout.ids, rows, dim));
  }

  #rmsNorm(step: StepOf<"rmsNorm">, next: Step | undefined): void {
    const { plan, layout, kernels } = this.#input;
    const { hidden_size: dim, rms_norm_eps: eps } = plan.config;
    const { activations: a, row: scratch } = layout;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out];
    const w = this.#address(step.weight);
    const target = this.#fusedLayout(step.out, next);
    if (target === undefined) {
      this.#calls.push((rows) => kernels.rms_norm(y, x, w, rows, dim, eps));
    } else {
      this.#calls.push((rows) =>
        kernels.rms_norm_quantize(a, scratch, x, w, rows, dim, eps, target),
      );
    }
    this.#written(step.out, target);
  }

  #swiglu(step: StepOf<"swiglu">, next: Step | undefined): void {
    const { plan, layout, kernels } = this.#input;
    const { activations: a, row: scratch } = layout;
    const { cols, upColumn } = step;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out];
    const ld = plan.buffers[step.in];
    const target = this.#fusedLayout(step.out, next);
    if (target === undefined) {
      this.#calls.push((rows) => kernels.swiglu(y, x, rows, cols, upColumn, ld));
    } else {
      this.#calls.push((rows) =>
        kernels.swiglu_quantize(a, scratch, x, rows, cols, upColumn, ld, target),
      );
    }
    this.#written(step.out, target);
  }

  #matmul(step: StepOf<"matmul">): void {
    const { plan, layout, kernels, observe } = this.#input;
    if (observe) this.#calls.push((rows) => observe(step, rows));
    const ldy = plan.buffers[step.out];
    const out = layout.buffers[step.out];
    for (const part of this.#fuse(step.parts)) {
      if (isQuantized(part.form)) this.#quantizedPart(step, part, part.form);
      else this.#floatPart(step, part);
    }
    for (const { bias, column, rows: n } of step.parts) {
      if (bias === undefined) continue;
      const b = this.#address(bias);
      const y = out + column * FLOAT_BYTES;
      this.#calls.push((rows) => kernels.add_bias(y, b, rows, n, ldy));
    }
    // What was quantized stays so for the next product, unless this one overwrote it.
    if (step.out === this.#quantized?.buffer) this.#quantized = undefined;
  }

  #quantizedPart(step: StepOf<"matmul">, part: FusedPart, form: QuantizedForm): void {
    const { plan, layout, kernels, variant } = this.#input;
    const { activations: a, panel } = layout;
    const { address: w, rows: n } = part;
    const { cols } = step;
    const y = layout.buffers[step.out] + part.column * FLOAT_BYTES;
    const ldy = plan.buffers[step.out];
    const accumulate = step.accumulate ? 1 : 0;
    this.#quantize(step.in, cols, this.#layoutFor(form));
    const { gemv, gemm } = quantizedMatmul(kernels, variant, form);
    if (this.#one) this.#calls.push(() => gemv(y, w, a, n, cols, accumulate));
    else {
      this.#calls.push((rows) => gemm(y, w, a, panel, tiledRows(rows), n, cols, ldy, accumulate));
    }
  }

  #floatPart(step: StepOf<"matmul">, part: FusedPart): void {
    const { plan, layout, kernels } = this.#input;
    const { form, address: w, rows: n } = part;
    const { cols } = step;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out] + part.column * FLOAT_BYTES;
    const ldx = plan.buffers[step.in];
    const ldy = plan.buffers[step.out];
    const accumulate = step.accumulate ? 1 : 0;
    const matmul = kernel(kernels, `matmul_${form}`);
    this.#calls.push((rows) => matmul(y, w, x, rows, n, cols, ldx, ldy, accumulate));
  }

  #quantize(buffer: BufferName, cols: number, target: number): void {
    const { plan, layout, kernels } = this.#input;
    if (this.#quantized?.buffer === buffer && this.#quantized.layout === target) return;
    const x = layout.buffers[buffer];
    const ldx = plan.buffers[buffer];
    const { activations: a } = layout;
    this.#calls.push((rows) => kernels.quantize(a, x, rows, cols, ldx, target));
    this.#quantized = { buffer, layout: target };
  }

  #rope(step: StepOf<"rope">, heads: number): void {
    const { plan, layout, kernels } = this.#input;
    const { cos, sin } = layout;
    const ld = plan.buffers[step.buffer];
    const headDim = plan.config.head_dim;
    const first = layout.buffers[step.buffer] + step.column * FLOAT_BYTES;
    this.#calls.push((_, spans) => {
      let x = first;
      for (const { count, start } of spans) {
        kernels.rope(x, count, ld, heads, headDim, start, cos, sin);
        x += count * ld * FLOAT_BYTES;
      }
    });
  }

  /** Whether the next step rotates the heads behind this one's: one call does both. */
  #isNeighbour(step: StepOf<"rope">, next: Step | undefined): next is StepOf<"rope"> {
    const end = step.column + step.heads * this.#input.plan.config.head_dim;
    return next?.op === "rope" && next.buffer === step.buffer && next.column === end;
  }

  #storeKv(step: StepOf<"storeKv">): void {
    const { plan, layout, kernels, options } = this.#input;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = plan.config;
    const store = kvStore(kernels, options.kv);
    const ld = plan.buffers[step.in];
    const first = layout.buffers[step.in];
    this.#calls.push((_, spans) => {
      let row = first;
      for (const { slot, start, count } of spans) {
        const k = row + step.keyColumn * FLOAT_BYTES;
        const v = row + step.valueColumn * FLOAT_BYTES;
        const cache = layout.cache[slot][step.layer];
        store(cache, k, v, count, ld, start, kvHeads, headDim, options.ctx);
        row += count * ld * FLOAT_BYTES;
      }
    });
  }

  #attention(step: StepOf<"attention">): void {
    const { plan, layout, kernels, options } = this.#input;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = plan.config;
    const heads = plan.config.num_attention_heads;
    const attend = attention(kernels, options.kv);
    const ldq = plan.buffers[step.in];
    const ldo = plan.buffers[step.out];
    const scale = Math.fround(1 / Math.sqrt(headDim));
    const firstQuery = layout.buffers[step.in] + step.queryColumn * FLOAT_BYTES;
    const firstOut = layout.buffers[step.out];
    this.#calls.push((_, spans) => {
      let q = firstQuery;
      let out = firstOut;
      for (const { slot, start, count } of spans) {
        const cache = layout.cache[slot][step.layer];
        const sizes = [count, ldq, ldo, start, heads, kvHeads, headDim, options.ctx, scale];
        attend(out, q, cache, layout.attention, sizes);
        q += count * ldq * FLOAT_BYTES;
        out += count * ldo * FLOAT_BYTES;
      }
    });
    this.#written(step.out, undefined);
  }

  /** A step has written a buffer: as f32, or only in quantized form. */
  #written(buffer: BufferName, layout: number | undefined): void {
    if (layout !== undefined) this.#quantized = { buffer, layout };
    else if (this.#quantized?.buffer === buffer) this.#quantized = undefined;
  }

  /** The layout to quantize `buffer` into at once, when all that reads it is one such product. */
  #fusedLayout(buffer: BufferName, next: Step | undefined): number | undefined {
    if (next?.op !== "matmul" || next.in !== buffer) return undefined;
    if (this.#input.observe) return undefined; // fused, the input is never there as f32
    const layouts = next.parts.map(({ weight }) => {
      const { form } = this.#tensor(weight);
      return form !== "vector" && isQuantized(form) ? this.#layoutFor(form) : undefined;
    });
    return layouts.every((found) => found === layouts[0]) ? layouts[0] : undefined;
  }

  #layoutFor(form: QuantizedForm): number {
    return activationLayout(this.#input.variant, form, this.#one ? 1 : 2);
  }

  #fuse(parts: readonly MatmulPart[]): FusedPart[] {
    const fused: FusedPart[] = [];
    let end = -1; // of the previous part in the image
    for (const { weight, rows, column } of parts) {
      const { form, offset, bytes } = this.#tensor(weight);
      if (form === "vector") throw new PronkError("bad_format", `tensor ${weight} is a vector`);
      const last = fused.at(-1);
      if (last && last.form === form && end === offset && last.column + last.rows === column) {
        last.rows += paddedRows(rows);
      } else {
        const address = this.#input.layout.weights + offset;
        fused.push({ form, address, column, rows: paddedRows(rows) });
      }
      end = offset + bytes;
    }
    return fused;
  }

  #address(name: string): number {
    return this.#input.layout.weights + this.#tensor(name).offset;
  }

  #tensor(name: string): PackedTensor {
    const found = this.#input.tensors.get(name);
    if (!found) throw new PronkError("bad_format", `tensor ${name} is missing`);
    return found;
  }
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
