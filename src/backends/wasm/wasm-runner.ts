/**
 * Runs a plan with the C kernels in one WebAssembly.Memory of exactly the planned size, allocated
 * once. A call of a kernel costs 4-5 ns, so each step is a call.
 */
import { fitAdapter } from "../../adapters/fit-adapter.ts";
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import { type Plan, type Step, stateSteps } from "../../model/plan.ts";
import { PANEL_ROWS } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { AdapterTable } from "../adapter-table.ts";
import type { Batch, CachedLayer, KvType, MemoryUse, Runner, Span, ThreadUse } from "../backend.ts";
import { checkBatch, checkStates } from "../check-batch.ts";
import { checkSizes } from "../check-sizes.ts";
import { checkTensors } from "../check-tensors.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { wantedSpans } from "../wanted-spans.ts";
import type { KernelVariant } from "./activation-layout.ts";
import type { AdaptedBase, WasmAdapter } from "./adapters/wasm-adapter.ts";
import {
  cachedRanges,
  loadCachedLayer,
  readCachedLayer,
  saveCachedLayer,
  savedLayerBytes,
} from "./cached-layer.ts";
import { instantiateKernels } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import { type LoweringInput, lower, type Program } from "./lower.ts";
import { type MemoryLayout, planMemory, RESERVED_BYTES, WASM32_BYTES } from "./memory-layout.ts";
import type { MemoryPool } from "./memory-pool.ts";
import { RopeTables } from "./rope-tables.ts";
import { WHOLE } from "./threads/part.ts";
import type { ThreadHost } from "./threads/thread-host.ts";
import { type ThreadOptions, ThreadPool } from "./threads/thread-pool.ts";
import { runPart, type ThreadProgram } from "./threads/thread-program.ts";

/** Of WebAssembly. */
const PAGE_BYTES = 65_536;

export interface SelectedKernel {
  readonly module: WebAssembly.Module;
  readonly variant: KernelVariant;
}

/** What threads beside the caller's need; `options.threads` says how many there are in all. */
export interface RunnerThreads extends ThreadOptions {
  readonly host: ThreadHost;
  /** The kernels' module, made for shared memory by `shareModule`. */
  readonly module: WebAssembly.Module;
}

/**
 * Allocates the memory of a model; the caller fills `weights` before the first `forward`.
 *
 * @throws PronkError "out_of_memory" with the plan's numbers when it is over wasm32's 4 GiB or the
 *   engine refuses it; "unsupported" when hidden_size is not a multiple of 16.
 */
export function createWasmRunner(
  plan: Plan,
  tensors: readonly PackedTensor[],
  weightBytes: number,
  kernel: SelectedKernel,
  options: RunnerOptions,
  threads?: RunnerThreads,
  memories?: MemoryPool,
): Runner {
  requireWholePanels(plan);
  checkSizes(options);
  checkTensors(plan, tensors);
  const watched = options.observe ?? options.tap ?? options.masks;
  const several = (options.threads ?? 1) > 1 && !watched;
  if (options.masks && options.kv !== "f32") {
    throw new PronkError(
      "unsupported",
      `a cache of ${options.kv}: masks and shown attention need one of f32`,
    );
  }
  const shared = threads !== undefined && several;
  const layout = planMemory(plan, tensors, weightBytes, options);
  const plannedMemory = (): string => {
    const { weights, kv, activations, scratch, total } = layout.use;
    return `${total} bytes (weights ${weights}, KV cache ${kv}, activations ${activations}, scratch ${scratch})`;
  };
  if (layout.use.total > WASM32_BYTES) {
    throw new PronkError("out_of_memory", `${plannedMemory()} is over the 4 GiB of wasm32`);
  }
  const pages = Math.ceil(layout.use.total / PAGE_BYTES);
  let memory: WebAssembly.Memory;
  try {
    memory =
      memories && !shared
        ? memories.take(pages)
        : new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw new PronkError("out_of_memory", `could not allocate ${plannedMemory()}`, { cause });
  }
  const used = shared ? { ...kernel, module: threads.module } : kernel;
  const release = (): void => memories?.giveBack(memory);
  const sizes = { options, layout, memory, ...(memories && !shared && { release }) };
  const runner = new WasmRunner(plan, tensors, weightBytes, used, sizes, kernel.module);
  if (shared) runner.startThreads(threads, memory);
  return runner;
}

