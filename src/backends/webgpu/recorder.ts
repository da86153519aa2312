/** Commands of one submit: dispatches in one pass, copies between them, and what is read back at its end. */
import type { Dispatch } from "./lower-steps.ts";
import type { Readback, ReadRange } from "./readback.ts";
import type { SubmitPacer } from "./submit-pacer.ts";

/** Of one submit: hidden states and attention of long texts are many times that. */
const MAX_READ_BYTES = 64 * 2 ** 20;

export class Recorder {
  readonly #device: GPUDevice;
  #encoder: GPUCommandEncoder;
  readonly #readback: Readback;
  #pass: GPUComputePassEncoder | undefined;
  /** That the pass has set. */
  #pipeline: GPUComputePipeline | undefined;
  #reads: (() => Promise<void>)[] = [];
  #readBytes = 0;
  readonly #pacer: SubmitPacer;
  /** Multiplications since the last submit. */
  #work = 0;

  constructor(device: GPUDevice, readback: Readback, pacer: SubmitPacer) {
    this.#device = device;
    this.#readback = readback;
    this.#pacer = pacer;
    this.#encoder = device.createCommandEncoder();
  }

  dispatch(dispatch: Dispatch, rows: number): void {
    if (dispatch.before) this.dispatch(dispatch.before, rows);
    this.#pass ??= this.#encoder.beginComputePass();
    const { pipeline } = dispatch.kernel;
    if (this.#pipeline !== pipeline) this.#pass.setPipeline(pipeline);
    this.#pipeline = pipeline;
    this.#pass.setBindGroup(0, bindGroup(this.#device, dispatch));
    const { groups, tileRows } = dispatch;
    // Tiles of rows that share weights run next to each other.
    if (typeof tileRows === "number")
      this.#pass.dispatchWorkgroups(Math.ceil(rows / tileRows), groups);
    else this.#pass.dispatchWorkgroups(groups, rows);
  }

  /** For commands that are encoded elsewhere: they set their pipelines. */
  get pass(): GPUComputePassEncoder {
    this.#pipeline = undefined;
    return (this.#pass ??= this.#encoder.beginComputePass());
  }

  copy(from: GPUBuffer, fromAt: number, to: GPUBuffer, toAt: number, bytes: number): void {
    this.#endPass();
    this.#encoder.copyBufferToBuffer(from, fromAt, to, toAt, bytes);
  }

  /** `use` gets the first bytes of the buffer as they are at this point; called by `submit`, in order. */
  read(buffer: GPUBuffer, bytes: number, use: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.readRanges([{ buffer, offset: 0, bytes }], use);
  }

  /** `use` gets the ranges, one behind the other. */
  readRanges(ranges: readonly ReadRange[], use: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#endPass();
    const landing = this.#readback.encode(this.#encoder, ranges);
    this.#reads.push(async () => use(await landing()));
    for (const { bytes } of ranges) this.#readBytes += bytes;
  }

  /** Before so many multiplications: submits what there is, should it become too much for one submit. */
  expect(multiplications: number): void {
    if (this.#work > 0 && this.#work + multiplications > this.#pacer.budget) {
      void this.#send().catch(() => {
        // The last submit fails for the same reason, and somebody waits for it.
      });
      this.#encoder = this.#device.createCommandEncoder();
    }
    this.#work += multiplications;
  }

  /** What is read needs so much memory that it is to be read before more is recorded. */
  get isFull(): boolean {
    return this.#readBytes > MAX_READ_BYTES;
  }

  /** Submits what was recorded so far. */
  async flush(): Promise<void> {
    await this.submit();
    this.#encoder = this.#device.createCommandEncoder();
    this.#reads = [];
    this.#readBytes = 0;
  }

  /** Resolves when all that is read has been read. */
  async submit(): Promise<void> {
    const done = this.#send();
    if (this.#reads.length === 0) await done;
    else done.catch(() => {});
    for (const read of this.#reads) await read();
  }

  /** Resolves when it has run. */
  #send(): Promise<void> {
    this.#endPass();
    this.#device.queue.submit([this.#encoder.finish()]);
    const work = this.#work;
    this.#work = 0;
    return this.#pacer.submitted(work);
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }
}

const bindGroups = new WeakMap<Dispatch, GPUBindGroup>();

/** Made once, when its kernel is compiled. */
function bindGroup(device: GPUDevice, dispatch: Dispatch): GPUBindGroup {
  let group = bindGroups.get(dispatch);
  if (!group) {
    const { kernel, bindings } = dispatch;
    group = device.createBindGroup({
      layout: kernel.pipeline.getBindGroupLayout(0),
      entries: bindings.map((resource, binding) => ({ binding, resource })),
    });
    bindGroups.set(dispatch, group);
  }
  return group;
}
