/** Buffers of one runner: made under one account, freed together. */
import { PronkError } from "../../errors.ts";
import { alignTo } from "./align.ts";
import { BUFFER_USAGE, COPY_ALIGNMENT, OFFSET_ALIGNMENT } from "./gpu-constants.ts";

const { STORAGE, COPY_SRC, COPY_DST, UNIFORM } = BUFFER_USAGE;

export class Buffers {
  readonly device: GPUDevice;
  /** Bytes of all buffers. */
  bytes = 0;
  readonly #held: GPUBuffer[] = [];

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /**
   * At least `bytes` of storage, zeros.
   *
   * @throws PronkError "out_of_memory" when the device binds or makes none so large.
   */
  storage(bytes: number, label: string): GPUBuffer {
    this.#check(bytes, this.device.limits.maxStorageBufferBindingSize, label, "binds");
    return this.#create(bytes, STORAGE | COPY_SRC | COPY_DST, label);
  }

  /** Rows of u32, each of which is bound by itself. */
  uniforms(rows: readonly (readonly number[])[]): GPUBufferBinding[] {
    const buffer = this.#create(
      Math.max(1, rows.length) * OFFSET_ALIGNMENT,
      UNIFORM | COPY_DST,
      "params",
    );
    const words = new Uint32Array(buffer.size / 4);
    const bindings = rows.map((row, i) => {
      const offset = i * OFFSET_ALIGNMENT;
      words.set(row, offset / 4);
      return { buffer, offset, size: alignTo(row.length * 4, 16) };
    });
    this.device.queue.writeBuffer(buffer, 0, words);
    return bindings;
  }

  readback(bytes: number): GPUBuffer {
    return this.#create(bytes, BUFFER_USAGE.MAP_READ | COPY_DST, "readback");
  }

  free(buffer: GPUBuffer): void {
    const at = this.#held.indexOf(buffer);
    if (at < 0) return;
    this.#held.splice(at, 1);
    this.bytes -= buffer.size;
    buffer.destroy();
  }

  dispose(): void {
    for (const buffer of this.#held) buffer.destroy();
    this.#held.length = 0;
    this.bytes = 0;
  }

  #check(bytes: number, limit: number, label: string, does: string): void {
    if (bytes <= limit) return;
    const what = `webgpu: ${label}: a buffer of ${bytes} bytes`;
    throw new PronkError("out_of_memory", `${what}: the device ${does} at most ${limit}`);
  }

  #create(bytes: number, usage: number, label: string): GPUBuffer {
    this.#check(bytes, this.device.limits.maxBufferSize, label, "makes");
    const size = alignTo(Math.max(bytes, 16), COPY_ALIGNMENT);
    const buffer = this.device.createBuffer({ size, usage, label });
    this.#held.push(buffer);
    this.bytes += size;
    return buffer;
  }
}
