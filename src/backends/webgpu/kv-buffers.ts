/**
 * Keys and values, f32 or pairs of f16: [slot][head][position][dimension], of all slots in one buffer each a layer or,
 * where that were larger than a binding, of as many as one has room for.
 */
import { PronkError } from "../../errors.ts";
import { f16ToF32 } from "../../formats/half.ts";
import type { LlamaConfig } from "../../model/config.ts";
import type { CachedLayer } from "../backend.ts";
import type { Buffers } from "./buffers.ts";
import { BUFFER_USAGE } from "./gpu-constants.ts";
import type { Readback } from "./readback.ts";

/** Slots [firstSlot, firstSlot + slots) of a layer. */
export interface CachedBuffers {
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
  readonly firstSlot: number;
  readonly slots: number;
}

export interface KvSizes {
  readonly ctx: number;
  readonly slots: number;
  readonly kv: "f32" | "f16";
}

const VALUE_BYTES = { f32: 4, f16: 2 } as const;

/** Of one layer. */
export function kvLayerBytes(config: LlamaConfig, { ctx, slots, kv }: KvSizes): number {
  return slots * config.num_key_value_heads * ctx * config.head_dim * VALUE_BYTES[kv];
}

export class KvBuffers {
  /** Of each layer, in the order of their slots. */
  readonly layers: readonly (readonly CachedBuffers[])[];
  readonly bytes: number;
  /** Slots of a buffer. */
  readonly #shared: number;
  readonly #device: GPUDevice;
  readonly #config: LlamaConfig;
  readonly #sizes: KvSizes;

  /** @throws PronkError "out_of_memory" when a slot's keys of a layer are more than a binding may be. */
  constructor(buffers: Buffers, config: LlamaConfig, sizes: KvSizes, limit: number) {
    const slotBytes = kvLayerBytes(config, { ...sizes, slots: 1 });
    if (slotBytes > limit) {
      const asked = `a slot of ${sizes.ctx} positions`;
      throw new PronkError(
        "out_of_memory",
        `webgpu: ${asked}: a layer's keys take ${slotBytes} bytes; the adapter binds ${limit}`,
      );
    }
    this.#device = buffers.device;
    this.#config = config;
    this.#sizes = sizes;
    this.#shared = Math.min(sizes.slots, Math.floor(limit / slotBytes));
    this.layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => {
      const shards: CachedBuffers[] = [];
      for (let firstSlot = 0; firstSlot < sizes.slots; firstSlot += this.#shared) {
        const slots = Math.min(this.#shared, sizes.slots - firstSlot);
        const keys = buffers.storage(slots * slotBytes, `keys ${layer}`);
        const values = buffers.storage(slots * slotBytes, `values ${layer}`);
        shards.push({ keys, values, firstSlot, slots });
      }
      return shards;
    });
    this.bytes = 2 * sizes.slots * slotBytes * this.layers.length;
  }

  copySlot(from: number, to: number, positions: number): void {
    if (from === to || positions === 0) return;
    const bytes = this.#rowBytes * positions;
    const encoder = this.#device.createCommandEncoder();
    // A buffer is not copied within itself.
    const spare = this.#device.createBuffer({
      size: bytes,
      usage: BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST,
    });
    for (let layer = 0; layer < this.layers.length; layer++) {
      const [source, target] = [this.#shard(layer, from), this.#shard(layer, to)];
      for (const what of ["keys", "values"] as const) {
        for (let head = 0; head < this.#heads; head++) {
          const place = this.#at(to, head);
          encoder.copyBufferToBuffer(source[what], this.#at(from, head), spare, 0, bytes);
          encoder.copyBufferToBuffer(spare, 0, target[what], place, bytes);
        }
      }
    }
    this.#device.queue.submit([encoder.finish()]);
    spare.destroy();
  }

  /** Keys of all heads, then values: (heads, positions, headDim) as they lie in the cache. */
  async save(
    readback: Readback,
    slot: number,
    layer: number,
    positions: number,
  ): Promise<Uint8Array> {
    const { keys, values } = this.#shard(layer, slot);
    const bytes = this.#rowBytes * positions;
    const copies = [keys, values].flatMap((buffer) =>
      Array.from({ length: this.#heads }, (_, head) => {
        return { buffer, offset: this.#at(slot, head), bytes };
      }),
    );
    return readback.read(copies);
  }

  /** @throws PronkError "bad_format" for another number of bytes than so many positions have. */
  load(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    const bytes = this.#rowBytes * positions;
    const expected = 2 * this.#heads * bytes;
    if (saved.length !== expected) {
      throw new PronkError(
        "bad_format",
        `saved cache: ${saved.length} bytes, expected ${expected}`,
      );
    }
    const { keys, values } = this.#shard(layer, slot);
    for (const [i, buffer] of [keys, values].entries()) {
      for (let head = 0; head < this.#heads; head++) {
        const at = (i * this.#heads + head) * bytes;
        const part = new Uint8Array(saved.subarray(at, at + bytes));
        this.#device.queue.writeBuffer(buffer, this.#at(slot, head), part);
      }
    }
  }

  async read(
    readback: Readback,
    slot: number,
    layer: number,
    positions: number,
  ): Promise<CachedLayer> {
    const { buffer } = await this.save(readback, slot, layer, positions);
    const numbers =
      this.#sizes.kv === "f32"
        ? new Float32Array(buffer)
        : Float32Array.from(new Uint16Array(buffer), f16ToF32);
    const count = numbers.length / 2;
    return { keys: numbers.slice(0, count), values: numbers.slice(count) };
  }

  /** Of a layer's keys and values. */
  get positionBytes(): number {
    return 2 * this.#heads * this.#rowBytes;
  }

  get #heads(): number {
    return this.#config.num_key_value_heads;
  }

  /** Of a head's position. */
  get #rowBytes(): number {
    return this.#config.head_dim * VALUE_BYTES[this.#sizes.kv];
  }

  #shard(layer: number, slot: number): CachedBuffers {
    return this.layers[layer][Math.floor(slot / this.#shared)];
  }

  /** In its buffer. */
  #at(slot: number, head: number): number {
    return ((slot % this.#shared) * this.#heads + head) * this.#sizes.ctx * this.#rowBytes;
  }
}
