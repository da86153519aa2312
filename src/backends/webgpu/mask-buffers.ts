/**
 * What rows see where spans say it, and the probabilities that they show: a bit a key, written before a batch. Only
 * runners with `masks` have them.
 */
import { PronkError } from "../../errors.ts";
import type { Span } from "../backend.ts";
import type { Tap } from "../runner-options.ts";
import type { Buffers } from "./buffers.ts";

/** (keys, first word of the bits, first float of the probabilities, 0) */
const ROW_WORDS = 4;

/** As masked_attention.wgsl has it. */
const NONE = 0xffffffff;

export interface MaskSizes {
  readonly ctx: number;
  readonly maxRows: number;
  readonly heads: number;
  /** Bytes that may be bound. */
  readonly limit: number;
}

/** Bytes of one `MaskRows`, without probabilities. */
export function maskBytes({ ctx, maxRows }: Pick<MaskSizes, "ctx" | "maxRows">): number {
  return maxRows * (ROW_WORDS + Math.ceil(ctx / 32)) * 4;
}

/** Whether a batch needs masks. */
export function isMasked(spans: readonly Span[]): boolean {
  return spans.some(({ visible, probabilities }) => visible || probabilities);
}

export class Masks {
  readonly rows: MaskRows;
  /** Of those whose logits are wanted. */
  readonly wanted: MaskRows;
  readonly #buffers: Buffers;
  readonly #sizes: MaskSizes;
  #probabilities: GPUBuffer;

  constructor(buffers: Buffers, sizes: MaskSizes) {
    this.#buffers = buffers;
    this.#sizes = sizes;
    this.rows = new MaskRows(buffers, sizes, "masks");
    this.wanted = new MaskRows(buffers, sizes, "wanted masks");
    this.#probabilities = buffers.storage(0, "probabilities");
  }

  /** Of a layer of a batch: as large as batches were so far. */
  get probabilities(): GPUBuffer {
    return this.#probabilities;
  }

  /**
   * Makes room for what these show; true when `probabilities` is another buffer now.
   *
   * @throws PronkError "out_of_memory" when they are more than the adapter binds.
   */
  reserve(spans: readonly Span[]): boolean {
    const { limit } = this.#sizes;
    const bytes = this.shownBytes(spans);
    if (bytes > limit) {
      throw new PronkError(
        "out_of_memory",
        `webgpu: attention that is shown takes ${bytes} bytes a layer; the adapter binds ${limit}`,
      );
    }
    if (bytes <= this.#probabilities.size) return false;
    this.#buffers.free(this.#probabilities);
    this.#probabilities = this.#buffers.storage(bytes, "probabilities");
    return true;
  }

  /** What spans show: (rows, heads, keys) of each that shows anything, one behind the other. */
  shownBytes(spans: readonly Span[]): number {
    return spans.reduce((sum, span) => sum + shownNumbers(span, this.#sizes.heads) * 4, 0);
  }

  /** `data` as the kernel wrote it for these spans. */
  show(name: string, spans: readonly Span[], data: Float32Array, tap: (tap: Tap) => void): void {
    let at = 0;
    for (const span of spans) {
      const numbers = shownNumbers(span, this.#sizes.heads);
      if (numbers === 0) continue;
      const own = data.subarray(at, at + numbers);
      tap({ name, data: own, rows: span.count, stride: numbers / span.count, span });
      at += numbers;
    }
  }
}

/** Of the rows of a batch, or of those whose logits are wanted. */
class MaskRows {
  readonly buffer: GPUBuffer;
  readonly #device: GPUDevice;
  readonly #heads: number;

  constructor(buffers: Buffers, sizes: MaskSizes, label: string) {
    this.#device = buffers.device;
    this.#heads = sizes.heads;
    this.buffer = buffers.storage(maskBytes(sizes), label);
  }

  write(spans: readonly Span[]): void {
    const count = spans.reduce((sum, span) => sum + span.count, 0);
    const bits = spans.reduce(
      (sum, span) => sum + (span.visible ? span.count * bitWords(span) : 0),
      0,
    );
    const words = new Uint32Array(count * ROW_WORDS + bits);
    let row = 0;
    let word = count * ROW_WORDS;
    let shown = 0;
    for (const span of spans) {
      const { start, visible, probabilities } = span;
      const keys = keysOf(span);
      for (let r = 0; r < span.count; r++, row++) {
        const own = visible || probabilities ? keys : start + r + 1;
        words.set([own, visible ? word : NONE, probabilities ? shown : NONE], row * ROW_WORDS);
        if (visible) {
          for (let key = 0; key < keys; key++) {
            words[word + (key >> 5)] |= (visible[r * keys + key] === 1 ? 1 : 0) << (key & 31);
          }
          word += bitWords(span);
        }
        if (probabilities) shown += this.#heads * keys;
      }
    }
    this.#device.queue.writeBuffer(this.buffer, 0, words);
  }
}

/** Of a mask, whose span may be some of a batch's span's rows; else those up to the last row's own. */
function keysOf({ start, count, visible }: Span): number {
  return visible ? visible.length / count : start + count;
}

/** Of a row's bits. */
function bitWords(span: Span): number {
  return Math.ceil(keysOf(span) / 32);
}

function shownNumbers(span: Span, heads: number): number {
  return span.probabilities ? span.count * heads * keysOf(span) : 0;
}
