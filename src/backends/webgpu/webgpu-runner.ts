/**
 * Runs a plan on a GPU: weights, cache and activations stay there; what a batch asks for is read back. Values are f32
 * over packed weights.
 */
import { fitAdapter } from "../../adapters/fit-adapter.ts";
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import type { BufferName, Plan } from "../../model/plan.ts";
import type { ImageSink } from "../../pack/image-pieces.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { AdapterTable } from "../adapter-table.ts";
import type { Batch, CachedLayer, Chooser, MemoryUse, Runner, Span } from "../backend.ts";
import { checkBatch, checkStates } from "../check-batch.ts";
import { checkSizes } from "../check-sizes.ts";
import { checkTensors } from "../check-tensors.ts";
import { argmax } from "../reference/ops.ts";
import type { RunnerOptions } from "../runner-options.ts";
import { wantedSpans } from "../wanted-spans.ts";
import { AdaptedBatch } from "./adapters/adapted-batch.ts";
import { type AdaptedModel, WebgpuAdapter } from "./adapters/webgpu-adapter.ts";
import { alignTo } from "./align.ts";
import { allocate } from "./allocate.ts";
import { Buffers } from "./buffers.ts";
import { byName } from "./by-name.ts";
import { Decoder, decodedRows } from "./decoder.ts";
import type { Gpu } from "./gpu.ts";
import { KvBuffers } from "./kv-buffers.ts";
import { dispatchFor, type LoweredStep } from "./lower-steps.ts";
import { LoweredPlan } from "./lowered-plan.ts";
import { isMasked, Masks } from "./mask-buffers.ts";
import { PipelineCache } from "./pipelines.ts";
import { checkNumbers, type ProductNumbers, quantizedRows } from "./product-tiles.ts";
import { Readback } from "./readback.ts";
import { Recorder } from "./recorder.ts";
import { RopeAngles } from "./rope-angles.ts";
import { RowAnswers } from "./row-answers.ts";
import { attentionTiles, roomForRows, writeRows } from "./row-tiles.ts";
import { batchBehind, RunAhead } from "./run-ahead.ts";
import { Shown } from "./shown.ts";
import { multiplicationsOf, SubmitPacer } from "./submit-pacer.ts";
import { WeightBuffers } from "./weight-buffers.ts";

/** (token, slot, position, row of the angles) */
const ROW_WORDS = 4;

export interface WebgpuOptions extends RunnerOptions {
  /** Tokens of a batch at most; default: as many as a GPU as fast as this one gives in a short time. */
  readonly ahead?: number;
  /** What products of prompts are multiplied as. Default f32: exact but for rounding. */
  readonly numbers?: ProductNumbers;
  /** Sums of decoding go through subgroups, where the GPU's have one size. Default false. */
  readonly subgroups?: boolean;
}

export interface WebgpuRunner extends Runner {
  readonly backend: "webgpu";
  /** Where the loader puts the pack's image, before the first `forward`. */
  readonly image: ImageSink;
}

/**
 * Allocates a model's buffers and starts to compile its shaders.
 *
 * @throws PronkError "out_of_memory" when a buffer would be over the adapter's limits or is refused; "unsupported" for what
 *   this backend does not run.
 */
export async function createWebgpuRunner(
  plan: Plan,
  tensors: readonly PackedTensor[],
  weightBytes: number,
  gpu: Gpu,
  options: WebgpuOptions,
): Promise<WebgpuRunner> {
  checkSizes(options);
  checkTensors(plan, tensors);
  const make = (): GpuRunner => new GpuRunner(plan, tensors, weightBytes, gpu, options);
  return allocate(gpu.device, `webgpu: ${gpu.name}`, make);
}

class GpuRunner implements WebgpuRunner {
  readonly backend = "webgpu";
  readonly kernel: string;
  readonly vocab: number;
  readonly width: number;
  readonly ctx: number;
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  readonly kv: "f32" | "f16";
  readonly layers: number;
  readonly memory: MemoryUse;
  readonly weights: Uint8Array = new Uint8Array(0);
  readonly isCutDependent: boolean;
  readonly image: WeightBuffers;