/** @throws PronkError "unsupported" where products would write beyond rows of the residual stream. */
export function requireWholePanels({ config }: Plan): void {
  if (config.hidden_size % PANEL_ROWS === 0) return;
  throw new PronkError(
    "unsupported",
    `hidden_size ${config.hidden_size}: the wasm backend needs a multiple of ${PANEL_ROWS}`,
  );
}

interface ActiveAdapter {
  readonly adapter: WasmAdapter;
  readonly scale: number;
  /** Rows [first, first + count) of the batch. */
  readonly first: number;
  readonly count: number;
}

interface RunnerSizes {
  readonly options: RunnerOptions;
  readonly layout: MemoryLayout;
  readonly memory: WebAssembly.Memory;
  /** Called once, when nothing reads or writes the memory any more. */
  readonly release?: () => void;
}

class WasmRunner implements Runner {
  readonly backend = "wasm";
  readonly kernel: KernelVariant;
  readonly vocab: number;
  readonly width: number;
  readonly ctx: number;
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  readonly kv: KvType;
  readonly layers: number;
  readonly memory: MemoryUse;
  readonly weights: Uint8Array;
  readonly isCutDependent: boolean;

  readonly #plan: Plan;
  readonly #layout: MemoryLayout;
  readonly #kernels: Kernels;
  readonly #input: LoweringInput;
  readonly #base: ThreadProgram;
  readonly #adapters = new AdapterTable<WasmAdapter>();
  /** Of the rows that are run: what changes them. */
  #active: readonly ActiveAdapter[] = [];
  #adapted: ThreadProgram | undefined;
  /** What ends with states, of the model alone and with adapters; made when first needed. */
  readonly #stateHeads: { base?: Program; adapted?: Program } = {};
  readonly #module: WebAssembly.Module;
  readonly #f32: Float32Array;
  readonly #ids: Int32Array;
  readonly #given: { embeds?: Float32Array | undefined } = {};
  readonly #rope: RopeTables;
  #threads: ThreadPool | undefined;
  #logitsCount = 0;
  /** They are states. */
  #hasStates = false;
  /** Why it cannot run any more. */
  #broken: string | undefined;
  #release: (() => void) | undefined;

  constructor(
    plan: Plan,
    tensors: readonly PackedTensor[],
    weightBytes: number,
    kernel: SelectedKernel,
    { options, layout, memory, release }: RunnerSizes,
    adapterModule: WebAssembly.Module,
  ) {
    const { config } = plan;
    this.#release = release;
    this.kernel = kernel.variant;
    this.vocab = config.vocab_size;
    this.width = config.hidden_size;
    this.ctx = options.ctx;
    this.slots = options.slots;
    this.maxRows = options.maxRows;
    this.maxLogits = options.maxLogits;
    this.kv = options.kv;
    this.layers = config.num_hidden_layers;
    this.memory = layout.use;
    this.#plan = plan;
    this.#layout = layout;
    this.#kernels = instantiateKernels(kernel.module, memory, RESERVED_BYTES);
    this.weights = new Uint8Array(memory.buffer, layout.weights, weightBytes);
    this.#f32 = new Float32Array(memory.buffer);
    this.#ids = new Int32Array(memory.buffer, layout.ids, options.maxRows);

    this.#rope = new RopeTables(config, layout, this.#kernels, memory, options);
    this.isCutDependent = this.#rope.isCutDependent;

    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const { variant } = kernel;
    const observe = options.observe && this.#observer(options.observe);
    const kernels = this.#kernels;
    const { tap } = options;
    const given = this.#given;
    const sizes = { plan, tensors: byName, layout, kernels, variant, options };
    const input = { ...sizes, observe, tap, memory, given };
    this.#input = input;
    this.#base = { steps: lower(plan.steps, input), head: lower(plan.head, input) };
    this.#module = adapterModule;
  }

