/** Weights that no file has: constant, or normally distributed by a seed, the same on every runtime. */
import type { FloatTensor } from "../../formats/float-tensor.ts";
import { log } from "../../generate/exp-log.ts";
import { bitsAt, toSeed } from "../../generate/random.ts";

export function constantTensor(name: string, shape: readonly number[], value: number): FloatTensor {
  return madeTensor(name, shape, (_, out) => out.fill(value));
}

/**
 * Mean 0; the draws are not torch's. Every row has draws of its own, by the tensor's name.
 *
 * @param zeroRow a row of zeros: the padding token's
 */
export function normalTensor(
  name: string,
  shape: readonly number[],
  deviation: number,
  seed: number,
  zeroRow?: number | null,
): FloatTensor {
  const key = bitsAt(toSeed(seed), hashOf(name));
  return madeTensor(name, shape, (row, out) => {
    if (row !== zeroRow) fillNormal(out, bitsAt(key, row), deviation);
  });
}

function madeTensor(
  name: string,
  shape: readonly number[],
  fillRow: (row: number, out: Float32Array) => void,
): FloatTensor {
  const cols = shape.slice(1).reduce((product, dim) => product * dim, 1);
  return {
    name,
    type: "F32",
    shape,
    async readRows(first, count, into) {
      const values = new Float32Array(count * cols);
      for (let i = 0; i < count; i++) {
        fillRow(first + i, values.subarray(i * cols, (i + 1) * cols));
      }
      into.set(new Uint8Array(values.buffer));
    },
  };
}

/** Marsaglia's polar method: square root and logarithm alone, which are the same on every engine. */
export function fillNormal(out: Float32Array, seed: bigint, deviation: number): void {
  const next = smallFastCounter(seed);
  for (let i = 0; i < out.length; ) {
    const x = 2 * next() - 1;
    const y = 2 * next() - 1;
    const square = x * x + y * y;
    if (square >= 1 || square === 0) continue;
    const factor = deviation * Math.sqrt((-2 * log(square)) / square);
    out[i++] = x * factor;
    if (i < out.length) out[i++] = y * factor;
  }
}

const TWO_TO_32 = 4294967296;

/** Numbers mixed before the first is used, as its authors do. */
const WARM_UP = 12;

/** sfc32 (Chris Doty-Humphrey, PractRand), as numbers in [0, 1): ten times faster than 64-bit integers here. */
function smallFastCounter(seed: bigint): () => number {
  let a = Number(seed & 0xffffffffn) | 0;
  let b = Number(seed >> 32n) | 0;
  let c = 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / TWO_TO_32;
  };
  for (let i = 0; i < WARM_UP; i++) next();
  return next;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0)!, 0x01000193);
  return h >>> 0;
}
