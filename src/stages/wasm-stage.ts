/**
 * One stage in one WebAssembly.Memory of exactly the planned size: the kernels' runner of a whole model, taken apart
 * where stages are joined. The same calls in the same order, so the same bits.
 */
import type { Span } from "../backends/backend.ts";
import { checkBatch } from "../backends/check-batch.ts";
import type { RunnerOptions } from "../backends/runner-options.ts";
import { wantedSpans } from "../backends/wanted-spans.ts";
import type { KernelVariant } from "../backends/wasm/activation-layout.ts";
import {
  cachedRanges,
  loadCachedLayer,
  readCachedLayer,
  saveCachedLayer,
  savedLayerBytes,
} from "../backends/wasm/cached-layer.ts";
import { instantiateKernels } from "../backends/wasm/kernel-loader.ts";
import type { Kernels } from "../backends/wasm/kernels.gen.ts";
import { type LoweringInput, lower, type Program } from "../backends/wasm/lower.ts";
import {
  type CacheRegion,
  type MemoryLayout,
  planMemory,
  RESERVED_BYTES,
  WASM32_BYTES,
} from "../backends/wasm/memory-layout.ts";
import type { MemoryPool } from "../backends/wasm/memory-pool.ts";
import { RopeTables } from "../backends/wasm/rope-tables.ts";
import { WHOLE } from "../backends/wasm/threads/part.ts";
import { runPart } from "../backends/wasm/threads/thread-program.ts";
import { requireWholePanels, type SelectedKernel } from "../backends/wasm/wasm-runner.ts";
import { PronkError } from "../errors.ts";
import type { BufferName, Plan } from "../model/plan.ts";
import {
  NO_ID,
  type Stage,
  type StageCache,
  type StageInfo,
  type StageReply,
  type StageRequest,
} from "./stage.ts";
import { type PartPlan, planPart, type StagePart, sizeOf } from "./stage-part.ts";
import { planStage, type StageModel, type StageOptions, stageOptions } from "./stage-plan.ts";

/** Of WebAssembly. */
const PAGE_BYTES = 65_536;

const FLOAT_BYTES = 4;

/** The last layer's buffers whose wanted rows are moved to the front. */
const GATHERED: readonly BufferName[] = ["x", "qkv"];

interface Programs {
  readonly embed: Program;
  readonly layers: Program;
  readonly tail: Program;
  readonly head: Program;
}

export class WasmStage implements Stage {
  readonly info: StageInfo;
  /** Where the stage's slice of the image belongs, which starts at `imageStart` of the model's. */
  readonly weights: Uint8Array;
  readonly imageStart: number;
  readonly isCutDependent: boolean;

  readonly #plan: Plan;
  readonly #isLast: boolean;
  readonly #layout: MemoryLayout;
  readonly #options: RunnerOptions;
  readonly #kernels: Kernels;
  readonly #programs: Programs;
  readonly #rope: RopeTables;
  readonly #f32: Float32Array;
  readonly #ids: Int32Array;
  #broken: string | undefined;
  #release: (() => void) | undefined;

