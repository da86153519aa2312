/** Steps of a plan as dispatches, one or more a step, over the rows of a batch: what runs where nothing is fused. */
import type { BufferName, Plan, Step } from "../../model/plan.ts";
import { type MatrixForm, PANEL_ROWS } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { AdapterStep, ChangedRows, LowRows, RowsName } from "./adapters/adapter-steps.ts";
import type { Buffers } from "./buffers.ts";
import { type FusedPart, fuseParts } from "./fuse-parts.ts";
import type { CachedBuffers } from "./kv-buffers.ts";
import type { Kernel, KernelSpec, PipelineCache } from "./pipelines.ts";
import { type ProductNumbers, productTiles, type QuantizedRows } from "./product-tiles.ts";
import { rowTileFor, tilesPlace } from "./row-tiles.ts";
import type { ShaderName } from "./shaders.gen.ts";
import type { WeightBuffers } from "./weight-buffers.ts";

/** A kernel with its buffers: it runs for so many workgroups a row, or a tile of rows. */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly bindings: readonly GPUBindingResource[];
  readonly groups: number;
  /** Rows of a workgroup, where it has several; attention's are as the tiles say. */
  readonly tileRows?: number | "attention";
  /** What it reads is made of the same rows by this. */
  readonly before?: Dispatch;
}

export type LoweredStep = {
  /** The step that it is a part of. */
  readonly of: Step | AdapterStep;
} & Lowered;

type Lowered =
  | { readonly op: "dispatch"; readonly dispatch: Dispatch; readonly tiled: readonly Dispatch[] }
  | { readonly op: "embed"; readonly dispatches: readonly Dispatch[] }
  | { readonly op: "tap"; readonly name: string; readonly buffer: BufferName }
  | { readonly op: "observe"; readonly step: Extract<Step, { op: "matmul" }> }
  /** What the attention before it has written. */
  | { readonly op: "probabilities"; readonly name: string };

export interface LoweringInput {
  readonly plan: Plan;
  readonly buffers: Buffers;
  readonly pipelines: PipelineCache;
  readonly weights: WeightBuffers;
  /** Of an adapter's steps. */
  readonly adapter?: AdapterInput;
  readonly layers: readonly (readonly CachedBuffers[])[];
  /** "f32" or "f16": of the cache. */
  readonly kv: "f32" | "f16";
  readonly ctx: number;
  /** (cosine, sine) pairs. */
  readonly angles: GPUBuffer;
  readonly activations: Readonly<Record<BufferName, GPUBuffer>>;
  /** Floats from one row to the next. */
  readonly strides: Readonly<Record<BufferName, number>>;
  /** Attention goes by these masks. */
  readonly masks?: { readonly rows: GPUBuffer; readonly probabilities: GPUBuffer };
  /** What products of many rows are multiplied as. */
  readonly numbers: ProductNumbers;
  /** Of the subgroups that sums of decoding go through; undefined: they do not. */
  readonly subgroupSize: number | undefined;
  /** Of "int8". */
  readonly quantized?: QuantizedRows;
  /** Somebody looks at what products are given. */
  readonly isObserved?: boolean;
}

/** Rows of floats. */
export interface RowsBuffer {
  readonly buffer: GPUBuffer;
  /** Floats from one row to the next. */
  readonly stride: number;
}

/** `LoweringInput.weights` are the adapter's. */
export interface AdapterInput {
  /** The model's. */
  readonly base: WeightBuffers;
  rows(name: LowRows | ChangedRows): RowsBuffer;
  /** Of each row: 1 where it uses the adapter, else 0; and by how much. */
  readonly uses: GPUBuffer;
}

/** By their numbers in wgsl/activations.wgsl. */
export const ACTIVATION_KINDS = [
  "silu",
  "quick_gelu",
  "gelu_tanh",
  "gelu",
  "relu",
  "relu2",
  "sigmoid",
  "linear",
] as const;

/** What a step runs for so many rows, and for how many rows or tiles of attention. */
export function dispatchFor(
  { dispatch, tiled }: Extract<LoweredStep, { op: "dispatch" }>,
  rows: number,
  attentionTiles: number,
): [dispatch: Dispatch, rows: number] {
  const tile = rowTileFor(rows);
  for (const other of tiled) {
    if (other.tileRows === "attention" && attentionTiles > 0) return [other, attentionTiles];
    if (other.tileRows === tile) return [other, rows];
  }
  return [dispatch, rows];
}

/** Threads of a workgroup that runs over a row's elements. */
const THREADS = 64;

