/** Weights that no file has: constant, or normally distributed by a seed, the same on every runtime. */
import { FLOAT_BYTES, type FloatTensor } from "../../formats/float-tensor.ts";

export function constantTensor(name: string, shape: readonly number[], value: number): FloatTensor {
  return madeTensor(name, shape, () => value);
}

/** Mean 0; the draws are not torch's. */
export function normalTensor(
  name: string,
  shape: readonly number[],
  deviation: number,
  seed: number,
): FloatTensor {
  const key = mix(mix(seed) ^ hashOf(name));
  return madeTensor(name, shape, (index) => deviation * normalAt(key, index));
}

function madeTensor(
  name: string,
  shape: readonly number[],
  valueAt: (index: number) => number,
): FloatTensor {
  const cols = shape.slice(1).reduce((product, dim) => product * dim, 1);
  return {
    name,
    type: "F32",
    shape,
    async readRows(first, count, into) {
      const values = new Float32Array(count * cols);
      for (let i = 0; i < values.length; i++) values[i] = valueAt(first * cols + i);
      into.set(new Uint8Array(values.buffer, 0, values.length * FLOAT_BYTES.F32));
    },
  };
}

/** Twelve numbers of 16 bits, whose sum has variance 1 around 6: no logarithm that engines round differently. */
function normalAt(key: number, index: number): number {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    const bits = mix(key ^ mix(index * 6 + i));
    sum += (bits >>> 16) + (bits & 0xffff) + 1;
  }
  return sum / 65536 - 6;
}

/** The finalizer of MurmurHash3. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0)!, 0x01000193);
  return h >>> 0;
}
