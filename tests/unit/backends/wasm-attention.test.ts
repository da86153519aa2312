import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MODULES } from "../../support/kernel-builds.ts";
import {
  AttentionCase,
  KV,
  KV_TYPES,
  randomNumbers,
  type Shape,
} from "./wasm-attention-kernels.ts";
import { referenceAttention } from "./wasm-attention-reference.ts";

const HEAD_DIMS = [2, 6, 16, 64, 80, 96, 128, 256];
/** heads, kvHeads */
const GROUPS = [
  [2, 2],
  [2, 1],
  [6, 2],
  [4, 1],
  [8, 1],
  [9, 1],
];
const POSITIONS = [0, 1, 7, 8, 63, 64, 65, 255, 256, 257];
const CTX = 280;

function randomCase(module: string, shape: Shape, seed: number): AttentionCase {
  const { k, ld } = AttentionCase.columns(shape);
  const qkv = randomNumbers(seed, shape.ctx * ld);
  // queries a little larger, so that softmax is neither flat nor a single key
  for (let i = 0; i < qkv.length; i++) if (i % ld < k) qkv[i] *= 1.5;
  return new AttentionCase(module, shape, qkv, ld);
}

function shapes(rows: number): Shape[] {
  return KV_TYPES.flatMap((kv) =>
    HEAD_DIMS.flatMap((headDim) =>
      GROUPS.map(([heads, kvHeads]) => ({ kv, heads, kvHeads, headDim, ctx: CTX, rows })),
    ),
  );
}

function name({ kv, headDim, heads, kvHeads }: Shape): string {
  return `${kv}, head size ${headDim}, ${heads} heads over ${kvHeads}`;
}

/** All outputs of the first `positions`, as bytes. */
function outputs(of: AttentionCase, positions: number): string {
  const hash = createHash("sha256");
  for (let i = 0; i < positions; i++) hash.update(of.output(i));
  return hash.digest("hex");
}

describe("attention", () => {
  test.each(KV_TYPES)("is within its worst-case error of f64 attention: %s", (kv) => {
    let turn = 0;
    for (const shape of shapes(20).filter((shape) => shape.kv === kv)) {
      const subject = randomCase("plain", shape, turn + 1);
      for (let i = 0; i < 3; i++, turn++) {
        const rows = 1 + ((turn * 7) % 20);
        const position = POSITIONS[turn % POSITIONS.length];
        if (position > 0) subject.store(0, position);
        subject.run(position, rows);
        expect(subject.space.damaged(), name(shape)).toEqual([]);
        for (const row of new Set([0, rows - 1])) {
          const head = turn % shape.heads;
          const { out, tolerance } = referenceAttention(subject, position + row, head);
          const actual = subject.output(position + row).subarray(head * shape.headDim);
          for (let d = 0; d < shape.headDim; d++) {
            const where = `${name(shape)}: position ${position}, row ${row} of ${rows}, dim ${d}`;
            expect(Math.abs(actual[d] - out[d]), where).toBeLessThanOrEqual(tolerance[d]);
          }
        }
      }
    }
  });
});

describe.each(MODULES)("attention, %s module", (module) => {
  test.each(KV_TYPES)("gives the same bits token by token and in any chunks: %s", (kv) => {
    const all = shapes(64).filter((shape) => shape.kv === kv);
    // a third of all pairs of head size and group, each of both twice at least
    const third = all.filter((_, i) => (Math.floor(i / GROUPS.length) + i) % 3 === 0);
    for (const shape of third) {
      const subject = randomCase(module, shape, shape.headDim);
      for (let position = 0; position < CTX; position++) subject.run(position, 1);
      const expected = outputs(subject, CTX);
      const sizes = [[2], [3], [7], [20], [64], [1, 13, 5, 17, 2, 9, 30, 4]];
      for (const chunks of shape.headDim <= 64 ? sizes : sizes.slice(4)) {
        subject.clear();
        for (let position = 0, i = 0; position < CTX; i++) {
          const rows = Math.min(chunks[i % chunks.length], CTX - position);
          subject.run(position, rows);
          position += rows;
        }
        expect(outputs(subject, CTX), `${name(shape)}, chunks of ${chunks}`).toBe(expected);
      }
      expect(subject.space.damaged(), name(shape)).toEqual([]);
    }
  });

  test.each([
    ["int8", "6aa5efca1d9603b14526d84f55a2656a34561f612f3eaacd3be04c87c45f33e7"],
    ["int16", "c83ccc04985a85a1d58a1f453ede3d8fba883b75ea40e2e50a62efe1bc895601"],
    ["bf16", "98ba445e592c021a390b6958d7b4947575414fff9ecc9d28663f1cde20fcfb02"],
    ["f32", "9be3085c1e7731f5024a1f2a5f2f5a0cc2059ddade9c1a683d8833aaf6d6f0f5"],
  ] as const)("gives the bits of every other runtime and module: %s", (kv, expected) => {
    const shape: Shape = { kv, heads: 9, kvHeads: 3, headDim: 64, ctx: 344, rows: 64 };
    const subject = randomCase(module, shape, 42);
    for (let position = 0; position < 344; position += 64)
      subject.run(position, Math.min(64, 344 - position));
    expect(outputs(subject, 344)).toBe(expected);
  });
});