  forward(batch: Batch): void {
    this.#requireWhole();
    const { options } = this.#input;
    const width = this.#plan.config.hidden_size;
    checkBatch(batch, this, { width, masks: options.masks ?? false });
    const isAdapted = this.#adapters.check(batch.spans);
    const rows = batch.ids.length;
    for (let i = 0; i < rows; i++) this.#ids[i] = batch.ids[i];
    this.#rope.prepare(batch.spans);
    this.#given.embeds = batch.embeds;
    try {
      if (isAdapted) this.#run(rows, batch, this.#adaptedPrograms());
      else if (this.#threads && !batch.embeds && !batch.states)
        this.#runThreads(this.#threads, rows, batch);
      else this.#run(rows, batch, this.#base);
    } catch (cause) {
      this.#broken =
        cause instanceof PronkError ? cause.message : `kernel trapped: ${String(cause)}`;
      throw new PronkError("engine_failed", this.#broken, { cause });
    }
  }

  /** Of the memory's threads, the others; until they listen all runs on this one. */
  startThreads({ host, ...options }: RunnerThreads, memory: WebAssembly.Memory): void {
    const { plan, layout, variant, options: sizes } = this.#input;
    const tensors = [...this.#input.tensors.values()];
    const { module } = options;
    const start = { module, memory, variant, plan, tensors, layout, options: sizes };
    this.#threads = new ThreadPool(host, this.#input, start, options);
  }

  get threads(): ThreadUse | undefined {
    return this.#threads?.use;
  }

  get ready(): Promise<void> | undefined {
    return this.#threads?.ready;
  }

  #run(rows: number, { spans, logitsRows, states }: Batch, program: ThreadProgram): void {
    const { steps } = program;
    const isAdapted = program === this.#adapted;
    const head = states ? this.#stateHead(isAdapted) : program.head;
    if (isAdapted) this.#activate(spans);
    runPart(steps, rows, spans, WHOLE);
    this.#logitsCount = logitsRows.length;
    this.#hasStates = states ?? false;
    if (this.#logitsCount === 0) return;
    this.#gatherRows(logitsRows);
    const wanted = wantedSpans(spans, logitsRows);
    if (isAdapted) this.#activate(wanted);
    runPart(head, this.#logitsCount, wanted, WHOLE);
  }

  #runThreads(threads: ThreadPool, rows: number, batch: Batch): void {
    const count = threads.next(rows);
    threads.timed(rows, count, () => {
      if (count === 1) {
        this.#run(rows, batch, this.#base);
        return;
      }
      const { spans, logitsRows } = batch;
      const wanted = wantedSpans(spans, logitsRows);
      threads.run(count, rows, spans, wanted, () => this.#gatherRows(logitsRows));
      this.#logitsCount = logitsRows.length;
      this.#hasStates = false;
    });
  }

  logits(index: number): Float32Array {
    const at = this.#logitsAddress(index) / 4;
    return this.#f32.subarray(at, at + this.#plan.outputs);
  }

  states(index: number): Float32Array {
    checkStates(index, this.#logitsCount, this.#hasStates);
    const at = this.#layout.buffers.h / 4 + index * this.width;
    return this.#f32.subarray(at, at + this.width);
  }

  argmax(index: number): number {
    return this.#kernels.argmax(this.#logitsAddress(index), this.#plan.outputs);
  }

  copySlot(from: number, to: number, positions: number): void {
    this.#requireWhole();
    this.#rope.copySlot(from, to);
    const { cache } = this.#layout;
    const { plan, options } = this.#input;
    const bytes = new Uint8Array(this.#f32.buffer);
    const ranges = cachedRanges(plan.config, options, positions);
    for (const [layer, region] of cache[from].entries()) {
      for (const { part, offset, length } of ranges) {
        const at = region[part] + offset;
        bytes.copyWithin(cache[to][layer][part] + offset, at, at + length);
      }
    }
  }

  readCache(slot: number, layer: number, positions: number): CachedLayer {
    this.#requireWhole();
    const { plan, options } = this.#input;
    return readCachedLayer(
      this.#f32.buffer,
      this.#layout.cache[slot][layer],
      plan.config,
      options,
      positions,
    );
  }

  get positionBytes(): number {
    return savedLayerBytes(this.#input.plan.config, this.#input.options, 1);
  }

  saveCache(slot: number, layer: number, positions: number, into?: ArrayBuffer): Uint8Array {
    this.#requireWhole();
    const { plan, options } = this.#input;
    const region = this.#layout.cache[slot][layer];
    return saveCachedLayer(this.#f32.buffer, region, plan.config, options, positions, into);
  }

  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    this.#requireWhole();
    const { plan, options } = this.#input;
    const region = this.#layout.cache[slot][layer];
    loadCachedLayer(this.#f32.buffer, region, plan.config, options, positions, saved);
  }

  async loadAdapter(adapter: LoraAdapter, signal?: AbortSignal): Promise<number> {
    const { config, headTensors } = this.#plan;
    const { options } = this.#input;
    fitAdapter(adapter, config, headTensors);
    const limit = options.adapterBytes ?? Number.POSITIVE_INFINITY;
    const room = { held: this.adapterBytes, limit };
    // Loaded only here: most models run alone.
    const { WasmAdapter } = await import("./adapters/wasm-adapter.ts");
    const loaded = await WasmAdapter.load(adapter, this.#adaptedBase(), room, signal);
    this.#requireWhole();
    return this.#adapters.add(loaded);
  }

  unloadAdapter(handle: number): void {
    this.#adapters.remove(handle);
  }

  get adapterBytes(): number {
    return [...this.#adapters.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  dispose(): void {
    this.#broken ??= "disposed";
    this.#threads?.dispose();
    this.#adapters.clear();
    this.#release?.();
    this.#release = undefined;
  }

  /** After a trap nothing that its memory holds can be trusted, and once disposed it is another's. */
  #requireWhole(): void {
    if (this.#broken) throw new PronkError("engine_failed", this.#broken);
  }

  #adaptedBase(): AdaptedBase {
    const { layout, tensors } = this.#input;
    const vector = (name: string): Float32Array => {
      const { offset, bytes } = tensors.get(name)!;
      const at = (layout.weights + offset) / 4;
      return this.#f32.subarray(at, at + bytes / 4);
    };
    const { plan } = this.#input;
    return { plan, f32: this.#f32, buffers: layout.buffers, vector, module: this.#module };
  }

  /** The plan with inputs in f32 and calls of the adapters behind its steps; made when first needed. */
  #adaptedPrograms(): ThreadProgram {
    const input = { ...this.#input, adapt: this.#adapt };
    const { steps, head } = this.#plan;
    this.#adapted ??= { steps: lower(steps, input), head: lower(head, input) };
    return this.#adapted;
  }

  #stateHead(isAdapted: boolean): Program {
    const input = isAdapted ? { ...this.#input, adapt: this.#adapt } : this.#input;
    const kind = isAdapted ? "adapted" : "base";
    return (this.#stateHeads[kind] ??= lower(stateSteps(this.#plan), input));
  }

  readonly #adapt = (step: Step): void => {
    if (step.op === "embed" && this.#given.embeds) return;
    for (const { adapter, first, count } of this.#active) {
      adapter.replace(step, first, count, this.#ids);
    }
    for (const { adapter, first, count, scale } of this.#active) {
      adapter.add(step, first, count, scale, this.#ids);
    }
  };

  #activate(spans: readonly Span[]): void {
    let first = 0;
    this.#active = spans.flatMap(({ count, adapters = [] }) => {
      const from = first;
      first += count;
      return adapters.map(({ handle, scale }) => {
        return { adapter: this.#adapters.get(handle), scale, first: from, count };
      });
    });
  }

  #observer(observe: NonNullable<RunnerOptions["observe"]>): LoweringInput["observe"] {
    return (step, rows) => {
      const stride = this.#plan.buffers[step.in];
      const at = this.#layout.buffers[step.in] / 4;
      observe({ step, input: this.#f32.subarray(at, at + rows * stride), rows, stride });
    };
  }

  /** Moves the rows whose logits are wanted to the front of what the head reads. */
  #gatherRows(wanted: readonly number[]): void {
    const { gathered, buffers } = this.#plan;
    for (const name of gathered) {
      const width = buffers[name];
      const at = this.#layout.buffers[name] / 4;
      for (const [i, row] of wanted.entries()) {
        if (i === row) continue;
        this.#f32.copyWithin(at + i * width, at + row * width, at + (row + 1) * width);
      }
    }
  }

  #logitsAddress(index: number): number {
    const isThere = Number.isInteger(index) && index >= 0 && index < this.#logitsCount;
    if (!isThere || this.#hasStates) {
      throw new PronkError("bad_request", `logits ${index} of ${this.#logitsCount}`);
    }
    return this.#layout.buffers.logits + index * this.#plan.buffers.logits * 4;
  }
}
