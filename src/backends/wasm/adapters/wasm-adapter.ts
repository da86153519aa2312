/**
 * A LoRA adapter on the wasm backend: kernels of its own on a memory of its own, made when it is loaded and dropped when
 * it is not, so that the model's memory stays exactly as it was planned. Rows are copied there and back, a few at a time,
 * which costs a microsecond a product; the bits of a row do not depend on how many there are.
 */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import { PronkError } from "../../../errors.ts";
import type { BufferName, Plan, Step } from "../../../model/plan.ts";
import { EMBEDDING } from "../../../model/tensors.ts";
import { type MatrixForm, PANEL_ROWS, paddedRows, panelBytes } from "../../../pack/forms.ts";
import type { PackedTensor } from "../../../pack/manifest.ts";
import { packTensors } from "../../../pack/packer.ts";
import { unpackRow } from "../../../pack/unpack-row.ts";
import { adaptedWeight, moduleOf } from "../../adapted-tensors.ts";
import { checkRoom } from "../../adapter-table.ts";
import { instantiateKernels, namedKernel } from "../kernel-loader.ts";
import type { Kernels } from "../kernels.gen.ts";
import { RESERVED_BYTES, WASM32_BYTES } from "../memory-layout.ts";
import {
  adapterMemoryBytes,
  BLOCK_COLUMNS,
  BLOCK_ROWS,
  PAGE_BYTES,
  scratchBytes,
} from "./adapter-bytes.ts";
import { type AdapterImage, factorName, planAdapterImage } from "./adapter-image.ts";

/** The model's side: where its buffers and vectors are. */
export interface AdaptedBase {
  readonly plan: Plan;
  /** Of the model's whole memory. */
  readonly f32: Float32Array;
  /** Addresses in bytes. */
  readonly buffers: Readonly<Record<BufferName, number>>;
  /** (length,) of one of the model's vectors. */
  readonly vector: (name: string) => Float32Array;
  /** Not shared, whatever the model's memory is. */
  readonly module: WebAssembly.Module;
}

type Product = Extract<Step, { op: "matmul" }>;
type Matmul = (...args: number[]) => unknown;

interface Matrix {
  readonly address: number;
  readonly form: MatrixForm;
  readonly matmul: Matmul;
}

/** Products with A that one call computes, since the factors lie together. */
interface LowProduct {
  readonly a: Matrix;
  /** Of all of them, each padded to panels. */
  readonly ranks: number;
  readonly parts: LowPart[];
}

/** What one module's output gets. */
interface LowPart {
  readonly b: Matrix;
  readonly rank: number;
  /** Of its ranks among those of the product. */
  readonly place: number;
  readonly scaling: number;
  readonly bias: Float32Array | undefined;
  /** Of the output: where it begins in a row, and columns, padded to panels. */
  readonly column: number;
  readonly outputs: number;
}

/** What stands in place of a part of a product. */
interface ReplacedPart {
  readonly column: number;
  readonly outputs: number;
  readonly weight: Matrix | undefined;
  /** Added after the replaced weight or, without one, to what the base gave. */
  readonly bias: Float32Array | undefined;
}

/** What becomes of a product's output. */
interface AdaptedProduct {
  readonly replaced: readonly ReplacedPart[];
  readonly added: readonly LowProduct[];
}

export class WasmAdapter {
  readonly name: string;
  readonly replaced: ReadonlyMap<string, unknown>;
  /** Of its memory. */
  readonly bytes: number;
  readonly #base: AdaptedBase;
  readonly #adapter: LoraAdapter;
  readonly #tensors: ReadonlyMap<string, PackedTensor>;
  readonly #kernels: Kernels;
  readonly #f32: Float32Array;
  readonly #u8: Uint8Array;
  /** Addresses of its rows: inputs, products with A, outputs. */
  readonly #x: number;
  readonly #low: number;
  readonly #y: number;
  readonly #products = new Map<Step, AdaptedProduct>();

  private constructor(
    adapter: LoraAdapter,
    base: AdaptedBase,
    image: AdapterImage,
    memory: WebAssembly.Memory,
  ) {
    const { plan } = base;
    this.name = adapter.name;
    this.replaced = adapter.replaced;
    this.bytes = memory.buffer.byteLength;
    this.#adapter = adapter;
    this.#base = base;
    this.#tensors = image.tensors;
    this.#kernels = instantiateKernels(base.module, memory, RESERVED_BYTES);
    this.#f32 = new Float32Array(memory.buffer);
    this.#u8 = new Uint8Array(memory.buffer);
    const rooms = scratchBytes(adapter, plan);
    this.#x = RESERVED_BYTES + image.bytes;
    this.#low = this.#x + rooms.x;
    this.#y = this.#low + rooms.low;
  }

