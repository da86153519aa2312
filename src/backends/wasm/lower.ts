/**
 * A plan's steps as calls of kernels. Three programs: for one row (GEMV), for a few (GEMV row by
 * row), for many (GEMM); they give the same bits. Fused here: norm or SwiGLU with the quantization of the product that follows,
 * products over tensors that lie together, rotations of neighbouring heads.
 *
 * One of several threads gets its part: products by panels, attention by heads or queries, the rest by
 * rows. Of a single row each quantizes its own copy, which is cheaper than to wait for another's.
 */
import { PronkError } from "../../errors.ts";
import type { BufferName, MatmulPart, Plan, Step } from "../../model/plan.ts";
import {
  isQuantized,
  type MatrixForm,
  PANEL_ROWS,
  paddedRows,
  panelBytes,
  type QuantizedForm,
} from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { Span } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import {
  type ActivationLayout,
  activationBytes,
  activationLayout,
  type KernelVariant,
  TILE_ROWS,
  tiledRows,
} from "./activation-layout.ts";
import { namedKernel, quantizedMatmul } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import { AttentionLowering } from "./lower-attention.ts";
import type { MemoryLayout } from "./memory-layout.ts";
import { type Access, SHARED, whole } from "./threads/dependencies.ts";
import { type Part, shareOf, WHOLE } from "./threads/part.ts";
import { PartCalls } from "./threads/part-calls.ts";

const FLOAT_BYTES = 4;

/**
 * Runs over the first `rows` rows of the buffers, or, where rows are divided among threads, over
 * `count` of them from row `from` on, a multiple of 4.
 */
export type Call = (rows: number, spans: readonly Span[], from: number, count: number) => void;

export interface Program {
  /** For a batch of one row. */
  readonly one: readonly Call[];
  /** For those of goesRowByRow(). */
  readonly few: readonly Call[];
  readonly many: readonly Call[];
  readonly variant: KernelVariant;
}

/** Weights that a few rows go through in turn, to find them in the second-level cache. */
const SLICE_BYTES = 256 * 1024;

/** In the order of the enum of wasm/glu.c. */
const ACTIVATION_KINDS: readonly StepOf<"glu">["activation"][] = [
  "quick_gelu",
  "gelu_tanh",
  "gelu",
  "relu",
  "relu2",
  "sigmoid",
  "linear",
];

type Kind = "one" | "few" | "many";

export interface LoweringInput {
  readonly plan: Plan;
  readonly tensors: ReadonlyMap<string, PackedTensor>;
  readonly layout: MemoryLayout;
  readonly kernels: Kernels;
  readonly variant: KernelVariant;
  readonly options: RunnerOptions;
  /** RunnerOptions.observe, given what the runner knows of its memory. */
  readonly observe?: (step: StepOf<"matmul">, rows: number) => void;
  /** Called after each step, whose inputs are then written as f32: what adapters do to its output. */
  readonly adapt?: (step: Step) => void;
  /** RunnerOptions.tap. */
  readonly tap?: RunnerOptions["tap"];
  readonly memory: WebAssembly.Memory;
  /** What the batch at hand brings itself; on the caller's thread alone. */
  readonly given?: { embeds?: Float32Array | undefined };
}

/** Parts that one kernel call covers: the same form, adjacent in the image and in the output. */
interface FusedPart {
  readonly form: MatrixForm;
  readonly address: number;
  readonly column: number;
  rows: number;
}

/** `part` of the steps, with calls of `barrier` where a thread must wait for the others. */
export function lower(
  steps: readonly Step[],
  input: LoweringInput,
  part: Part = WHOLE,
  barrier: Call = () => undefined,
): Program {
  return {
    one: new Lowering(input, "one", part, barrier).run(steps),
    few: new Lowering(input, "few", part, barrier).run(steps),
    many: new Lowering(input, "many", part, barrier).run(steps),
    variant: input.variant,
  };
}

type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

/** Whose output adapters may change. */
const CHANGED: readonly Step["op"][] = ["embed", "rmsNorm", "matmul"];

/** Of the quantized activations of many rows, which the threads share. */
const ACTIVATIONS = "activations";

