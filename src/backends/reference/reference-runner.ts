/**
 * Runs a plan with plain loops over the pack's own bytes: slow, easy to read, the oracle of the
 * conformance suite. Keys and values are kept in f32.
 */
import { fitAdapter } from "../../adapters/fit-adapter.ts";
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import {
  type BufferName,
  type MatmulPart,
  type Plan,
  type Step,
  stateSteps,
} from "../../model/plan.ts";
import { type RopeFrequencies, ropeDependsOnLength, SequenceRope } from "../../model/rope.ts";
import type { MatrixForm } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { unpackRow } from "../../pack/unpack-row.ts";
import { adaptedWeight, moduleOf } from "../adapted-tensors.ts";
import { AdapterTable, checkRoom } from "../adapter-table.ts";
import type { Batch, CachedLayer, Chooser, MemoryUse, Runner, Span } from "../backend.ts";
import { causalMask } from "../causal-mask.ts";
import { checkBatch, checkStates } from "../check-batch.ts";
import { checkSizes } from "../check-sizes.ts";
import { checkTensors } from "../check-tensors.ts";
import { LogitsChooser } from "../logits-chooser.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { sequenceLength } from "../sequence-length.ts";
import { wantedSpans } from "../wanted-spans.ts";
import { ACTIVATIONS } from "./activations.ts";
import {
  addDelta,
  addEmbeddingDelta,
  type LoadedAdapter,
  loadReferenceAdapter,
  type RowGroup,
  rowGroups,
  valueBytes,
} from "./adapters.ts";
import {
  type AttentionMask,
  argmax,
  attention,
  glu,
  matmulColumn,
  type Rows,
  rmsNorm,
  rope,
  swiglu,
} from "./ops.ts";

type Product = Extract<Step, { op: "matmul" }>;

/** Tokens of a batch: it costs nothing to come back for each, so this is for what it shows. */
const AHEAD = 4;

const MOST_LARGEST = 128;

export function createReferenceRunner(
  plan: Plan,
  tensors: readonly PackedTensor[],
  weightBytes: number,
  options: RunnerOptions,
): Runner {
  checkSizes(options);
  checkTensors(plan, tensors);
  return new ReferenceRunner(plan, tensors, weightBytes, options);
}

class ReferenceRunner implements Runner {
  readonly backend = "reference";
  readonly kernel = "f64";
  readonly kv = "f32";
  readonly vocab: number;
  readonly ctx: number;
  readonly width: number;
  readonly slots: number;
  readonly layers: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  readonly memory: MemoryUse;
  readonly weights: Uint8Array;
  readonly isCutDependent: boolean;

  readonly #plan: Plan;
  readonly #observe: RunnerOptions["observe"];
  readonly #tap: RunnerOptions["tap"];
  readonly #masks: boolean;
  readonly #tensors: ReadonlyMap<string, PackedTensor>;
  readonly #buffers: Record<BufferName, Rows>;
  /** [slot][layer]: keys and values, (ctx, kvHeads * headDim) each. */
  readonly #cache: { keys: Float32Array; values: Float32Array }[][];
  /** Of each slot's sequence. */
  readonly #ropes: readonly SequenceRope[];
  readonly #adapters = new AdapterTable<LoadedAdapter>();
  readonly #adapterLimit: number;
  #logitsCount = 0;
  /** They are states. */
  #hasStates = false;
  readonly #chooser: LogitsChooser;