  readonly #plan: Plan;
  readonly #gpu: Gpu;
  readonly #options: WebgpuOptions;
  readonly #buffers: Buffers;
  readonly #readback: Readback;
  readonly #pacer: SubmitPacer;
  readonly #pipelines: PipelineCache;
  readonly #rope: RopeAngles;
  readonly #cache: KvBuffers;
  readonly #activations: Record<BufferName, GPUBuffer>;
  readonly #strides: Record<BufferName, number>;
  /** Of the batch, and of those whose logits are wanted. */
  readonly #rows: GPUBuffer;
  readonly #wanted: GPUBuffer;
  readonly #gathered: GPUBuffer;
  readonly #lower: (masks?: Masks) => LoweredPlan;
  readonly #plain: LoweredPlan;
  readonly #masks: Masks | undefined;
  readonly #shown: Shown;
  /** Of batches with masks. */
  #masked: LoweredPlan | undefined;
  readonly #model: AdaptedModel;
  readonly #adapters = new AdapterTable<WebgpuAdapter>();
  /** Unloaded while a batch ran: their buffers may be in what it has yet to submit. */
  readonly #unloaded: WebgpuAdapter[] = [];
  #running = 0;
  readonly #answers: RowAnswers;
  /** Absent for a plan that it does not take. */
  readonly #decoder: Decoder | undefined;
  readonly #runAhead = new RunAhead();
  #states = new Float32Array(0);
  #count = 0;
  #hasStates = false;
  #broken: string | undefined;

