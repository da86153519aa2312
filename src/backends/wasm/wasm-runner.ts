/**
 * Runs a plan with the C kernels in one WebAssembly.Memory of exactly the planned size, allocated
 * once. A call of a kernel costs 4-5 ns, so each step is a call.
 */
import { PronkError } from "../../errors.ts";
import type { Plan } from "../../model/plan.ts";
import { ropeFrequencies } from "../../model/rope.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { Batch, KvType, MemoryUse, Runner } from "../backend.ts";
import { checkBatch } from "../check-batch.ts";
import type { RunnerOptions } from "../runner-options.ts";
import type { KernelVariant } from "./activation-layout.ts";
import { instantiateKernels } from "./kernel-loader.ts";
import type { Kernels } from "./kernels.gen.ts";
import { type Call, type LoweringInput, lower, type Program } from "./lower.ts";
import { type MemoryLayout, planMemory, RESERVED_BYTES, WASM32_BYTES } from "./memory-layout.ts";

/** Of WebAssembly. */
const PAGE_BYTES = 65_536;

/** Rope tables are extended by this many positions at a time. */
const ROPE_POSITIONS = 256;

/** Panels are 16 rows: the residual stream's rows must be whole ones. */
const ROW_MULTIPLE = 16;

export interface SelectedKernel {
  readonly module: WebAssembly.Module;
  readonly variant: KernelVariant;
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
): Runner {
  if (plan.config.hidden_size % ROW_MULTIPLE !== 0) {
    throw new PronkError(
      "unsupported",
      `hidden_size ${plan.config.hidden_size}: the wasm backend needs a multiple of ${ROW_MULTIPLE}`,
    );
  }
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
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new PronkError("out_of_memory", `could not allocate ${plannedMemory()}`, { cause });
  }
  return new WasmRunner(plan, tensors, weightBytes, kernel, options, layout, memory);
}

class WasmRunner implements Runner {
  readonly backend = "wasm";
  readonly kernel: KernelVariant;
  readonly vocab: number;
  readonly ctx: number;
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  readonly kv: KvType;
  readonly memory: MemoryUse;
  readonly weights: Uint8Array;

  readonly #plan: Plan;
  readonly #layout: MemoryLayout;
  readonly #kernels: Kernels;
  readonly #steps: Program;
  readonly #head: Program;
  readonly #f32: Float32Array;
  readonly #ids: Int32Array;
  readonly #attentionFactor: number;
  /** Positions whose rope angles are in the tables. */
  #ropeEnd = 0;
  #logitsCount = 0;
  /** Why it cannot run any more. */
  #broken: string | undefined;

  constructor(
    plan: Plan,
    tensors: readonly PackedTensor[],
    weightBytes: number,
    kernel: SelectedKernel,
    options: RunnerOptions,
    layout: MemoryLayout,
    memory: WebAssembly.Memory,
  ) {
    const { config } = plan;
    this.kernel = kernel.variant;
    this.vocab = config.vocab_size;
    this.ctx = options.ctx;
    this.slots = options.slots;
    this.maxRows = options.maxRows;
    this.maxLogits = options.maxLogits;
    this.kv = options.kv;
    this.memory = layout.use;
    this.#plan = plan;
    this.#layout = layout;
    this.#kernels = instantiateKernels(kernel.module, memory, RESERVED_BYTES);
    this.weights = new Uint8Array(memory.buffer, layout.weights, weightBytes);
    this.#f32 = new Float32Array(memory.buffer);
    this.#ids = new Int32Array(memory.buffer, layout.ids, options.maxRows);

    const { inverse, attentionFactor } = ropeFrequencies(config);
    new Float64Array(memory.buffer, layout.inverseFrequencies, inverse.length).set(inverse);
    this.#attentionFactor = attentionFactor;

    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const { variant } = kernel;
    const observe = options.observe && this.#observer(options.observe);
    const kernels = this.#kernels;
    const input = { plan, tensors: byName, layout, kernels, variant, options, observe };
    this.#steps = lower(plan.steps, input);
    this.#head = lower(plan.head, input);
  }

  forward(batch: Batch): void {
    if (this.#broken) throw new PronkError("engine_failed", this.#broken);
    checkBatch(batch, this);
    const rows = batch.ids.length;
    for (let i = 0; i < rows; i++) this.#ids[i] = batch.ids[i];
    for (const { start, count } of batch.spans) this.#extendRope(start + count);
    try {
      run(rows === 1 ? this.#steps.one : this.#steps.many, rows, batch);
      this.#logitsCount = batch.logitsRows.length;
      if (this.#logitsCount === 0) return;
      this.#gatherRows(batch.logitsRows);
      run(this.#logitsCount === 1 ? this.#head.one : this.#head.many, this.#logitsCount, batch);
    } catch (cause) {
      this.#broken = `kernel trapped: ${String(cause)}`;
      throw new PronkError("engine_failed", this.#broken, { cause });
    }
  }

  logits(index: number): Float32Array {
    const at = this.#logitsAddress(index) / 4;
    return this.#f32.subarray(at, at + this.vocab);
  }

  argmax(index: number): number {
    return this.#kernels.argmax(this.#logitsAddress(index), this.vocab);
  }

  dispose(): void {
    this.#broken ??= "disposed";
  }

  #observer(observe: NonNullable<RunnerOptions["observe"]>): LoweringInput["observe"] {
    return (step, rows) => {
      const stride = this.#plan.buffers[step.in];
      const at = this.#layout.buffers[step.in] / 4;
      observe({ step, input: this.#f32.subarray(at, at + rows * stride), rows, stride });
    };
  }

  /** Moves the rows whose logits are wanted to the front of x. */
  #gatherRows(wanted: readonly number[]): void {
    const width = this.#plan.buffers.x;
    const x = this.#layout.buffers.x / 4;
    for (const [i, row] of wanted.entries()) {
      if (i !== row) this.#f32.copyWithin(x + i * width, x + row * width, x + (row + 1) * width);
    }
  }

  #logitsAddress(index: number): number {
    if (!(Number.isInteger(index) && index >= 0 && index < this.#logitsCount)) {
      throw new PronkError("bad_request", `logits ${index} of ${this.#logitsCount}`);
    }
    return this.#layout.buffers.logits + index * this.#plan.buffers.logits * 4;
  }

  #extendRope(end: number): void {
    if (end <= this.#ropeEnd) return;
    const to = Math.min(this.ctx, Math.ceil(end / ROPE_POSITIONS) * ROPE_POSITIONS);
    const { cos, sin, inverseFrequencies } = this.#layout;
    const half = this.#plan.config.head_dim / 2;
    const from = this.#ropeEnd;
    this.#kernels.rope_table(cos, sin, inverseFrequencies, half, from, to, this.#attentionFactor);
    this.#ropeEnd = to;
  }
}

function run(calls: readonly Call[], rows: number, { spans }: Batch): void {
  for (const call of calls) call(rows, spans);
}