  /**
   * The adapter was compared with the base.
   *
   * @param held bytes of the other adapters, which share `limit` with it
   * @throws PronkError "unsupported" when it replaces a weight whose product is added to the residual stream;
   *   "out_of_memory" with the bytes that it needs; "bad_format", "source_failed", "aborted".
   */
  static async load(
    adapter: LoraAdapter,
    base: AdaptedBase,
    { held, limit }: { readonly held: number; readonly limit: number },
    signal?: AbortSignal,
  ): Promise<WasmAdapter> {
    refuseResidual(adapter, base.plan);
    const image = planAdapterImage(adapter, base.plan);
    const bytes = adapterMemoryBytes(adapter, base.plan);
    const pages = bytes / PAGE_BYTES;
    checkRoom(adapter.name, bytes, held, Math.min(limit, held + WASM32_BYTES));
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    } catch (cause) {
      const what = `${adapter.name}: the adapter needs ${pages * PAGE_BYTES} bytes`;
      throw new PronkError("out_of_memory", `${what}: could not allocate them`, { cause });
    }
    const place = new Uint8Array(memory.buffer, RESERVED_BYTES, image.bytes);
    await packTensors(image.entries, (offset, packed) => place.set(packed, offset), {
      ...(signal && { signal }),
    });
    const loaded = new WasmAdapter(adapter, base, image, memory);
    for (const step of [...base.plan.steps, ...base.plan.head]) {
      if (step.op !== "matmul") continue;
      const product = { replaced: loaded.#replacedParts(step), added: loaded.#lowProducts(step) };
      if (product.replaced.length + product.added.length > 0) loaded.#products.set(step, product);
    }
    return loaded;
  }

  /** Puts what is replaced in place of the base's output, in rows [first, first + count) of a step. */
  replace(step: Step, first: number, count: number, ids: ArrayLike<number>): void {
    if (this.replaced.size === 0) return;
    if (step.op === "embed") this.#replaceEmbedding(step.out, step.weight, first, count, ids);
    else if (step.op === "rmsNorm") this.#replaceNorm(step, first, count);
    else if (step.op === "matmul") {
      for (const part of this.#products.get(step)?.replaced ?? []) {
        if (part.weight) this.#replaceProduct(step, part, part.weight, first, count);
        if (part.bias) this.#addVector(step.out, part.column, part.bias, 1, first, count);
      }
    }
  }

  /** Adds the low-rank products to rows [first, first + count) of a step's output. */
  add(step: Step, first: number, count: number, scale: number, ids: ArrayLike<number>): void {
    if (step.op === "embed") this.#addEmbedding(step, first, count, scale, ids);
    if (step.op !== "matmul") return;
    const products = this.#products.get(step)?.added;
    if (products === undefined || products.length === 0) return;
    for (let from = first; from < first + count; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, first + count - from);
      const ldx = this.#takeRows(step.in, from, rows);
      for (const { a, ranks, parts } of products) {
        a.matmul(this.#low, a.address, this.#x, rows, ranks, step.cols, ldx, ranks, 0);
        for (const part of parts) this.#addPart(step.out, part, ranks, scale, from, rows);
      }
    }
  }