/** Dimensions of a head at most: a thread for each. */
const MOST_TILED_DIM = 256;

/** Bytes of a word of a weights' binding. */
export const WORD_BYTES = 16;

/**
 * @param rows (token, slot, position, row of the angles) of each row, and the tiles of attention.
 */
export function lowerSteps(
  steps: readonly (Step | AdapterStep)[],
  rows: GPUBuffer,
  input: LoweringInput,
): LoweredStep[] {
  const lowering = new Lowering(rows, input);
  for (const step of steps) lowering.add(step);
  return lowering.finish();
}

type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

/** A dispatch whose parameters lie nowhere yet. */
export interface Pending {
  readonly kernel: Kernel;
  readonly params: readonly number[];
  /** Where the parameters are bound. */
  readonly at: number;
  readonly resources: readonly GPUBuffer[];
  readonly groups: number;
  readonly tileRows?: Dispatch["tileRows"];
  readonly before?: Pending;
}

type PendingStep =
  /** The first takes single rows, the others tiles of them. */
  | { readonly op: "dispatch"; readonly pending: readonly [Pending, ...Pending[]] }
  | { readonly op: "embed"; readonly pending: readonly Pending[] }
  | Exclude<Lowered, { op: "dispatch" | "embed" }>;

class Lowering {
  readonly #rows: GPUBuffer;
  readonly #input: LoweringInput;
  readonly #steps: PendingStep[] = [];
  /** The step that each is a part of. */
  readonly #owners: (Step | AdapterStep)[] = [];

  constructor(rows: GPUBuffer, input: LoweringInput) {
    this.#rows = rows;
    this.#input = input;
  }

  add(step: Step | AdapterStep): void {
    this.#lower(step);
    while (this.#owners.length < this.#steps.length) this.#owners.push(step);
  }

  #lower(step: Step | AdapterStep): void {
    switch (step.op) {
      case "embed":
        this.#steps.push({ op: "embed", pending: this.#embed(step) });
        return;
      case "rmsNorm":
        this.#rmsNorm(step);
        return;
      case "matmul":
        if (this.#input.isObserved)
          this.#steps.push({ op: "observe", step: step as StepOf<"matmul"> });
        for (const part of fuseParts(this.#input.weights, step.parts, step.cols))
          this.#matmul(step, part);
        return;
      case "rope":
        this.#rope(step);
        return;
      case "storeKv":
        this.#storeKv(step);
        return;
      case "attention":
        this.#attention(step);
        return;
      case "tap":
        this.#steps.push({ op: "tap", name: step.name, buffer: step.in });
        return;
      case "swiglu":
        this.#glu({ ...step, activation: "silu" });
        return;
      case "glu":
        this.#glu(step);
        return;
      case "scaleRows":
        this.#scaleRows(step);
        return;
      case "replaceRows":
        this.#replaceRows(step);
        return;
      case "addVector":
        this.#addVector(step);
    }
  }

  /** With all parameters in one buffer. */
  finish(): LoweredStep[] {
    const { buffers } = this.#input;
    const own = this.#steps.flatMap((step) => ("pending" in step ? step.pending : []));
    const all = own.flatMap((pending) => (pending.before ? [pending.before, pending] : [pending]));
    const uniforms = buffers.uniforms(all.map(({ params }) => params));
    const dispatches = new Map<Pending, Dispatch>();
    for (const [i, pending] of all.entries()) {
      const before = pending.before && dispatches.get(pending.before);
      dispatches.set(pending, { ...bound(pending, uniforms[i]), ...(before && { before }) });
    }
    return this.#steps.map((step, i): LoweredStep => {
      const of = this.#owners[i];
      if (!("pending" in step)) return { ...step, of };
      const [first, ...others] = step.pending.map((pending) => dispatches.get(pending)!);
      if (step.op === "embed") return { op: "embed", of, dispatches: [first, ...others] };
      return { op: "dispatch", of, dispatch: first, tiled: others };
    });
  }

  #push(pending: Pending, tiled: readonly Pending[] = []): void {
    this.#steps.push({ op: "dispatch", pending: [pending, ...tiled] });
  }

