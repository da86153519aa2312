/** Bytes of buffers back into JavaScript. */
import type { Buffers } from "./buffers.ts";
import { MAP_MODE_READ } from "./gpu-constants.ts";

export interface ReadRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** A multiple of 4. */
  readonly bytes: number;
}

export class Readback {
  readonly #buffers: Buffers;
  /** Those that nobody is reading. */
  readonly #free: GPUBuffer[] = [];

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  /** The ranges, one behind the other, as they are when what was submitted before has run. */
  read(ranges: readonly ReadRange[]): Promise<Uint8Array<ArrayBuffer>> {
    const encoder = this.#buffers.device.createCommandEncoder();
    const landing = this.encode(encoder, ranges);
    this.#buffers.device.queue.submit([encoder.finish()]);
    return landing();
  }

  /** Copies them at the end of these commands; the bytes come from calling the result after the submit. */
  encode(
    encoder: GPUCommandEncoder,
    ranges: readonly ReadRange[],
  ): () => Promise<Uint8Array<ArrayBuffer>> {
    const size = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
    const staging = this.#take(size);
    let at = 0;
    for (const { buffer, offset, bytes } of ranges) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, bytes);
      at += bytes;
    }
    return async () => {
      await staging.mapAsync(MAP_MODE_READ, 0, size);
      const bytes = new Uint8Array(staging.getMappedRange(0, size).slice(0));
      staging.unmap();
      this.#free.push(staging);
      return bytes;
    };
  }

  #take(size: number): GPUBuffer {
    const at = this.#free.findIndex((buffer) => buffer.size >= size);
    if (at >= 0) return this.#free.splice(at, 1)[0];
    for (const buffer of this.#free.splice(0)) this.#buffers.free(buffer);
    return this.#buffers.readback(size);
  }
}