  #addPart(
    out: BufferName,
    part: LowPart,
    ld: number,
    scale: number,
    from: number,
    rows: number,
  ): void {
    const { rank, place, column, bias } = part;
    const total = scale * part.scaling;
    const f32 = this.#f32;
    for (let row = 0; row < rows && total !== 1; row++) {
      const at = this.#low / 4 + row * ld + place;
      for (let i = at; i < at + rank; i++) f32[i] *= total;
    }
    this.#addProduct(part, ld, out, from, rows);
    if (bias) this.#addVector(out, column, bias, total, from, rows);
  }

  #lowProducts(step: Product): LowProduct[] {
    const products: { a: Matrix; ranks: number; parts: LowPart[] }[] = [];
    let end = -1; // of the previous A in the image
    for (const { weight, rows, column } of step.parts) {
      const module = moduleOf(adaptedWeight(step, weight));
      const factors = this.#adapter.modules.get(module);
      if (!factors) continue;
      const { rank, scaling } = factors;
      const { offset, bytes } = this.#tensor(factorName(module, "A"));
      const a = this.#matrix(factorName(module, "A"));
      const last = products.at(-1);
      const isNext = last?.a.form === a.form && end === offset;
      const product = last && isNext ? last : { a, ranks: 0, parts: [] };
      if (product !== last) products.push(product);
      const b = this.#matrix(factorName(module, "B"));
      const bias = factors.bias && this.#vector(factorName(module, "bias"));
      const place = product.ranks;
      product.parts.push({ b, rank, place, scaling, bias, column, outputs: paddedRows(rows) });
      product.ranks += paddedRows(rank);
      end = offset + bytes;
    }
    return products;
  }

  #replacedParts(step: Product): ReplacedPart[] {
    return step.parts.flatMap(({ weight, bias: biasName, rows, column }) => {
      const name = adaptedWeight(step, weight);
      const replacedWeight = this.replaced.has(name) ? this.#matrix(name) : undefined;
      const bias = this.#biasOf(biasName, replacedWeight !== undefined);
      if (!replacedWeight && !bias) return [];
      return [{ column, outputs: paddedRows(rows), weight: replacedWeight, bias }];
    });
  }

  /** Over a replaced weight all of the bias; else how it differs from the base's. */
  #biasOf(name: string | undefined, isWeightReplaced: boolean): Float32Array | undefined {
    if (name === undefined) return undefined;
    const own = this.replaced.has(name) ? this.#vector(name) : undefined;
    const base = this.#base.vector(name);
    if (isWeightReplaced) return own ?? base.slice();
    return own?.map((value, i) => value - base[i]);
  }

  #matrix(name: string): Matrix {
    const { form, offset } = this.#tensor(name);
    const matmul = namedKernel(this.#kernels, `matmul_${form}`);
    return { address: RESERVED_BYTES + offset, form: form as MatrixForm, matmul };
  }

  #vector(name: string): Float32Array {
    const { offset, bytes } = this.#tensor(name);
    const at = (RESERVED_BYTES + offset) / 4;
    return this.#f32.subarray(at, at + bytes / 4);
  }

  #tensor(name: string): PackedTensor {
    const found = this.#tensors.get(name);
    if (!found) throw new PronkError("bad_format", `${this.name}: tensor ${name} is missing`);
    return found;
  }

  #replaceEmbedding(
    out: BufferName,
    weight: string,
    first: number,
    count: number,
    ids: ArrayLike<number>,
  ): void {
    if (!this.replaced.has(weight)) return;
    const { form, offset, bytes } = this.#tensor(weight);
    const image = this.#u8.subarray(RESERVED_BYTES + offset, RESERVED_BYTES + offset + bytes);
    const { f32, buffers, plan } = this.#base;
    const width = plan.buffers[out];
    for (let row = first; row < first + count; row++) {
      const at = buffers[out] / 4 + row * width;
      unpackRow(form as MatrixForm, image, width, ids[row], f32.subarray(at, at + width));
    }
  }

  #replaceNorm(step: Extract<Step, { op: "rmsNorm" }>, first: number, count: number): void {
    if (!this.replaced.has(step.weight)) return;
    const { hidden_size: dim, rms_norm_eps: eps } = this.#base.plan.config;
    const weight = RESERVED_BYTES + this.#tensor(step.weight).offset;
    for (let from = first; from < first + count; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, first + count - from);
      this.#takeRows(step.in, from, rows);
      this.#kernels.rms_norm(this.#y, this.#x, weight, rows, dim, eps);
      this.#giveColumns(step.out, from, rows, 0, dim);
    }
  }

  #replaceProduct(
    step: Product,
    { column, outputs }: ReplacedPart,
    weight: Matrix,
    first: number,
    count: number,
  ): void {
    const { cols } = step;
    const ldw = panelBytes(weight.form, cols) / PANEL_ROWS;
    for (let from = first; from < first + count; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, first + count - from);
      const ldx = this.#takeRows(step.in, from, rows);
      for (let n = 0; n < outputs; n += BLOCK_COLUMNS) {
        const width = Math.min(BLOCK_COLUMNS, outputs - n);
        const w = weight.address + n * ldw;
        weight.matmul(this.#y, w, this.#x, rows, width, cols, ldx, width, 0);
        this.#giveColumns(step.out, from, rows, column + n, width);
      }
    }
  }

  /** What #low holds of the part, in rows of `ld`, times B, onto the output. */
  #addProduct(
    { b, rank, place, column, outputs }: LowPart,
    ld: number,
    out: BufferName,
    from: number,
    rows: number,
  ): void {
    const ldw = panelBytes(b.form, rank) / PANEL_ROWS;
    const low = this.#low + place * 4;
    for (let n = 0; n < outputs; n += BLOCK_COLUMNS) {
      const width = Math.min(BLOCK_COLUMNS, outputs - n);
      this.#takeColumns(out, from, rows, column + n, width);
      b.matmul(this.#y, b.address + n * ldw, low, rows, width, rank, ld, width, 1);
      this.#giveColumns(out, from, rows, column + n, width);
    }
  }

  /** A token's column of A is 16 neighbours in each panel. */
  #addEmbedding(
    step: Extract<Step, { op: "embed" }>,
    first: number,
    count: number,
    scale: number,
    ids: ArrayLike<number>,
  ): void {
    const module = moduleOf(EMBEDDING);
    const factors = this.#adapter.modules.get(module);
    if (!factors) return;
    const { rank, scaling } = factors;
    const { config } = this.#base.plan;
    const a = this.#matrix(factorName(module, "A"));
    const b = this.#matrix(factorName(module, "B"));
    const outputs = paddedRows(config.hidden_size);
    const part = { b, rank, place: 0, scaling, bias: undefined, column: 0, outputs };
    const ranks = paddedRows(rank);
    const panel = panelBytes(a.form, config.vocab_size) / 4;
    for (let from = first; from < first + count; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, first + count - from);
      for (let row = 0; row < rows; row++) {
        for (let r = 0; r < ranks; r += PANEL_ROWS) {
          const at = a.address / 4 + (r / PANEL_ROWS) * panel + ids[from + row] * PANEL_ROWS;
          this.#f32.copyWithin(this.#low / 4 + row * ranks + r, at, at + PANEL_ROWS);
        }
      }
      this.#addPart(step.out, part, ranks, scale, from, rows);
    }
  }

  #addVector(
    out: BufferName,
    column: number,
    vector: Float32Array,
    scale: number,
    first: number,
    count: number,
  ): void {
    const { f32, buffers, plan } = this.#base;
    for (let row = first; row < first + count; row++) {
      const at = buffers[out] / 4 + row * plan.buffers[out] + column;
      for (let i = 0; i < vector.length; i++) f32[at + i] += scale * vector[i];
    }
  }

  /** The model's rows come to #x; returns the distance between them. */
  #takeRows(buffer: BufferName, from: number, rows: number): number {
    const { f32, buffers, plan } = this.#base;
    const width = plan.buffers[buffer];
    const at = buffers[buffer] / 4 + from * width;
    this.#f32.set(f32.subarray(at, at + rows * width), this.#x / 4);
    return width;
  }

  #takeColumns(
    buffer: BufferName,
    from: number,
    rows: number,
    column: number,
    width: number,
  ): void {
    const { f32, buffers, plan } = this.#base;
    let at = buffers[buffer] / 4 + from * plan.buffers[buffer] + column;
    for (let row = 0; row < rows; row++, at += plan.buffers[buffer]) {
      this.#f32.set(f32.subarray(at, at + width), this.#y / 4 + row * width);
    }
  }

  #giveColumns(
    buffer: BufferName,
    from: number,
    rows: number,
    column: number,
    width: number,
  ): void {
    const { f32, buffers, plan } = this.#base;
    let at = buffers[buffer] / 4 + from * plan.buffers[buffer] + column;
    for (let row = 0; row < rows; row++, at += plan.buffers[buffer]) {
      const y = this.#y / 4 + row * width;
      f32.set(this.#f32.subarray(y, y + width), at);
    }
  }
}

/** Their products were added to what cannot be had back. */
function refuseResidual({ name, replaced }: LoraAdapter, { steps, head }: Plan): void {
  for (const step of [...steps, ...head]) {
    if (step.op !== "matmul" || !step.accumulate) continue;
    const found = step.parts.find(({ weight }) => replaced.has(weight));
    if (!found) continue;
    const what = `${name}: replaces ${found.weight}, which the wasm backend cannot at run time`;
    throw new PronkError("unsupported", `${what}; merge the adapter into the model`);
  }
}
