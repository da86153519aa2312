import { describe, expect, test } from "vitest";
import { attentionScratchBytes, kvLayout } from "../../../src/backends/wasm/kv-layout.ts";
import { PronkError } from "../../../src/errors.ts";
import {
  AttentionCase,
  KV,
  KV_TYPES,
  randomNumbers,
  type Shape,
} from "./wasm-attention-kernels.ts";

/** What rounding to nearest, ties to even, makes of a float: the kernels' addition of 1.5 * 2^23. */
function nearestEven(x: number): number {
  return Math.fround(Math.fround(x) + 12582912) - 12582912;
}

function toBf16(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer);
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0];
}

const SHAPES: Shape[] = KV_TYPES.flatMap((kv) =>
  [2, 6, 64, 90].map((headDim) => ({ kv, heads: 3, kvHeads: 3, headDim, ctx: 24, rows: 5 })),
);

describe("kv_store", () => {
  test.each(SHAPES)("writes the nearest values where the layout says: $kv, $headDim", (shape) => {
    const { kv, kvHeads, headDim, ctx } = shape;
    const { ld } = AttentionCase.columns(shape);
    const subject = new AttentionCase("plain", shape, randomNumbers(7, ctx * ld, 3), ld);
    subject.store(0, 1);
    subject.store(1, 16);
    subject.store(17, 7);
    const limit = KV[kv].kvMax;
    for (const which of ["k", "v"] as const)
      for (let position = 0; position < ctx; position++)
        for (let head = 0; head < kvHeads; head++) {
          const given = subject.given(which, position, head);
          const largest = Math.max(...given.map(Math.abs));
          for (let d = 0; d < headDim; d++) {
            const [value, scale] = subject.stored(which, position, head, d);
            if (kv === "f32") expect(value).toBe(given[d]);
            else if (kv === "bf16") expect(value).toBe(toBf16(given[d]));
            else {
              expect(scale).toBe(Math.fround(largest / limit));
              const factor = Math.fround(limit / largest);
              expect(value).toBe(nearestEven(Math.fround(given[d] * factor)));
              expect(Math.abs(value)).toBeLessThanOrEqual(limit);
            }
          }
        }
    expect(subject.space.damaged()).toEqual([]);
  });

  test.each(["int8", "int16"] as const)("stores a zero vector as zeros of scale zero: %s", (kv) => {
    const shape: Shape = { kv, heads: 1, kvHeads: 1, headDim: 6, ctx: 8, rows: 1 };
    const { ld } = AttentionCase.columns(shape);
    const subject = new AttentionCase("plain", shape, new Float32Array(8 * ld), ld);
    subject.store(0, 8);
    for (const which of ["k", "v"] as const)
      for (let d = 0; d < 6; d++) expect(subject.stored(which, 3, 0, d)).toEqual([0, 0]);
  });
});

describe("kvLayout", () => {
  test("gives SmolLM2 with 1,024 positions in int8 12.5 MB in all", () => {
    const { kBytes, vBytes, kScaleBytes, vScaleBytes } = kvLayout("int8", 3, 64, 1024);
    const bytes = 30 * (kBytes + vBytes + kScaleBytes + vScaleBytes);
    expect(bytes).toBe(30 * 1024 * 3 * (2 * 64 + 2 * 4));
    expect(bytes / 1e6).toBeCloseTo(12.53, 2);
  });

  test.each(KV_TYPES)("leaves no byte unused when all positions are written: %s", (kv) => {
    const shape: Shape = { kv, heads: 2, kvHeads: 2, headDim: 16, ctx: 128, rows: 128 };
    const { ld } = AttentionCase.columns(shape);
    // -1 and -0.5 have no byte 0xff in any type
    const qkv = new Float32Array(128 * ld).map((_, i) => (i % 3 ? -1 : -0.5));
    const subject = new AttentionCase("plain", shape, qkv, ld);
    subject.store(0, 128);
    expect(subject.staleCacheBytes()).toBe(0);
  });

  test("gives V whole blocks of 64 positions", () => {
    const [cut, whole] = [72, 128].map((ctx) => kvLayout("int16", 3, 64, ctx));
    expect(cut.vBytes).toBe(whole.vBytes);
    expect(cut.kBytes).toBe((whole.kBytes * 72) / 128);
  });

  test.each([
    ["an odd head size", 63, 1024],
    ["a head size above 256", 258, 1024],
    ["no head size", 0, 1024],
    ["a context that is no multiple of 8", 64, 1020],
    ["no context", 64, 0],
  ])("refuses %s", (_, headDim, ctx) => {
    expect(() => kvLayout("int16", 3, headDim, ctx)).toThrow(PronkError);
    expect(() => attentionScratchBytes("int16", 1, 9, 3, headDim, ctx)).toThrow(/KV cache: /);
  });
});

describe("attentionScratchBytes", () => {
  const cases = KV_TYPES.flatMap((kv) =>
    [
      { heads: 9, kvHeads: 3, headDim: 64, rows: 1 },
      { heads: 9, kvHeads: 1, headDim: 64, rows: 1 },
      { heads: 9, kvHeads: 3, headDim: 64, rows: 2 },
      { heads: 9, kvHeads: 3, headDim: 64, rows: 64 },
      { heads: 4, kvHeads: 4, headDim: 10, rows: 5 },
      { heads: 1, kvHeads: 1, headDim: 256, rows: 3 },
    ].map((shape) => ({ kv, ...shape })),
  );

  test.each(cases)("is enough and needed: $kv, $rows rows, $heads/$kvHeads, $headDim", (sizes) => {
    for (const ctx of [64, 264, 512]) {
      const shape: Shape = { ...sizes, ctx };
      const { ld } = AttentionCase.columns(shape);
      const subject = new AttentionCase("plain", shape, randomNumbers(8, ctx * ld), ld);
      subject.store(0, ctx);
      for (let rows = 1; rows <= sizes.rows; rows++) subject.attend(ctx - rows, rows);
      expect(subject.space.damaged()).toEqual([]);
      expect(subject.untouchedScratch()).toBeLessThanOrEqual(64);
    }
  });

  test("is under 210 KB for SmolLM2 with 1,024 positions", () => {
    expect(attentionScratchBytes("int8", 64, 9, 3, 64, 1024)).toBeLessThan(230_000);
    expect(attentionScratchBytes("int8", 1, 9, 3, 64, 1024)).toBeLessThan(20_000);
  });

  test("grows with rows only up to one pass", () => {
    const bytes = [1, 2, 16, 17, 64, 512].map((rows) =>
      attentionScratchBytes("int16", rows, 9, 3, 64, 1024),
    );
    expect([...bytes].sort((a, b) => a - b)).toEqual(bytes);
    expect(bytes[5]).toBe(bytes[2]);
  });
});
