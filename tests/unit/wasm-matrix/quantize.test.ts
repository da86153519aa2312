import { describe, expect, test } from "vitest";
import {
  ActivationLayout,
  activationBytes,
  tiledRows,
} from "../../../src/backends/wasm/activation-layout.ts";
import { MODULES } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";
import { type ActivationBlock, quantizeRow, randomFloats } from "./matrix-oracle.ts";

const LAYOUTS = Object.entries(ActivationLayout);

/** Columns of a block in the order of its int16 words, and what the plain q4 kernel weights them by. */
const NIBBLES = Array.from({ length: 4 }, (_, g) => [
  ...[0, 2, 1, 3].map((j, i) => ({ column: 4 * g + j, weight: [256, 256, 1, 1][i] })),
  ...[0, 2, 1, 3].map((j, i) => ({ column: 16 + 4 * g + j, weight: [16, 16, 256, 256][i] })),
]).flat();

/** Reads a row back from a layout of wasm/activation.h. */
function readRow(layout: number, a: Uint8Array, row: number, cols: number): ActivationBlock[] {
  const view = new DataView(a.buffer, a.byteOffset, a.byteLength);
  const blocks = cols / 32;
  const f32 = (at: number): number => view.getFloat32(at, true);
  if (layout >= ActivationLayout.tileBytes) {
    const words = layout === ActivationLayout.tileWords;
    const blockBytes = 32 + 128 * (words ? 2 : 1);
    const tile = (row >> 2) * blocks * (16 + blockBytes);
    const m = row & 3;
    return Array.from({ length: blocks }, (_, b) => {
      const block = tile + 16 * blocks + b * blockBytes;
      const values = block + 32;
      const word = (k: number): number => {
        const pair = 2 * (k >> 2) + (k & 1);
        return view.getInt16(values + 16 * pair + 4 * m + (k & 2), true);
      };
      const byte = (k: number): number => view.getInt8(values + 16 * (k >> 2) + 4 * m + (k & 3));
      return {
        scaledSum: f32(tile + 16 * b + 4 * m),
        scale: f32(block + 4 * m),
        sum: view.getInt32(block + 16 + 4 * m, true),
        q: Int32Array.from({ length: 32 }, (_, k) => (words ? word(k) : byte(k))),
      };
    });
  }
  const wide = layout !== ActivationLayout.bytes;
  const start = row * blocks * (12 + 32 * (wide ? 2 : 1));
  return Array.from({ length: blocks }, (_, b) => {
    const values = start + 12 * blocks + b * 32 * (wide ? 2 : 1);
    const q = new Int32Array(32);
    for (let i = 0; i < 32; i++) {
      const { column, weight } = NIBBLES[i];
      if (layout === ActivationLayout.bytes) q[i] = view.getInt8(values + i);
      else if (layout === ActivationLayout.words) {
        q[(i & ~3) + [0, 2, 1, 3][i & 3]] = view.getInt16(values + 2 * i, true);
      } else q[column] = view.getInt16(values + 2 * i, true) / weight;
    }
    return {
      scaledSum: f32(start + 4 * b),
      scale: f32(start + 4 * (blocks + b)),
      sum: view.getInt32(start + 4 * (2 * blocks + b), true),
      q,
    };
  });
}

function quantize(
  module: string,
  layout: number,
  rows: readonly Float32Array[],
  gap = 0,
): { read: ActivationBlock[][]; damaged: number[] } {
  const space = new GuardedMemory();
  const cols = rows[0].length;
  const ldx = cols + gap;
  const x = space.allocate(((rows.length - 1) * ldx + cols) * 4);
  rows.forEach((row, t) => {
    space.floats(x + t * ldx * 4, cols).set(row);
  });
  const size = activationBytes(layout as ActivationLayout, rows.length, cols);
  const a = space.allocate(size);
  space.kernels(module).quantize(a, x, rows.length, cols, ldx, layout);
  const bytes = space.bytes(a, size);
  return { read: rows.map((_, t) => readRow(layout, bytes, t, cols)), damaged: space.damaged() };
}