  #kernel(
    op: ShaderName,
    constants: KernelSpec["constants"],
    ...parts: readonly ShaderName[]
  ): Kernel {
    return this.#input.pipelines.kernel({ op, parts, ...(constants && { constants }) });
  }

  #rowsOf(name: RowsName): RowsBuffer {
    const { activations, strides, adapter } = this.#input;
    if (typeof name === "string") return { buffer: activations[name], stride: strides[name] };
    return adapter!.rows(name);
  }

  #embed({ out, weight }: LoweredOp<"embed">): Pending[] {
    const { weights } = this.#input;
    const tensor = weights.tensor(weight);
    const y = this.#rowsOf(out);
    const kernel = this.#kernel("embed", { COLS: tensor.shape[1] }, ...formParts(tensor));
    return weights.shards(weight).map(({ buffer, offset, first, rows }) => ({
      kernel,
      params: [offset / WORD_BYTES, first, first + rows, y.stride],
      at: 1,
      resources: [buffer, this.#rows, y.buffer],
      groups: 1,
    }));
  }

  #rmsNorm({ out, in: from, weight }: LoweredOp<"rmsNorm">): void {
    const { weights, plan } = this.#input;
    const x = this.#rowsOf(from);
    const { hidden_size: COLS, rms_norm_eps: EPSILON } = plan.config;
    const [{ buffer, offset }] = weights.shards(weight);
    this.#push({
      kernel: this.#kernel("rms_norm", { COLS, EPSILON }),
      params: [x.stride, offset / 4],
      at: 0,
      resources: [x.buffer, buffer, this.#rowsOf(out).buffer],
      groups: 1,
    });
  }

  #matmul({ in: from, out, cols: COLS, accumulate: ACCUMULATE }: Product, part: FusedPart): void {
    const { weights, adapter } = this.#input;
    const x = this.#rowsOf(from);
    const y = this.#rowsOf(out);
    const biases = adapter?.base ?? weights;
    const [bias] = part.bias === undefined ? [] : biases.shards(part.bias);
    const constants = { COLS, ACCUMULATE, HAS_BIAS: bias !== undefined };
    const form = formParts(part.tensor);
    const single = {
      kernel: this.#kernel("matmul", constants, ...form),
      params: [
        part.offset / WORD_BYTES,
        part.rows,
        x.stride / 4,
        y.stride,
        part.column,
        bias ? bias.offset / 4 + part.first : 0,
      ],
      at: 1,
      resources: [part.buffer, x.buffer, y.buffer, bias ? bias.buffer : part.buffer],
      groups: Math.ceil(part.rows / PANEL_ROWS),
    };
    // Products with an adapter's factors are small, of many sizes: not each gets kernels of its own.
    const isSmall = isLow(from) || isLow(out);
    const product = {
      form: part.tensor.form as MatrixForm,
      parts: form,
      constants,
      cols: COLS,
      outputs: part.rows,
      room: Math.floor(y.buffer.size / 4 / y.stride),
    };
    const tiled = isSmall ? [] : productTiles(single, product, this.#input);
    this.#push(single, tiled);
  }

  #rope({ buffer, column, heads }: StepOf<"rope">): void {
    const { activations, strides, angles, plan } = this.#input;
    const HEAD_DIM = plan.config.head_dim;
    this.#push({
      kernel: this.#kernel("rope", { HEAD_DIM }),
      params: [heads, strides[buffer], column],
      at: 0,
      resources: [this.#rows, angles, activations[buffer]],
      groups: Math.ceil((heads * HEAD_DIM) / 2 / THREADS),
    });
  }

  #storeKv({ layer, in: from, keyColumn, valueColumn }: StepOf<"storeKv">): void {
    const { activations, strides, layers, kv } = this.#input;
    const constants = this.#headSizes();
    for (const { keys, values, firstSlot, slots } of layers[layer]) {
      this.#push({
        kernel: this.#kernel("store_kv", constants, `cache/${kv}`),
        params: [strides[from], keyColumn, valueColumn, firstSlot, slots],
        at: 0,
        resources: [this.#rows, activations[from], keys, values],
        groups: Math.ceil((constants.KV_HEADS * constants.HEAD_DIM) / 2 / THREADS),
      });
    }
  }

  #attention({ layer, out, in: from, queryColumn, probabilities }: StepOf<"attention">): void {
    const { activations, strides, layers, kv, plan, masks } = this.#input;
    const HEADS = plan.config.num_attention_heads;
    const constants = { ...this.#headSizes(), HEADS };
    const { HEAD_DIM } = constants;
    for (const { keys, values, firstSlot, slots } of layers[layer]) {
      const resources = [this.#rows, activations[from], keys, values, activations[out]];
      const single = {
        kernel: this.#kernel(masks ? "masked_attention" : "attention", constants, `cache/${kv}`),
        params: [strides[from], queryColumn, strides[out], firstSlot, slots],
        at: 0,
        resources: masks ? [...resources, masks.rows, masks.probabilities] : resources,
        groups: HEADS,
      };
      const isTiled =
        !masks && HEAD_DIM % 4 === 0 && HEAD_DIM <= MOST_TILED_DIM && layers[layer].length === 1;
      this.#push(single, isTiled ? [this.#tiledAttention(single, constants)] : []);
    }
    if (masks && probabilities !== undefined) {
      this.#steps.push({ op: "probabilities", name: probabilities });
    }
  }

  #tiledAttention(single: Pending, constants: { readonly HEAD_DIM: number }): Pending {
    const [qStride, queryColumn, outStride] = single.params;
    const THREADS = constants.HEAD_DIM;
    const { kv } = this.#input;
    return {
      ...single,
      kernel: this.#kernel("attention_tile", { ...constants, THREADS }, `cache/${kv}`),
      params: [qStride / 4, queryColumn / 4, outStride / 4, tilesPlace(this.#rows)],
      tileRows: "attention",
    };
  }

  #glu(step: {
    readonly out: BufferName;
    readonly in: BufferName;
    readonly upColumn: number;
    readonly cols: number;
    readonly activation: (typeof ACTIVATION_KINDS)[number];
  }): void {
    const { activations, strides } = this.#input;
    const { out, in: from, upColumn, cols, activation } = step;
    const ACTIVATION = ACTIVATION_KINDS.indexOf(activation);
    this.#push({
      kernel: this.#kernel("glu", { ACTIVATION }, "activations"),
      params: [cols, upColumn, strides[from], strides[out]],
      at: 0,
      resources: [activations[from], activations[out]],
      groups: Math.ceil(cols / THREADS),
    });
  }

  #scaleRows({ in: from, scaling }: LoweredOp<"scaleRows">): void {
    const { buffer, stride } = this.#rowsOf(from);
    this.#push({
      kernel: this.#kernel("scale_rows", {}),
      params: [from.rank, stride, floatBits(scaling)],
      at: 0,
      resources: [this.#input.adapter!.uses, buffer],
      groups: Math.ceil(from.rank / THREADS),
    });
  }

  #replaceRows({ in: from, out, column, cols }: LoweredOp<"replaceRows">): void {
    const { buffer, stride } = this.#rowsOf(out);
    this.#push({
      kernel: this.#kernel("replace_rows", {}),
      params: [cols, stride, column],
      at: 0,
      resources: [this.#input.adapter!.uses, this.#rowsOf(from).buffer, buffer],
      groups: Math.ceil(cols / THREADS),
    });
  }

  #addVector({ out, column, cols, vector, base, scaling }: LoweredOp<"addVector">): void {
    const adapter = this.#input.adapter!;
    const { buffer, stride } = this.#rowsOf(out);
    const [own] = this.#input.weights.shards(vector);
    const [other] = base === undefined ? [own] : adapter.base.shards(base);
    this.#push({
      kernel: this.#kernel("add_vector", { REPLACES: base !== undefined }),
      params: [cols, stride, column, own.offset / 4, other.offset / 4, floatBits(scaling)],
      at: 0,
      resources: [adapter.uses, own.buffer, other.buffer, buffer],
      groups: Math.ceil(cols / THREADS),
    });
  }

  #headSizes(): { HEAD_DIM: number; KV_HEADS: number; CTX: number } {
    const { plan, ctx } = this.#input;
    const { head_dim: HEAD_DIM, num_key_value_heads: KV_HEADS } = plan.config;
    return { HEAD_DIM, KV_HEADS, CTX: ctx };
  }
}

type LoweredOp<Op extends AdapterStep["op"]> = Extract<Step | AdapterStep, { op: Op }>;
type Product = LoweredOp<"matmul">;

/** What a kernel that reads a matrix is put together with. */
export function formParts({ name, form }: PackedTensor): ShaderName[] {
  if (form === "vector") throw new TypeError(`tensor ${name} is a vector`);
  if (form === "f32" || form === "bf16") return ["forms/panel", `forms/${form}`];
  return ["forms/panel", "forms/scales", `forms/${form}`];
}

function isLow(name: RowsName): boolean {
  return typeof name === "object" && name.kind === "low";
}

/** As a parameter, all of which are written as u32. */
function floatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0];
}

/** Resources in the order of their bindings, the parameters among them. */
function bound(pending: Pending, params: GPUBufferBinding): Dispatch {
  const { kernel, at, resources, groups, tileRows } = pending;
  const bindings: GPUBindingResource[] = resources.map((buffer) => ({ buffer }));
  bindings.splice(at, 0, params);
  return { kernel, bindings, groups, ...(tileRows !== undefined && { tileRows }) };
}