describe.each(KV_TYPES)("attention over %s", (kv) => {
  const shape: Shape = { kv, heads: 6, kvHeads: 2, headDim: 64, ctx: 320, rows: 32 };

  test("gives zeros for values that are all zero, and an average for keys or queries that are", () => {
    const { k, v, ld } = AttentionCase.columns(shape);
    const filled = (from: number, to: number): AttentionCase => {
      const qkv = randomNumbers(3, shape.ctx * ld);
      for (let i = 0; i < qkv.length; i++) if (i % ld >= from && i % ld < to) qkv[i] = 0;
      const subject = new AttentionCase("plain", shape, qkv, ld);
      subject.run(0, 32);
      subject.run(32, 1);
      return subject;
    };
    expect(filled(v, ld).output(32)).toEqual(new Float32Array(6 * 64));
    for (const subject of [filled(0, k), filled(k, v)])
      for (const position of [31, 32]) {
        const { out, tolerance } = referenceAttention(subject, position, 5);
        const values = subject.decoded("v", position + 1, 1);
        for (let d = 0; d < 64; d++) {
          const mean = values.reduce((sum, value) => sum + value[d], 0) / (position + 1);
          expect(Math.abs(out[d] - mean)).toBeLessThan(1e-12);
          const actual = subject.output(position)[5 * 64 + d];
          expect(Math.abs(actual - mean)).toBeLessThanOrEqual(tolerance[d]);
        }
      }
  });

  test.each([
    ["the smallest numbers", 2 ** -149],
    ["numbers whose reciprocal overflows", 2 ** -127],
    ["large numbers", 2 ** 60],
  ])("gives finite outputs for %s", (_, size) => {
    const { ld } = AttentionCase.columns(shape);
    const qkv = randomNumbers(4, shape.ctx * ld).map((x) => Math.sign(x) * size);
    const subject = new AttentionCase("plain", shape, qkv, ld);
    subject.run(0, 32);
    subject.run(32, 1);
    for (const position of [0, 31, 32])
      for (const x of subject.output(position)) {
        expect(Number.isFinite(x)).toBe(true);
        expect(Math.abs(x)).toBeLessThanOrEqual(size * 1.01);
      }
  });

  test("keeps the values of distant keys when whole blocks of others vanish", () => {
    const { k, v, ld } = AttentionCase.columns(shape);
    const qkv = randomNumbers(5, shape.ctx * ld);
    // q . k * scale is 0 for the first 8 keys and about -200 for the others: their p is at most 2^-96
    for (let row = 0; row < shape.ctx; row++)
      for (let i = 0; i < v; i++) qkv[row * ld + i] = i < k ? 5 : row < 8 ? 0 : -5;
    const subject = new AttentionCase("plain", shape, qkv, ld);
    subject.store(0, 320);
    subject.attend(288, 32);
    for (const position of [288, 319]) {
      const { out, tolerance } = referenceAttention(subject, position, 2);
      for (let d = 0; d < 64; d++) {
        expect(Math.abs(subject.output(position)[2 * 64 + d] - out[d])).toBeLessThan(tolerance[d]);
      }
    }
  });

  test.each(["q", "k", "v"])("shows a NaN in %s wherever it is seen, and nowhere else", (where) => {
    const { k, v, ld } = AttentionCase.columns(shape);
    const qkv = randomNumbers(9, shape.ctx * ld);
    qkv[20 * ld + { q: 0, k: k, v: v }[where]!] = Number.NaN;
    const subject = new AttentionCase("plain", shape, qkv, ld);
    subject.run(0, 20);
    for (let position = 20; position < 24; position++) subject.run(position, 1);
    subject.run(24, 8);
    for (let position = 0; position < 32; position++) {
      const seen = where === "q" ? position === 20 : position >= 20;
      const poisoned = subject
        .output(position)
        .subarray(0, 3 * 64)
        .some(Number.isNaN);
      expect(poisoned, `position ${position}`).toBe(seen);
      const otherHeads = subject.output(position).subarray(3 * 64);
      expect(otherHeads.some(Number.isNaN), `position ${position}`).toBe(false);
    }
  });

  test("does not look beyond a query's own position", () => {
    const subject = randomCase("plain", shape, 6);
    subject.run(0, 32);
    const expected = outputs(subject, 32);
    subject.store(32, 288);
    subject.attend(0, 32);
    expect(outputs(subject, 32)).toBe(expected);
  });
});

describe("integer sums do not overflow", () => {
  test.each(["int8", "int16"] as const)("with the largest q, K, p and V: %s", (kv) => {
    for (const headDim of [64, 128, 130, 256]) {
      const shape: Shape = { kv, heads: 2, kvHeads: 1, headDim, ctx: 320, rows: 8 };
      const { k, v, ld } = AttentionCase.columns(shape);
      // every third key points away from the queries; the others' p are all 1
      const away = (i: number): boolean => Math.floor(i / ld) % 3 === 2;
      const qkv = new Float32Array(shape.ctx * ld).map((_, i) => {
        if (i % ld < k) return 0.5;
        if (i % ld < v) return away(i) ? -0.5 : 0.5;
        return away(i) ? -3 : 3;
      });
      const subject = new AttentionCase("plain", shape, qkv, ld);
      subject.store(0, 320);
      subject.attend(312, 8);
      subject.attend(311, 1);
      expect(subject.stored("k", 5, 0, headDim - 1)[0]).toBe(-KV[kv].kvMax);
      for (const position of [311, 312, 319]) {
        const { out, tolerance } = referenceAttention(subject, position, 1);
        const actual = subject.output(position).subarray(headDim);
        for (let d = 0; d < headDim; d++)
          expect(Math.abs(actual[d] - out[d])).toBeLessThanOrEqual(tolerance[d]);
      }
    }
  });
});
