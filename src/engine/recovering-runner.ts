/**
 * A runner on a GPU that survives the loss of its device: drivers are updated, laptops sleep, browsers take memory back.
 * The model is then loaded again, from where it came from, before the batch that found out fails; whoever runs batches
 * reads its sequences again, as after the loss of a stage.
 */
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { Batch, CachedLayer, Chooser, MemoryUse, Runner } from "../backends/backend.ts";
import type { Gpu } from "../backends/webgpu/gpu.ts";
import { PronkError } from "../errors.ts";

/** A runner, and the device that it is on. */
export interface GpuRun {
  readonly runner: Runner;
  readonly gpu: Gpu;
}

export interface Recovery {
  /** The model on another device, its weights loaded. */
  reload(): Promise<GpuRun>;
  yieldTask(): Promise<void>;
}

/** Macrotasks in which a device that a batch failed on may still say that it is lost. */
const LOSS_TASKS = 3;

interface HeldAdapter {
  readonly adapter: LoraAdapter;
  /** Its handle in the runner at hand. */
  handle: number;
}

export class RecoveringRunner implements Runner {
  readonly weights: Uint8Array;
  #run: GpuRun;
  readonly #recovery: Recovery;
  /** By the handles that were given out. */
  readonly #adapters = new Map<number, HeldAdapter>();
  #handles = 0;
  /** Ends the batch that is being run. */
  #fail: ((error: PronkError) => void) | undefined;
  #isDisposed = false;
  #close: (() => Promise<void>) | undefined;

  /** @param weights the image, where it is in memory, too. */
  constructor(run: GpuRun, recovery: Recovery, weights: Uint8Array = run.runner.weights) {
    this.weights = weights;
    this.#run = run;
    this.#recovery = recovery;
    this.#watch(run.gpu);
  }

  get backend(): string {
    return this.#runner.backend;
  }
  get kernel(): string {
    return this.#runner.kernel;
  }
  get vocab(): number {
    return this.#runner.vocab;
  }
  get width(): number {
    return this.#runner.width;
  }
  get ctx(): number {
    return this.#runner.ctx;
  }
  get slots(): number {
    return this.#runner.slots;
  }
  get maxRows(): number {
    return this.#runner.maxRows;
  }
  get maxLogits(): number {
    return this.#runner.maxLogits;
  }
  get isCutDependent(): boolean {
    return this.#runner.isCutDependent ?? false;
  }
  get kv(): Runner["kv"] {
    return this.#runner.kv;
  }
  get layers(): number {
    return this.#runner.layers;
  }
  get positionBytes(): number {
    return this.#runner.positionBytes;
  }
  get memory(): MemoryUse {
    return this.#runner.memory;
  }
  get ready(): Promise<void> {
    return this.#runner.ready ?? Promise.resolve();
  }
  get adapterBytes(): number {
    return this.#runner.adapterBytes;
  }
  get chooser(): Chooser | undefined {
    return this.#runner.chooser;
  }

  get #runner(): Runner {
    return this.#run.runner;
  }

  async forward(batch: Batch): Promise<void> {
    const { runner, gpu } = this.#run;
    // Lost since the last batch: what the caches held is gone, too.
    if (gpu.lost !== undefined && !this.#isDisposed) await this.#recover();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        Promise.resolve(runner.forward(this.#withHandles(batch))).then(resolve, reject);
      });
    } catch (error) {
      if (error instanceof PronkError && error.code === "bad_request") throw error;
      if (this.#isDisposed || !(await this.#isLost(gpu))) throw error;
      await this.#recover();
    }
  }

  async loadAdapter(adapter: LoraAdapter, signal?: AbortSignal): Promise<number> {
    const inner = await this.#runner.loadAdapter(adapter, signal);
    const handle = this.#handles++;
    this.#adapters.set(handle, { adapter, handle: inner });
    return handle;
  }

  unloadAdapter(handle: number): void {
    const held = this.#adapters.get(handle);
    this.#runner.unloadAdapter(held?.handle ?? handle);
    this.#adapters.delete(handle);
  }

  logits(index: number): Float32Array {
    return this.#runner.logits(index);
  }
  states(index: number): Float32Array {
    return this.#runner.states(index);
  }
  argmax(index: number): number {
    return this.#runner.argmax(index);
  }
  copySlot(from: number, to: number, positions: number): void {
    this.#runner.copySlot(from, to, positions);
  }
  readCache(slot: number, layer: number, positions: number): CachedLayer | Promise<CachedLayer> {
    return this.#runner.readCache(slot, layer, positions);
  }
  saveCache(
    slot: number,
    layer: number,
    positions: number,
    into?: ArrayBuffer,
  ): Uint8Array | Promise<Uint8Array> {
    return this.#runner.saveCache(slot, layer, positions, into);
  }
  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    this.#runner.loadCache(slot, layer, positions, saved);
  }

  /** Closes what the model is loaded from when it will not be loaded again. */
  closeLater(close: () => Promise<void>): void {
    this.#close = close;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    free(this.#run);
    // Nobody waits for what is closed behind a runner.
    this.#close?.().catch(() => undefined);
  }

  /** Not every API ends what waits for a device that is gone. */
  #watch({ device }: Gpu): void {
    void device.lost.then(({ message }) => {
      if (device !== this.#run.gpu.device) return;
      this.#fail?.(new PronkError("engine_failed", `webgpu: ${message}`));
    });
  }

  async #isLost(gpu: Gpu): Promise<boolean> {
    for (let i = 0; i < LOSS_TASKS && gpu.lost === undefined; i++) await this.#recovery.yieldTask();
    return gpu.lost !== undefined;
  }

  /** @throws PronkError always: "engine_failed", which may be tried again. */
  async #recover(): Promise<never> {
    const why = `webgpu: the device was lost: ${this.#run.gpu.lost}`;
    free(this.#run);
    try {
      const fresh = await this.#recovery.reload();
      if (this.#isDisposed) free(fresh);
      this.#run = fresh;
      this.#watch(fresh.gpu);
      for (const held of this.#adapters.values()) {
        held.handle = await fresh.runner.loadAdapter(held.adapter);
      }
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw loss(`${why}; loading the model again failed: ${what}`, cause);
    }
    throw loss(`${why}; the model was loaded again`);
  }

  #withHandles(batch: Batch): Batch {
    if (this.#adapters.size === 0) return batch;
    const spans = batch.spans.map((span) =>
      span.adapters === undefined
        ? span
        : {
            ...span,
            adapters: span.adapters.map(({ handle, scale }) => ({
              handle: this.#adapters.get(handle)?.handle ?? handle,
              scale,
            })),
          },
    );
    return { ...batch, spans };
  }
}

function free({ runner, gpu }: GpuRun): void {
  runner.dispose();
  gpu.device.destroy();
}

function loss(message: string, cause?: unknown): PronkError {
  return new PronkError("engine_failed", message, { cause, retryAfterMs: 0 });
}