  constructor(
    plan: Plan,
    tensors: readonly PackedTensor[],
    weightBytes: number,
    options: RunnerOptions,
  ) {
    const { config } = plan;
    this.#plan = plan;
    this.#observe = options.observe;
    this.#tap = options.tap;
    this.#masks = options.masks ?? false;
    this.#adapterLimit = options.adapterBytes ?? Number.POSITIVE_INFINITY;
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.vocab = config.vocab_size;
    this.width = config.hidden_size;
    this.ctx = options.ctx;
    this.slots = options.slots;
    this.layers = config.num_hidden_layers;
    this.maxRows = options.maxRows;
    this.maxLogits = options.maxLogits;
    this.weights = new Uint8Array(weightBytes);
    this.isCutDependent = ropeDependsOnLength(config);
    this.#chooser = new LogitsChooser((index) => this.#logits(index), {
      ahead: this.isCutDependent ? 1 : AHEAD,
      most: Math.min(plan.outputs, MOST_LARGEST),
    });
    this.#ropes = Array.from({ length: options.slots }, () => new SequenceRope(config));

    let activations = 0;
    const buffer = (name: BufferName): Rows => {
      const rows = Math.max(options.maxRows, options.maxLogits);
      const stride = plan.buffers[name];
      activations += rows * stride * 4;
      return { data: new Float32Array(rows * stride), offset: 0, stride };
    };
    this.#buffers = {
      x: buffer("x"),
      h: buffer("h"),
      qkv: buffer("qkv"),
      att: buffer("att"),
      gateUp: buffer("gateUp"),
      ffn: buffer("ffn"),
      logits: buffer("logits"),
    };
    const width = config.num_key_value_heads * config.head_dim;
    this.#cache = Array.from({ length: options.slots }, () =>
      Array.from({ length: config.num_hidden_layers }, () => ({
        keys: new Float32Array(options.ctx * width),
        values: new Float32Array(options.ctx * width),
      })),
    );
    const kv = options.slots * config.num_hidden_layers * options.ctx * width * 2 * 4;
    const total = weightBytes + kv + activations;
    this.memory = { weights: weightBytes, kv, activations, scratch: 0, total };
  }

  forward(batch: Batch): void {
    checkBatch(batch, this, { width: this.#plan.config.hidden_size, masks: this.#masks });
    this.#adapters.check(batch.spans);
    this.#chooser.run(batch, (one) => this.#forward(one));
  }

  #forward(batch: Batch): void {
    const rows = batch.ids.length;
    for (const { slot, start } of batch.spans) if (start === 0) this.#ropes[slot].reset();
    for (const step of this.#plan.steps) {
      if (step.op === "embed" && batch.embeds) this.#buffers[step.out].data.set(batch.embeds);
      else this.#run(step, rows, batch.ids, batch.spans);
    }

    for (const name of this.#plan.gathered) {
      const { data, stride } = this.#buffers[name];
      batch.logitsRows.forEach((row, i) => {
        data.copyWithin(i * stride, row * stride, (row + 1) * stride);
      });
    }
    this.#logitsCount = batch.logitsRows.length;
    if (this.#logitsCount === 0) return;
    const wanted = wantedSpans(batch.spans, batch.logitsRows);
    this.#hasStates = batch.states ?? false;
    const head = batch.states ? stateSteps(this.#plan) : this.#plan.head;
    for (const step of head) this.#run(step, this.#logitsCount, [], wanted);
  }

  states(index: number): Float32Array {
    checkStates(index, this.#logitsCount, this.#hasStates);
    const { data, stride } = this.#buffers.h;
    return data.subarray(index * stride, (index + 1) * stride);
  }

  logits(index: number): Float32Array {
    this.#chooser.checkLogits(index);
    return this.#logits(index);
  }

  #logits(index: number): Float32Array {
    if (!(index >= 0 && index < this.#logitsCount) || this.#hasStates) {
      throw new PronkError("bad_request", `logits ${index} of ${this.#logitsCount}`);
    }
    const { data, stride } = this.#buffers.logits;
    return data.subarray(index * stride, index * stride + this.#plan.outputs);
  }

  get chooser(): Chooser {
    return this.#chooser;
  }

  argmax(index: number): number {
    return argmax(this.logits(index));
  }

  copySlot(from: number, to: number, positions: number): void {
    this.#ropes[to].become(this.#ropes[from]);
    const { num_key_value_heads: kvHeads, head_dim: headDim } = this.#plan.config;
    const end = positions * kvHeads * headDim;
    for (const [layer, { keys, values }] of this.#cache[from].entries()) {
      this.#cache[to][layer].keys.set(keys.subarray(0, end));
      this.#cache[to][layer].values.set(values.subarray(0, end));
    }
  }

  readCache(slot: number, layer: number, positions: number): CachedLayer {
    const { num_key_value_heads: kvHeads, head_dim: headDim } = this.#plan.config;
    const byHead = (rows: Float32Array): Float32Array =>
      Float32Array.from({ length: kvHeads * positions * headDim }, (_, i) => {
        const [head, rest] = [Math.floor(i / (positions * headDim)), i % (positions * headDim)];
        return rows[(Math.floor(rest / headDim) * kvHeads + head) * headDim + (rest % headDim)];
      });
    const { keys, values } = this.#cache[slot][layer];
    return { keys: byHead(keys), values: byHead(values) };
  }

  get positionBytes(): number {
    return 2 * this.#cacheWidth * 4;
  }

  saveCache(slot: number, layer: number, positions: number): Uint8Array {
    const end = positions * this.#cacheWidth;
    const { keys, values } = this.#cache[slot][layer];
    const saved = new Float32Array(2 * end);
    saved.set(keys.subarray(0, end));
    saved.set(values.subarray(0, end), end);
    return new Uint8Array(saved.buffer);
  }

  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    const end = positions * this.#cacheWidth;
    if (saved.length !== positions * this.positionBytes) {
      const expected = `${saved.length} bytes, expected ${positions * this.positionBytes}`;
      throw new PronkError("bad_format", `saved cache: ${expected}`);
    }
    const numbers = new Float32Array(new Uint8Array(saved).buffer);
    const { keys, values } = this.#cache[slot][layer];
    keys.set(numbers.subarray(0, end));
    values.set(numbers.subarray(end));
  }

  /** Numbers of a position's keys. */
  get #cacheWidth(): number {
    const { num_key_value_heads: kvHeads, head_dim: headDim } = this.#plan.config;
    return kvHeads * headDim;
  }

  async loadAdapter(adapter: LoraAdapter, signal?: AbortSignal): Promise<number> {
    const { config, headTensors } = this.#plan;
    fitAdapter(adapter, config, headTensors);
    checkRoom(adapter.name, valueBytes(adapter), this.adapterBytes, this.#adapterLimit);
    return this.#adapters.add(await loadReferenceAdapter(adapter, signal));
  }

  unloadAdapter(handle: number): void {
    this.#adapters.remove(handle);
  }

  get adapterBytes(): number {
    return [...this.#adapters.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  dispose(): void {
    this.#cache.length = 0;
    this.#adapters.clear();
  }

  #run(step: Step, rows: number, ids: ArrayLike<number>, spans: readonly Span[]): void {
    const buffers = this.#buffers;
    const { config } = this.#plan;
    const { head_dim: headDim, num_key_value_heads: kvHeads } = config;
    switch (step.op) {
      case "embed": {
        const { data, stride } = buffers[step.out];
        for (let r = 0; r < rows; r++) {
          this.#row(step.weight, ids[r], data.subarray(r * stride, (r + 1) * stride));
        }
        this.#adaptEmbedding(step, rows, ids, spans);
        return;
      }
      case "rmsNorm": {
        const { hidden_size: dim, rms_norm_eps: eps } = config;
        for (const { from, count, values } of this.#groups(spans, rows, step.weight)) {
          const weight = values ?? this.#vector(step.weight);
          rmsNorm(
            row(buffers[step.out], from),
            row(buffers[step.in], from),
            weight,
            count,
            dim,
            eps,
          );
        }
        return;
      }
      case "matmul": {
        const { data, stride } = buffers[step.in];
        this.#observe?.({ step, input: data.subarray(0, rows * stride), rows, stride });
        for (const part of step.parts) this.#product(step, part, rows, spans);
        return;
      }
      case "rope": {
        forSpans(spans, (span, from) => {
          const { inverse, attentionFactor } = this.#frequencies(span);
          const x = row(column(buffers[step.buffer], step.column), from);
          const { start, positions, count } = span;
          const positionOf = (r: number): number => positions?.[r] ?? start + r;
          rope(x, count, step.heads, headDim, positionOf, inverse, attentionFactor);
        });
        return;
      }
      case "storeKv": {
        const width = kvHeads * headDim;
        const { data, stride } = buffers[step.in];
        forSpans(spans, (span, from) => {
          const { keys, values } = this.#cache[span.slot][step.layer];
          for (let r = 0; r < span.count; r++) {
            const at = (from + r) * stride;
            const to = (span.start + r) * width;
            const { keyColumn, valueColumn } = step;
            keys.set(data.subarray(at + keyColumn, at + keyColumn + width), to);
            values.set(data.subarray(at + valueColumn, at + valueColumn + width), to);
          }
        });
        return;
      }
      case "attention": {
        const heads = config.num_attention_heads;
        forSpans(spans, (span, from) => {
          const { keys, values } = this.#cache[span.slot][step.layer];
          const mask = maskOf(span, heads);
          attention(
            row(buffers[step.out], from),
            row(column(buffers[step.in], step.queryColumn), from),
            keys,
            values,
            span.count,
            span.start,
            heads,
            kvHeads,
            headDim,
            1 / Math.sqrt(headDim),
            mask,
          );
          if (step.probabilities === undefined || !span.probabilities || !mask) return;
          const data = mask.probabilities;
          const stride = heads * mask.keys;
          this.#tap?.({ name: step.probabilities, data, rows: span.count, stride, span });
        });
        return;
      }
      case "tap": {
        const { data, stride } = buffers[step.in];
        this.#tap?.({ name: step.name, data: data.subarray(0, rows * stride), rows, stride });
        return;
      }
      case "swiglu":
        swiglu(buffers[step.out], buffers[step.in], step.upColumn, rows, step.cols);
        return;
      case "glu": {
        const activation = ACTIVATIONS[step.activation];
        glu(buffers[step.out], buffers[step.in], activation, step.upColumn, rows, step.cols);
      }
    }
  }

  #product(step: Product, part: MatmulPart, rows: number, spans: readonly Span[]): void {
    const { cols, accumulate, slices } = step;
    const weightName = adaptedWeight(step, part.weight);
    const weights = this.#groups(spans, rows, weightName);
    const biases = part.bias === undefined ? [] : this.#groups(spans, rows, part.bias);
    const bias = part.bias === undefined ? undefined : this.#vector(part.bias);
    const baseRow = new Float32Array(cols);
    for (let n = 0; n < part.rows; n++) {
      this.#row(part.weight, n, baseRow);
      for (const [i, { from, count, values }] of weights.entries()) {
        const y = row(column(this.#buffers[step.out], part.column + n), from);
        const x = row(this.#buffers[step.in], from);
        const weightRow = values ? values.subarray(n * cols, (n + 1) * cols) : baseRow;
        const b = (biases[i]?.values ?? bias)?.[n] ?? 0;
        matmulColumn(y, x, weightRow, b, count, cols, accumulate, slices);
      }
    }
    forSpans(spans, ({ adapters = [], count }, from) => {
      for (const { handle, scale } of adapters) {
        const factors = this.#adapters.get(handle).modules.get(moduleOf(weightName));
        if (!factors) continue;
        const y = row(column(this.#buffers[step.out], part.column), from);
        addDelta(y, row(this.#buffers[step.in], from), factors, scale, count);
      }
    });
  }

  #adaptEmbedding(
    step: Extract<Step, { op: "embed" }>,
    rows: number,
    ids: ArrayLike<number>,
    spans: readonly Span[],
  ): void {
    const { data, stride } = this.#buffers[step.out];
    for (const { from, count, values } of this.#groups(spans, rows, step.weight)) {
      for (let r = from; r < from + count && values; r++) {
        data.set(values.subarray(ids[r] * stride, (ids[r] + 1) * stride), r * stride);
      }
    }
    forSpans(spans, ({ adapters = [], count }, from) => {
      for (const { handle, scale } of adapters) {
        const factors = this.#adapters.get(handle).modules.get(moduleOf(step.weight));
        const y = row(this.#buffers[step.out], from);
        if (factors) addEmbeddingDelta(y, ids, from, factors, scale, count);
      }
    });
  }

  #groups(spans: readonly Span[], rows: number, tensor: string): RowGroup[] {
    return rowGroups(spans, rows, tensor, (handle) => this.#adapters.get(handle));
  }

  #frequencies(span: Span): RopeFrequencies {
    return this.#ropes[span.slot].at(sequenceLength(span));
  }

  /** Row `index` of a matrix, in f32. */
  #row(name: string, index: number, out: Float32Array): void {
    const { form, offset, bytes, shape } = this.#tensor(name);
    const matrix = this.weights.subarray(offset, offset + bytes);
    unpackRow(form as MatrixForm, matrix, shape[1], index, out);
  }

  #vector(name: string): Float32Array {
    const { offset, bytes } = this.#tensor(name);
    return new Float32Array(this.weights.slice(offset, offset + bytes).buffer);
  }

  #tensor(name: string): PackedTensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new PronkError("bad_format", `tensor ${name} is missing`);
    return tensor;
  }
}

/** The span's mask; where probabilities are to be shown, the causal one stands for none. */
function maskOf(
  { start, count, visible, probabilities }: Span,
  heads: number,
): AttentionMask | undefined {
  if (!visible && !probabilities) return undefined;
  const seen = visible ?? causalMask(start, count);
  const keys = seen.length / count;
  return { keys, visible: seen, probabilities: new Float32Array(count * heads * keys) };
}

function column(rows: Rows, at: number): Rows {
  return { ...rows, offset: rows.offset + at };
}

function row(rows: Rows, at: number): Rows {
  return { ...rows, offset: rows.offset + at * rows.stride };
}

function forSpans(spans: readonly Span[], run: (span: Span, firstRow: number) => void): void {
  let from = 0;
  for (const span of spans) {
    run(span, from);
    from += span.count;
  }
}