describe.each(MODULES)("quantize in %s.wasm", (module) => {
  test.each(LAYOUTS)("holds every row's values, scales and sums: %s", (_, layout) => {
    for (const cols of [32, 64, 576]) {
      for (let tokens = 1; tokens <= 9; tokens++) {
        const rows = Array.from({ length: tokens }, (_, t) => randomFloats(t + 1, cols));
        const { read, damaged } = quantize(module, layout, rows, 3);
        expect(read).toEqual(rows.map(quantizeRow));
        expect(damaged).toEqual([]);
      }
    }
  });

  test("rounds to nearest, and halves to even", () => {
    const x = new Float32Array(32);
    x.set([
      127, 0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, -3.5, 0.4999, 0.5001, -0.4999, -0.5001, 126.5,
    ]);
    const expected = [127, 0, 2, 2, 4, 0, -2, -2, -4, 0, 1, 0, -1, 126];
    const [[{ q, scale }]] = quantize(module, 0, [x]).read;
    expect(Array.from(q.subarray(0, expected.length))).toEqual(expected);
    expect(scale).toBe(1);
  });

  test("has no bias and the error of rounding, not of truncation", () => {
    const x = randomFloats(5, 32 * 2000);
    let bias = 0;
    let square = 0;
    let size = 0;
    quantize(module, 0, [x]).read[0].forEach(({ q, scale }, b) => {
      q.forEach((value, k) => {
        const source = x[32 * b + k];
        const toward = (value * scale - source) * Math.sign(source);
        bias += toward / x.length;
        square += toward * toward;
        size += source * source;
      });
    });
    // steps of 2 / 127: rounding errs by a step / sqrt(12), 0.0045, of which the RMS of x is 1.155;
    // truncating would err by a step / sqrt(3) and shrink by half a step, 0.0079
    expect(Math.sqrt(square / size)).toBeLessThan(0.0042);
    expect(Math.abs(bias)).toBeLessThan(1e-4);
  });

  test("makes blocks of zeros, and of what is too small for a scale, zeros", () => {
    for (const value of [0, -0, 2 ** -101, -1e-44]) {
      const [[block]] = quantize(module, 0, [new Float32Array(32).fill(value)]).read;
      expect(block.q).toEqual(new Int32Array(32));
      expect(block.sum).toBe(0);
      expect(block.scaledSum === 0).toBe(true);
    }
    const [[smallest]] = quantize(module, 0, [new Float32Array(32).fill(-(2 ** -100))]).read;
    expect(smallest.q).toEqual(new Int32Array(32).fill(-127));
  });

  test.each([
    ["NaN", Number.NaN, Number.isNaN],
    [
      "an infinity",
      Number.NEGATIVE_INFINITY,
      (scale: number) => scale === Number.POSITIVE_INFINITY,
    ],
  ])("shows %s in the scale of its block alone", (_, value, isShown) => {
    const x = randomFloats(9, 96);
    x[40] = value;
    const [blocks] = quantize(module, 0, [x]).read;
    expect(blocks.map(({ scale }) => isShown(scale))).toEqual([false, true, false]);
  });

  test("leaves the rows that a tile has too many as they are", () => {
    for (const layout of [ActivationLayout.tileBytes, ActivationLayout.tileWords]) {
      const rows = Array.from({ length: 5 }, (_, t) => randomFloats(t, 32));
      const space = new GuardedMemory();
      const size = activationBytes(layout, 5, 32);
      expect(size).toBe(activationBytes(layout, tiledRows(5), 32));
      const x = space.copyIn(Float32Array.from(rows.flatMap((row) => [...row])));
      const a = space.allocate(size, 0x55);
      space.kernels(module).quantize(a, x, 5, 32, 32, layout);
      const blockBytes = size / 2;
      const second = space.bytes(a + blockBytes, blockBytes);
      const untouched = second.filter((byte) => byte === 0x55).length;
      expect(untouched).toBeGreaterThanOrEqual((blockBytes * 3) / 4);
    }
  });
});

describe.each(MODULES)("fused with quantize in %s.wasm", (module) => {
  const [tokens, cols, eps] = [5, 96, 1e-5];
  test.each(LAYOUTS)("rms_norm gives the bytes of its two steps: %s", (_, layout) => {
    const space = new GuardedMemory();
    const kernels = space.kernels(module);
    const x = space.copyIn(randomFloats(1, tokens * cols));
    const weight = space.copyIn(randomFloats(2, cols));
    const size = activationBytes(layout, tokens, cols);
    const [y, row] = [space.allocate(tokens * cols * 4), space.allocate(cols * 4)];
    const [fused, apart] = [space.allocate(size), space.allocate(size)];
    kernels.rms_norm(y, x, weight, tokens, cols, eps);
    kernels.quantize(apart, y, tokens, cols, cols, layout);
    kernels.rms_norm_quantize(fused, row, x, weight, tokens, cols, eps, layout);
    expect(space.bytes(fused, size)).toEqual(space.bytes(apart, size));
    expect(space.damaged()).toEqual([]);
  });

  test.each(LAYOUTS)("swiglu gives the bytes of its two steps: %s", (_, layout) => {
    const [up, ld] = [cols + 8, 2 * cols + 11];
    const space = new GuardedMemory();
    const kernels = space.kernels(module);
    const gateUp = space.copyIn(randomFloats(1, tokens * ld, 6));
    const size = activationBytes(layout, tokens, cols);
    const [y, row] = [space.allocate(tokens * cols * 4), space.allocate(cols * 4)];
    const [fused, apart] = [space.allocate(size), space.allocate(size)];
    kernels.swiglu(y, gateUp, tokens, cols, up, ld);
    kernels.quantize(apart, y, tokens, cols, cols, layout);
    kernels.swiglu_quantize(fused, row, gateUp, tokens, cols, up, ld, layout);
    expect(space.bytes(fused, size)).toEqual(space.bytes(apart, size));
    expect(space.damaged()).toEqual([]);
  });
});