  constructor(
    plan: Plan,
    tensors: readonly PackedTensor[],
    weightBytes: number,
    gpu: Gpu,
    options: WebgpuOptions,
  ) {
    const { config } = plan;
    const { ctx, slots, maxRows, maxLogits } = options;
    const most = Math.max(maxRows, maxLogits);
    const numbers = checkNumbers(options.numbers, gpu);
    const subgroupSize = options.subgroups ? gpu.subgroupSize : undefined;
    this.kernel = subgroupSize === undefined ? numbers : `${numbers}, subgroups of ${subgroupSize}`;
    this.vocab = config.vocab_size;
    this.width = config.hidden_size;
    this.ctx = ctx;
    this.slots = slots;
    this.maxRows = maxRows;
    this.maxLogits = maxLogits;
    this.kv = options.kv === "f32" ? "f32" : "f16";
    this.layers = config.num_hidden_layers;
    this.#plan = plan;
    this.#gpu = gpu;
    this.#options = options;
    const buffers = new Buffers(gpu.device);
    this.#buffers = buffers;
    this.#readback = new Readback(buffers);
    this.#pacer = new SubmitPacer(gpu.device.queue);
    this.#pipelines = new PipelineCache(gpu.device);
    this.image = new WeightBuffers(buffers, tensors, weightBytes, gpu.maxBindingBytes);
    const weights = buffers.bytes;
    this.#cache = new KvBuffers(buffers, config, { ctx, slots, kv: this.kv }, gpu.maxBindingBytes);
    const beside = buffers.bytes;
    this.#rope = new RopeAngles(buffers, config, options);
    this.isCutDependent = this.#rope.isCutDependent;
    this.#strides = byName((name) => alignTo(plan.buffers[name], 4));
    this.#activations = byName((name) => {
      const rows = decodedRows(name === "logits" ? maxLogits : most);
      return buffers.storage(roomForRows(rows) * this.#strides[name] * 4, name);
    });
    const mostGathered = Math.max(0, ...plan.gathered.map((name) => this.#strides[name]));
    this.#gathered = buffers.storage(maxRows * mostGathered * 4, "gathered");
    this.#rows = buffers.storage(2 * maxRows * ROW_WORDS * 4, "rows");
    this.#wanted = buffers.storage(2 * maxRows * ROW_WORDS * 4, "wanted rows");
    const { maxBindingBytes: limit } = gpu;
    const maskSizes = { ctx, maxRows, heads: config.num_attention_heads, limit };
    this.#masks = options.masks ? new Masks(buffers, maskSizes) : undefined;
    const input = {
      plan,
      buffers,
      pipelines: this.#pipelines,
      weights: this.image,
      layers: this.#cache.layers,
      kv: this.kv,
      ctx,
      angles: this.#rope.buffer,
      activations: this.#activations,
      strides: this.#strides,
      isObserved: options.observe !== undefined,
      numbers,
      subgroupSize,
      ...(numbers === "int8" && { quantized: quantizedRows(plan, buffers, most) }),
    };
    this.#shown = new Shown(options, this.#activations, this.#strides, this.#masks);
    const tables = { rows: this.#rows, wanted: this.#wanted };
    this.#lower = (masks) => new LoweredPlan(input, tables, masks);
    this.#plain = this.#lower();
    this.#answers = new RowAnswers({
      plan,
      buffers,
      pipelines: this.#pipelines,
      logits: this.#activations.logits,
      stride: this.#strides.logits,
      maxLogits,
      rows: decodedRows(maxLogits),
    });
    const decoded = { ...input, rows: this.#rows, maxRows: Math.min(maxRows, maxLogits) };
    if (!input.isObserved) this.#decoder = Decoder.of(decoded, this.#answers);
    const kv = this.#cache.bytes;
    this.#model = { input, tables, maxRows: most, limit };
    const activations = buffers.bytes - beside;
    this.memory = { weights, kv, activations, scratch: 0, total: buffers.bytes };
  }

  /** When its shaders are compiled; `forward` waits for that, too. */
  get ready(): Promise<void> {
    return this.#pipelines.ready();
  }

  async forward(batch: Batch): Promise<void> {
    if (this.#broken) throw new PronkError("engine_failed", this.#broken);
    checkBatch(batch, this, { width: this.width, masks: this.#options.masks ?? false });
    const isAdapted = this.#adapters.check(batch.spans);
    const lowered = this.#loweredFor(batch);
    const adapted = isAdapted ? new AdaptedBatch(batch.spans, this.#adapters) : undefined;
    this.#running++;
    try {
      await this.#run(batch, lowered, adapted);
    } catch (cause) {
      const why = this.#gpu.lost ?? (cause instanceof PronkError ? cause.message : String(cause));
      this.#broken = `webgpu: ${why}`;
      throw new PronkError("engine_failed", this.#broken, { cause });
    } finally {
      this.#running--;
      this.#disposeUnloaded();
    }
  }

  /** @throws PronkError "out_of_memory" for attention that is shown of too many rows. */
  #loweredFor({ spans }: Batch): LoweredPlan {
    if (!this.#masks || !isMasked(spans)) return this.#plain;
    if (this.#masks.reserve(spans)) this.#masked = undefined;
    return (this.#masked ??= this.#lower(this.#masks));
  }

  get chooser(): Chooser {
    const isFused = this.#decoder !== undefined && !this.isCutDependent;
    this.#answers.ahead = isFused ? (this.#options.ahead ?? this.#runAhead.tokens) : 1;
    return this.#answers;
  }

  async #run(batch: Batch, lowered: LoweredPlan, adapted: AdaptedBatch | undefined): Promise<void> {
    const { ahead = 1, states = false, logitsRows } = batch;
    this.#count = logitsRows.length;
    this.#hasStates = states;
    this.#answers.begin(batch);
    const isFused = this.#decoder?.takes(batch) && !this.#shown.isTapped;
    const decoder = isFused ? this.#decoder : undefined;
    decoder?.prepare(batch.ids.length);
    this.#answers.prepare(decoder ? undefined : this.#wanted);
    await this.#pipelines.ready();
    if (decoder) return this.#decode(decoder, batch, ahead);
    this.#decoder?.forget();
    await this.#runSteps(batch, lowered, adapted);
    if (ahead === 1) return;
    const tokens = batch.spans.map((_, row) => [this.#answers.chosen(row)[0]]);
    for (let step = 1; step < ahead; step++) {
      const next = batchBehind(batch, tokens, step);
      this.#answers.begin(next);
      await this.#runSteps(next, lowered, adapted);
      for (const [row, own] of tokens.entries()) own.push(this.#answers.chosen(row)[0]);
    }
    this.#answers.keep(tokens);
  }

  async #decode(decoder: Decoder, batch: Batch, ahead: number): Promise<void> {
    const started = performance.now();
    const table = this.#rowTable(batch, ahead - 1);
    const recorder = new Recorder(this.#gpu.device, this.#readback, this.#pacer);
    const isWhole = await decoder.run(recorder, table, batch, this.isCutDependent);
    if (isWhole) this.#runAhead.record(performance.now() - started, ahead);
  }

  async #runSteps(
    batch: Batch,
    lowered: LoweredPlan,
    adapted: AdaptedBatch | undefined,
  ): Promise<void> {
    const { device } = this.#gpu;
    const { spans, logitsRows, states = false } = batch;
    const rows = batch.ids.length;
    const table = this.#rowTable(batch);
    writeRows(device.queue, this.#rows, table, spans);
    if (batch.embeds) this.#writeEmbeds(batch.embeds);
    const masks = lowered === this.#masked ? this.#masks : undefined;
    masks?.rows.write(spans);
    adapted?.use("rows", spans);
    const recorder = new Recorder(device, this.#readback, this.#pacer);
    const isEmbedded = batch.embeds !== undefined;
    await this.#record(recorder, lowered.steps, { rows, spans, adapted, isEmbedded });
    const count = logitsRows.length;
    if (count > 0) {
      const wanted = logitsRows.flatMap((row) => [
        ...table.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS),
      ]);
      const wantedOnes = wantedSpans(spans, logitsRows);
      writeRows(device.queue, this.#wanted, new Uint32Array(wanted), wantedOnes);
      masks?.wanted.write(wantedOnes);
      adapted?.use("wanted", wantedOnes);
      this.#gather(recorder, logitsRows);
      const head = states ? lowered.stateHead : lowered.head;
      await this.#record(recorder, head, { rows: count, spans: wantedOnes, adapted });
      if (states) {
        recorder.read(this.#activations.h, count * this.#strides.h * 4, ({ buffer }) => {
          this.#states = new Float32Array(buffer);
        });
      } else this.#answer(recorder);
    }
    await recorder.submit();
  }

  /** What is asked of the rows whose logits are there. */
  #answer(recorder: Recorder): void {
    const answers = this.#answers;
    const { words } = answers;
    this.#gpu.device.queue.writeBuffer(answers.buffers.draws, 0, words);
    if (answers.picksAny) answers.encodeChoice(recorder);
    answers.encodeRead(recorder, words, 1);
  }

  logits(index: number): Float32Array {
    if (!(Number.isInteger(index) && index >= 0 && index < this.#count) || this.#hasStates) {
      throw new PronkError("bad_request", `logits ${index} of ${this.#count}`);
    }
    return this.#answers.logits(index);
  }

  states(index: number): Float32Array {
    checkStates(index, this.#count, this.#hasStates);
    const at = index * this.#strides.h;
    return this.#states.subarray(at, at + this.width);
  }

  argmax(index: number): number {
    return this.#answers.argmax(index) ?? argmax(this.logits(index));
  }

  copySlot(from: number, to: number, positions: number): void {
    this.#rope.copySlot(from, to);
    this.#cache.copySlot(from, to, positions);
  }

  readCache(slot: number, layer: number, positions: number): Promise<CachedLayer> {
    return this.#cache.read(this.#readback, slot, layer, positions);
  }

  get positionBytes(): number {
    return this.#cache.positionBytes;
  }

  saveCache(slot: number, layer: number, positions: number): Promise<Uint8Array> {
    return this.#cache.save(this.#readback, slot, layer, positions);
  }

  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    this.#cache.load(slot, layer, positions, saved);
  }

  async loadAdapter(adapter: LoraAdapter, signal?: AbortSignal): Promise<number> {
    const { config, headTensors } = this.#plan;
    fitAdapter(adapter, config, headTensors);
    const limit = this.#options.adapterBytes ?? Number.POSITIVE_INFINITY;
    const room = { held: this.adapterBytes, limit };
    return this.#adapters.add(await WebgpuAdapter.load(adapter, this.#model, room, signal));
  }

  unloadAdapter(handle: number): void {
    this.#unloaded.push(this.#adapters.remove(handle));
    this.#disposeUnloaded();
  }

  #disposeUnloaded(): void {
    if (this.#running > 0) return;
    for (const adapter of this.#unloaded.splice(0)) adapter.dispose();
  }

  get adapterBytes(): number {
    return [...this.#adapters.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  dispose(): void {
    this.#broken ??= "disposed";
    for (const adapter of this.#adapters.values()) adapter.dispose();
    this.#adapters.clear();
    this.#buffers.dispose();
  }

  /** For so many positions beyond each span. */
  #rowTable({ ids, spans }: Batch, beyond = 0): Uint32Array<ArrayBuffer> {
    const angles = this.#rope.prepare(spans, beyond);
    const table = new Uint32Array(ids.length * ROW_WORDS);
    let row = 0;
    for (const { slot, start, count } of spans) {
      for (let r = 0; r < count; r++, row++) {
        table.set([ids[row], slot, start + r, angles[row]], row * ROW_WORDS);
      }
    }
    return table;
  }

  #writeEmbeds(embeds: Float32Array): void {
    const { queue } = this.#gpu.device;
    const stride = this.#strides.x;
    const rows = embeds.length / this.width;
    const padded = new Float32Array(rows * stride);
    for (let r = 0; r < rows; r++) {
      padded.set(embeds.subarray(r * this.width, (r + 1) * this.width), r * stride);
    }
    queue.writeBuffer(this.#activations.x, 0, padded);
  }

  async #record(
    recorder: Recorder,
    steps: readonly LoweredStep[],
    part: RecordedPart,
  ): Promise<void> {
    const { rows, spans, adapted, isEmbedded = false } = part;
    const tiles = attentionTiles(spans).length;
    for (const [i, step] of steps.entries()) {
      const { of } = step;
      const isAdapted = adapted !== undefined && !(isEmbedded && of.op === "embed");
      if (steps[i - 1]?.of !== of) {
        recorder.expect(multiplicationsOf(of, rows, spans, this.#plan.config));
        if (isAdapted) adapted.before(of, recorder, rows);
      }
      switch (step.op) {
        case "dispatch":
          recorder.dispatch(...dispatchFor(step, rows, tiles));
          break;
        case "embed":
          if (isEmbedded) break;
          for (const dispatch of step.dispatches) recorder.dispatch(dispatch, rows);
          break;
        default:
          this.#shown.record(recorder, step, rows, spans);
          if (recorder.isFull) await recorder.flush();
      }
      if (!isAdapted || steps[i + 1]?.of === of) continue;
      await this.#record(recorder, adapted.after(of), { rows, spans });
    }
  }

  /** Moves the rows whose logits are wanted to the front of what the head reads. */
  #gather(recorder: Recorder, wanted: readonly number[]): void {
    if (wanted.every((row, i) => row === i)) return;
    for (const name of this.#plan.gathered) {
      const bytes = this.#strides[name] * 4;
      const buffer = this.#activations[name];
      for (const [i, row] of wanted.entries()) {
        recorder.copy(buffer, row * bytes, this.#gathered, i * bytes, bytes);
      }
      recorder.copy(this.#gathered, 0, buffer, 0, wanted.length * bytes);
    }
  }
}

/** Steps over the batch's rows, or over those whose logits are wanted. */
interface RecordedPart {
  readonly rows: number;
  readonly spans: readonly Span[];
  readonly adapted?: AdaptedBatch | undefined;
  /** x has the rows already. */
  readonly isEmbedded?: boolean;
}