  /**
   * Allocates the stage's memory, or takes it of `memories`; the caller fills `weights`.
   *
   * @throws PronkError "out_of_memory" with the plan's numbers; "bad_request" for a part that the model has not.
   */
  constructor(
    model: StageModel,
    part: StagePart,
    sizes: StageOptions,
    kernel: SelectedKernel,
    memories?: MemoryPool,
  ) {
    requireWholePanels(model.plan);
    const own: PartPlan = planPart(model.plan, part);
    const { image, memory: use } = planStage(model, part, sizes);
    const options = stageOptions(part, sizes);
    const weightBytes = image.end - image.start;
    const layout = planMemory(own.plan, image.tensors, weightBytes, options);
    const memory = allocate(use.total, memories);
    this.#release = () => memories?.giveBack(memory);
    const kernels = instantiateKernels(kernel.module, memory, RESERVED_BYTES);
    const tensors = new Map(image.tensors.map((tensor) => [tensor.name, tensor]));
    const variant: KernelVariant = kernel.variant;
    const input: LoweringInput = {
      plan: own.plan,
      tensors,
      layout,
      kernels,
      variant,
      options,
      memory,
    };
    this.info = {
      part,
      sizes,
      width: model.plan.config.hidden_size,
      vocab: model.plan.config.vocab_size,
      kernel: variant,
      memory: use,
    };
    this.weights = new Uint8Array(memory.buffer, layout.weights, weightBytes);
    this.imageStart = image.start;
    this.#plan = own.plan;
    this.#isLast = own.tail.length > 0;
    this.#layout = layout;
    this.#options = options;
    this.#kernels = kernels;
    this.#programs = {
      embed: lower(own.embed, input),
      layers: lower(own.layers, input),
      tail: lower(own.tail, input),
      head: lower(own.head, input),
    };
    this.#rope = new RopeTables(own.plan.config, layout, kernels, memory, options);
    this.isCutDependent = this.#rope.isCutDependent;
    this.#f32 = new Float32Array(memory.buffer);
    this.#ids = new Int32Array(memory.buffer, layout.ids, options.maxRows);
  }

  run(request: StageRequest): StageReply {
    this.#requireWhole();
    this.#check(request);
    try {
      return this.#run(request);
    } catch (cause) {
      const why = `stage: kernel trapped: ${String(cause)}`;
      this.#break(why);
      throw new PronkError("engine_failed", why, { cause });
    }
  }

  get failure(): string | undefined {
    return this.#broken;
  }

  #requireWhole(): void {
    if (this.#broken) throw new PronkError("engine_failed", this.#broken);
  }

  /** From now on its memory is another's. */
  #break(why: string): void {
    this.#broken ??= why;
    this.#release?.();
    this.#release = undefined;
  }

  #run({ rows, ids, x, spans, wanted, states, head }: StageRequest): StageReply {
    const reply: { -readonly [Key in keyof StageReply]: StageReply[Key] } = {};
    if (ids) this.#embed(rows, ids, x);
    else if (x) this.#view("x", rows).set(x);
    if (spans && sizeOf(this.info.part.layers) > 0) {
      this.#rope.prepare(spans);
      runPart(this.#programs.layers, rows, spans, WHOLE);
    }
    const isTail = spans !== undefined && this.#isLast;
    if (isTail && wanted.length > 0) {
      this.#gatherRows(wanted);
      runPart(this.#programs.tail, wanted.length, wantedSpans(spans, wanted), WHOLE);
      reply.states = this.#view("h", wanted.length);
    }
    if ((ids || spans) && !isTail) reply.x = this.#view("x", rows);
    if (states) this.#view("h", wanted.length).set(states);
    if (head !== "none" && wanted.length > 0) {
      runPart(this.#programs.head, wanted.length, [], WHOLE);
      if (head === "logits") reply.logits = this.#logits(wanted.length);
      else reply.best = this.#best(wanted.length);
    }
    return reply;
  }

  /** Rows of other ids come from `x`. */
  #embed(rows: number, ids: Int32Array, x: Float32Array | undefined): void {
    const { from } = this.info.part.embedding;
    for (let row = 0; row < rows; row++) {
      // Of a row that comes as numbers any embedding: it is written over.
      this.#ids[row] = ids[row] === NO_ID ? 0 : ids[row] - from;
    }
    runPart(this.#programs.embed, rows, [], WHOLE);
    if (!x) return;
    const { width } = this.info;
    const own = this.#view("x", rows);
    for (let row = 0; row < rows; row++) {
      if (ids[row] !== NO_ID) continue;
      own.set(x.subarray(row * width, (row + 1) * width), row * width);
    }
  }

  #gatherRows(wanted: readonly number[]): void {
    for (const name of GATHERED) {
      const width = this.#plan.buffers[name];
      const at = this.#layout.buffers[name] / FLOAT_BYTES;
      for (const [i, row] of wanted.entries()) {
        if (i === row) continue;
        this.#f32.copyWithin(at + i * width, at + row * width, at + (row + 1) * width);
      }
    }
  }

  #logits(count: number): Float32Array {
    const stride = this.#plan.buffers.logits;
    const rows = this.#plan.outputs;
    const all = this.#view("logits", count);
    if (stride === rows) return all;
    const logits = new Float32Array(count * rows);
    for (let i = 0; i < count; i++) {
      logits.set(all.subarray(i * stride, i * stride + rows), i * rows);
    }
    return logits;
  }

  #best(count: number): NonNullable<StageReply["best"]> {
    const stride = this.#plan.buffers.logits;
    const all = this.#view("logits", count);
    const ids = new Int32Array(count);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const at = this.#layout.buffers.logits + i * stride * FLOAT_BYTES;
      const id = this.#kernels.argmax(at, this.#plan.outputs);
      ids[i] = id + this.info.part.head.from;
      values[i] = all[i * stride + id];
    }
    return { ids, values };
  }

  #view(name: BufferName, rows: number): Float32Array {
    const at = this.#layout.buffers[name] / FLOAT_BYTES;
    return this.#f32.subarray(at, at + rows * this.#plan.buffers[name]);
  }

  copySlot(from: number, to: number, positions: number): void {
    this.#requireWhole();
    this.#rope.copySlot(from, to);
    const { cache } = this.#layout;
    const bytes = new Uint8Array(this.#f32.buffer);
    const ranges = cachedRanges(this.#plan.config, this.#options, positions);
    for (const [layer, region] of cache[from].entries()) {
      for (const { part, offset, length } of ranges) {
        const at = region[part] + offset;
        bytes.copyWithin(cache[to][layer][part] + offset, at, at + length);
      }
    }
  }

  readonly cache: StageCache = {
    read: (slot, layer, positions) =>
      readCachedLayer(
        this.#f32.buffer,
        this.#region(slot, layer),
        this.#plan.config,
        this.#options,
        positions,
      ),
    positionBytes: () => savedLayerBytes(this.#plan.config, this.#options, 1),
    save: (slot, layer, positions) =>
      saveCachedLayer(
        this.#f32.buffer,
        this.#region(slot, layer),
        this.#plan.config,
        this.#options,
        positions,
      ),
    load: (slot, layer, positions, saved) =>
      loadCachedLayer(
        this.#f32.buffer,
        this.#region(slot, layer),
        this.#plan.config,
        this.#options,
        positions,
        saved,
      ),
  };

  #region(slot: number, layer: number): CacheRegion {
    this.#requireWhole();
    return this.#layout.cache[slot][layer - this.info.part.layers.from];
  }

  dispose(): void {
    this.#break("disposed");
  }

  /** No kernel is reached with sizes that do not fit. */
  #check(request: StageRequest): void {
    const { rows, ids, x, spans, wanted, states, head } = request;
    const { part, width } = this.info;
    const { embedding, layers } = part;
    const bad = (why: string): PronkError => new PronkError("bad_request", `stage: ${why}`);
    const cover = spans ?? [{ slot: 0, start: 0, count: rows } satisfies Span];
    const zeros = new Uint8Array(Math.min(Math.max(0, rows), this.#options.maxRows + 1));
    const limits = { ...this.#options, vocab: 1, ctx: spans ? this.#options.ctx : rows };
    if (spans?.some(({ adapters }) => adapters && adapters.length > 0)) {
      throw new PronkError("unsupported", "stages: adapters");
    }
    checkBatch({ ids: zeros, spans: cover, logitsRows: wanted, states: head === "none" }, limits, {
      width,
      masks: false,
    });
    if (ids) {
      if (ids.length !== rows) throw bad(`${ids.length} ids of ${rows} rows`);
      for (const id of ids) {
        const isGiven = id === NO_ID && x !== undefined;
        if (!isGiven && !(id >= embedding.from && id < embedding.to)) {
          throw bad(`id ${id}, it has ${embedding.from} to ${embedding.to}`);
        }
      }
    }
    if (x && x.length !== rows * width) throw bad(`${x.length} numbers, not ${rows} x ${width}`);
    if (spans && !ids && !x) throw bad("rows without numbers");
    if (spans && sizeOf(layers) === 0) throw bad("it has no layers");
    if (states && states.length !== wanted.length * width) {
      throw bad(`${states.length} numbers of states, not ${wanted.length} x ${width}`);
    }
    if (head !== "none" && this.#plan.outputs === 0) throw bad("it has no head");
    if (head !== "none" && !states && !(spans && this.#isLast)) throw bad("no states for the head");
  }
}

function allocate(bytes: number, memories: MemoryPool | undefined): WebAssembly.Memory {
  if (bytes > WASM32_BYTES) {
    throw new PronkError("out_of_memory", `stage: ${bytes} bytes is over the 4 GiB of wasm32`);
  }
  const pages = Math.ceil(bytes / PAGE_BYTES);
  try {
    return memories?.take(pages) ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new PronkError("out_of_memory", `stage: could not allocate ${bytes} bytes`, { cause });
  }
}