class Lowering {
  readonly #input: LoweringInput;
  readonly #kind: Kind;
  readonly #part: Part;
  readonly #steps: PartCalls;
  readonly #attention: AttentionLowering;
  /** Where quantized activations lie: of one row every thread has its own. */
  readonly #activations: number;
  /** How rows are divided; a single one is the first thread's. */
  readonly #rows: string;
  /** The buffer, and its layout, that the activations hold when the next call runs. */
  #quantized: { readonly buffer: BufferName; readonly layout: number } | undefined;

  constructor(input: LoweringInput, kind: Kind, part: Part, barrier: Call) {
    const { layout } = input;
    this.#input = input;
    this.#kind = kind;
    this.#part = part;
    this.#steps = new PartCalls(part, barrier);
    this.#attention = new AttentionLowering(input, part, this.#steps);
    const one = kind === "one";
    this.#activations = one ? (layout.rowActivations ?? layout.activations) : layout.activations;
    this.#rows = one ? "first" : "rows";
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
          const neighbour = this.#attention.isNeighbour(step, next) ? next.heads : 0;
          this.#attention.rope(step, step.heads + neighbour);
          if (neighbour > 0) i++;
          break;
        }
        case "storeKv":
          this.#attention.storeKv(step);
          break;
        case "attention":
          this.#attention.attention(step);
          this.#written(step.out, undefined);
          break;
        case "tap":
          this.#tap(step);
          break;
        case "swiglu":
          this.#swiglu(step, next);
          break;
        case "glu":
          this.#glu(step);
      }
      const { adapt } = this.#input;
      if (adapt && CHANGED.includes(step.op)) this.#steps.emit(() => adapt(step), [], []);
    }
    return this.#steps.calls;
  }

  /** A call over rows. */
  #emitRows(call: Call, reads: readonly string[], writes: readonly string[]): void {
    const access = (buffer: string): Access => whole(buffer, this.#rows);
    const isOwn = this.#kind !== "one" || this.#part.index === 0;
    this.#steps.emit(call, reads.map(access), writes.map(access), isOwn);
  }

  /** A call that quantizes rows; of one row every thread does. */
  #emitQuantize(call: Call, from: BufferName): void {
    if (this.#kind === "one") this.#steps.emit(call, [whole(from, SHARED)], []);
    else this.#emitRows(call, [from], [ACTIVATIONS]);
  }

  #embed(step: StepOf<"embed">): void {
    const { plan, layout, kernels, memory, given } = this.#input;
    const { form, offset } = this.#tensor(step.weight);
    const embed = namedKernel(kernels, `embed_${form}`);
    const x = layout.buffers[step.out];
    const w = layout.weights + offset;
    const { ids } = layout;
    const dim = plan.config.hidden_size;
    const ld = dim * FLOAT_BYTES;
    this.#emitRows(
      (_rows, _spans, from, count) => {
        if (given?.embeds)
          new Float32Array(memory.buffer, x, given.embeds.length).set(given.embeds);
        else embed(x + from * ld, w, ids + from * 4, count, dim);
      },
      [],
      [step.out],
    );
  }

  #rmsNorm(step: StepOf<"rmsNorm">, next: Step | undefined): void {
    const { plan, layout, kernels } = this.#input;
    const { hidden_size: dim, rms_norm_eps: eps } = plan.config;
    const { row: scratch } = layout;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out];
    const w = this.#address(step.weight);
    const ld = dim * FLOAT_BYTES;
    const target = this.#fusedLayout(step.out, next);
    if (target === undefined) {
      this.#emitRows(
        (_rows, _spans, from, count) =>
          kernels.rms_norm(y + from * ld, x + from * ld, w, count, dim, eps),
        [step.in],
        [step.out],
      );
    } else {
      const a = this.#activations;
      const lda = rowBytes(target, dim);
      this.#emitQuantize(
        (_rows, _spans, from, count) =>
          kernels.rms_norm_quantize(
            a + from * lda,
            scratch,
            x + from * ld,
            w,
            count,
            dim,
            eps,
            target,
          ),
        step.in,
      );
    }
    this.#written(step.out, target);
  }

  #swiglu(step: StepOf<"swiglu">, next: Step | undefined): void {
    const { plan, layout, kernels } = this.#input;
    const { row: scratch } = layout;
    const { cols, upColumn } = step;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out];
    const ld = plan.buffers[step.in];
    const ldx = ld * FLOAT_BYTES;
    const ldy = plan.buffers[step.out] * FLOAT_BYTES;
    const target = this.#fusedLayout(step.out, next);
    if (target === undefined) {
      this.#emitRows(
        (_rows, _spans, from, count) =>
          kernels.swiglu(y + from * ldy, x + from * ldx, count, cols, upColumn, ld),
        [step.in],
        [step.out],
      );
    } else {
      const a = this.#activations;
      const lda = rowBytes(target, cols);
      this.#emitQuantize(
        (_rows, _spans, from, count) =>
          kernels.swiglu_quantize(
            a + from * lda,
            scratch,
            x + from * ldx,
            count,
            cols,
            upColumn,
            ld,
            target,
          ),
        step.in,
      );
    }
    this.#written(step.out, target);
  }

  #tap(step: StepOf<"tap">): void {
    const { plan, layout, memory, tap } = this.#input;
    const stride = plan.buffers[step.in];
    const at = layout.buffers[step.in];
    this.#steps.emit(
      (rows) => {
        const data = new Float32Array(memory.buffer, at, rows * stride);
        tap?.({ name: step.name, data, rows, stride });
      },
      [whole(step.in, SHARED)],
      [],
    );
  }

  #glu(step: StepOf<"glu">): void {
    const { plan, layout, kernels } = this.#input;
    const { cols, upColumn } = step;
    const kind = ACTIVATION_KINDS.indexOf(step.activation);
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out];
    const ld = plan.buffers[step.in];
    const ldx = ld * FLOAT_BYTES;
    const ldy = plan.buffers[step.out] * FLOAT_BYTES;
    this.#emitRows(
      (_rows, _spans, from, count) =>
        kernels.glu(y + from * ldy, x + from * ldx, count, cols, upColumn, ld, kind),
      [step.in],
      [step.out],
    );
    this.#written(step.out, undefined);
  }

  #matmul(step: StepOf<"matmul">): void {
    const { observe } = this.#input;
    if (observe) this.#steps.emit((rows) => observe(step, rows), [whole(step.in, SHARED)], []);
    for (const part of this.#fuse(step.parts)) {
      const panels = shareOf(part.rows / PANEL_ROWS, this.#part);
      const own: FusedPart = {
        form: part.form,
        address: part.address + panels.from * panelBytes(part.form, step.cols),
        column: part.column + panels.from * PANEL_ROWS,
        rows: (panels.to - panels.from) * PANEL_ROWS,
      };
      const written = panelsOf(step.out, part);
      if (isQuantized(part.form)) this.#quantizedPart(step, own, part.form, written);
      else this.#floatPart(step, own, written);
      this.#bias(step, own, written);
    }
    // What was quantized stays so for the next product, unless this one overwrote it.
    if (step.out === this.#quantized?.buffer) this.#quantized = undefined;
  }

  #quantizedPart(
    step: StepOf<"matmul">,
    own: FusedPart,
    form: QuantizedForm,
    written: Access,
  ): void {
    const { plan, layout, kernels, variant } = this.#input;
    const { panel } = layout;
    const { address: w, rows: n } = own;
    const { cols } = step;
    const y = layout.buffers[step.out] + own.column * FLOAT_BYTES;
    const ldy = plan.buffers[step.out];
    const accumulate = step.accumulate ? 1 : 0;
    const target = this.#layoutFor(form);
    this.#quantize(step.in, cols, target);
    const a = this.#activations;
    const lda = rowBytes(target, cols);
    const ldw = panelBytes(form, cols);
    const slice = Math.max(1, Math.floor(SLICE_BYTES / ldw)) * PANEL_ROWS;
    const { gemv, gemm } = quantizedMatmul(kernels, variant, form);
    const calls: Record<Kind, Call> = {
      one: () => gemv(y, w, a, n, cols, accumulate),
      few: (rows) => {
        for (let from = 0; from < n; from += slice) {
          const count = Math.min(slice, n - from);
          const weights = w + (from / PANEL_ROWS) * ldw;
          for (let row = 0; row < rows; row++) {
            const out = y + (row * ldy + from) * FLOAT_BYTES;
            gemv(out, weights, a + row * lda, count, cols, accumulate);
          }
        }
      },
      many: (rows) => gemm(y, w, a, panel, tiledRows(rows), n, cols, ldy, accumulate),
    };
    const reads = this.#kind === "one" ? [] : [whole(ACTIVATIONS, SHARED)];
    this.#steps.emit(calls[this.#kind], reads, [written], n > 0);
  }

  #floatPart(step: StepOf<"matmul">, own: FusedPart, written: Access): void {
    const { plan, layout, kernels } = this.#input;
    const { form, address: w, rows: n } = own;
    const { cols } = step;
    const x = layout.buffers[step.in];
    const y = layout.buffers[step.out] + own.column * FLOAT_BYTES;
    const ldx = plan.buffers[step.in];
    const ldy = plan.buffers[step.out];
    const accumulate = step.accumulate ? 1 : 0;
    const matmul = namedKernel(kernels, `matmul_${form}`);
    this.#steps.emit(
      (rows) => matmul(y, w, x, rows, n, cols, ldx, ldy, accumulate),
      [whole(step.in, SHARED)],
      [written],
      n > 0,
    );
  }

  /** The biases of the columns that this thread has computed. */
  #bias(step: StepOf<"matmul">, own: FusedPart, written: Access): void {
    const { plan, layout, kernels } = this.#input;
    const ldy = plan.buffers[step.out];
    for (const { bias, column, rows: n } of step.parts) {
      if (bias === undefined) continue;
      const from = Math.max(column, own.column);
      const count = Math.min(column + n, own.column + own.rows) - from;
      const y = layout.buffers[step.out] + from * FLOAT_BYTES;
      const b = this.#address(bias) + (from - column) * FLOAT_BYTES;
      this.#steps.emit(
        (rows) => kernels.add_bias(y, b, rows, count, ldy),
        [],
        [written],
        count > 0,
      );
    }
  }

  #quantize(buffer: BufferName, cols: number, target: number): void {
    const { plan, layout, kernels } = this.#input;
    if (this.#quantized?.buffer === buffer && this.#quantized.layout === target) return;
    const x = layout.buffers[buffer];
    const ldx = plan.buffers[buffer];
    const a = this.#activations;
    const lda = rowBytes(target, cols);
    this.#emitQuantize(
      (_rows, _spans, from, count) =>
        kernels.quantize(a + from * lda, x + from * ldx * FLOAT_BYTES, count, cols, ldx, target),
      buffer,
    );
    this.#quantized = { buffer, layout: target };
  }

  /** A step has written a buffer: as f32, or only in quantized form. */
  #written(buffer: BufferName, layout: number | undefined): void {
    if (layout !== undefined) this.#quantized = { buffer, layout };
    else if (this.#quantized?.buffer === buffer) this.#quantized = undefined;
  }

  /** The layout to quantize `buffer` into at once, when all that reads it is one such product. */
  #fusedLayout(buffer: BufferName, next: Step | undefined): number | undefined {
    if (next?.op !== "matmul" || next.in !== buffer) return undefined;
    if (this.#input.observe || this.#input.adapt) return undefined; // fused, the input is never there as f32
    const layouts = next.parts.map(({ weight }) => {
      const { form } = this.#tensor(weight);
      return form !== "vector" && isQuantized(form) ? this.#layoutFor(form) : undefined;
    });
    return layouts.every((found) => found === layouts[0]) ? layouts[0] : undefined;
  }

  #layoutFor(form: QuantizedForm): number {
    return activationLayout(this.#input.variant, form, this.#kind === "many" ? 2 : 1);
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

/** The columns of a product, divided by panels. */
function panelsOf(buffer: string, { column, rows }: FusedPart): Access {
  return { buffer, from: column, to: column + rows, division: `panels ${column} ${rows}` };
}

/** From one row of quantized activations to the next, on average over a tile. */
function rowBytes(layout: number, cols: number): number {
  return activationBytes(layout as ActivationLayout, TILE_ROWS, cols) / TILE_ROWS;
}
