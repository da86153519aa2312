/**
 * The pack's image in buffers, as it is: no buffer is larger than a binding may be, and tensors of a layer lie
 * together where they fit. A matrix that is larger than a binding is divided by panels.
 */
import { PronkError } from "../../errors.ts";
import { PANEL_ROWS, panelBytes } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import type { Buffers } from "./buffers.ts";

/** Bytes of a buffer at most, where a binding may be larger: more than a few large ones buys nothing. */
const LARGEST_BUFFER = 512 * 2 ** 20;

/** Bytes [start, start + bytes) of the image. */
interface Placed {
  readonly start: number;
  readonly bytes: number;
  readonly buffer: GPUBuffer;
}

/** Consecutive rows of a matrix, or a whole vector. */
export interface WeightShard {
  readonly buffer: GPUBuffer;
  /** Of its first byte in the buffer. */
  readonly offset: number;
  /** Rows [first, first + rows). */
  readonly first: number;
  readonly rows: number;
}

export class WeightBuffers {
  readonly #device: GPUDevice;
  readonly #tensors: ReadonlyMap<string, PackedTensor>;
  readonly #placed: readonly Placed[];

  /** @param limit bytes of a buffer at most. */
  constructor(
    buffers: Buffers,
    tensors: readonly PackedTensor[],
    weightBytes: number,
    limit: number,
  ) {
    this.#device = buffers.device;
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const most = Math.min(limit, LARGEST_BUFFER);
    const cuts = cutsOf(tensors, weightBytes, most);
    this.#placed = cuts.slice(0, -1).map((start, i) => {
      const bytes = cuts[i + 1] - start;
      return { start, bytes, buffer: buffers.storage(bytes, `weights ${i}`) };
    });
  }

  tensor(name: string): PackedTensor {
    const found = this.#tensors.get(name);
    if (!found) throw new PronkError("bad_format", `tensor ${name} is missing`);
    return found;
  }

  /** A tensor's places, in the order of its rows. */
  shards(name: string): WeightShard[] {
    const { offset: start, bytes, form, shape } = this.tensor(name);
    const end = start + bytes;
    const rowBytes = form === "vector" ? bytes / shape[0] : panelBytes(form, shape[1]) / PANEL_ROWS;
    return this.#placed.flatMap((placed) => {
      const from = Math.max(start, placed.start);
      const to = Math.min(end, placed.start + placed.bytes);
      if (from >= to) return [];
      const first = (from - start) / rowBytes;
      const rows = Math.min(shape[0] - first, (to - from) / rowBytes);
      return [{ buffer: placed.buffer, offset: from - placed.start, first, rows }];
    });
  }

  /** Bytes of the image, from `offset` on. */
  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    for (const { start, bytes: size, buffer } of this.#placed) {
      const from = Math.max(offset, start);
      const to = Math.min(end, start + size);
      if (from >= to) continue;
      const part = bytes.subarray(from - offset, to - offset) as Uint8Array<ArrayBuffer>;
      this.#device.queue.writeBuffer(buffer, from - start, part);
    }
  }
}

/** Where buffers start, and the image's end. */
function cutsOf(tensors: readonly PackedTensor[], weightBytes: number, most: number): number[] {
  const cuts = [0];
  const fits = (end: number): boolean => end - cuts[cuts.length - 1] <= most;
  const cut = (at: number): void => {
    if (at > cuts[cuts.length - 1]) cuts.push(at);
  };
  for (const { start, end, members } of groupsOf(tensors)) {
    if (fits(end)) continue;
    cut(start);
    if (fits(end)) continue;
    for (const tensor of members) {
      if (fits(tensor.offset + tensor.bytes)) continue;
      cut(tensor.offset);
      while (!fits(tensor.offset + tensor.bytes)) cut(nextPanel(tensor, cuts, most));
    }
  }
  cuts.push(weightBytes);
  return cuts;
}

/** The last start of a panel that the buffer at hand has room for. */
function nextPanel(tensor: PackedTensor, cuts: readonly number[], most: number): number {
  const { name, form, shape, offset, bytes } = tensor;
  const last = cuts[cuts.length - 1];
  const panel = form === "vector" ? bytes : panelBytes(form, shape[1]);
  const next = offset + Math.floor((last + most - offset) / panel) * panel;
  if (next > last) return next;
  throw new PronkError("out_of_memory", `webgpu: a panel of ${name} is over ${most} bytes`);
}

interface TensorGroup {
  readonly start: number;
  end: number;
  readonly members: PackedTensor[];
}

/** Tensors of a layer; others alone. */
function groupsOf(tensors: readonly PackedTensor[]): TensorGroup[] {
  const groups: TensorGroup[] = [];
  let layer: string | undefined;
  for (const tensor of tensors) {
    const own = /\blayers\.\d+\./.exec(tensor.name)?.[0];
    const last = groups.at(-1);
    const end = tensor.offset + tensor.bytes;
    if (last && own !== undefined && own === layer) {
      last.members.push(tensor);
      last.end = end;
    } else groups.push({ start: tensor.offset, end, members: [tensor] });
    layer = own;
  }
  return groups;
}
