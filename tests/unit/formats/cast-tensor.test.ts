import { expect, test } from "vitest";
import { castTensor, fromF32, toF32 } from "../../../src/formats/cast-tensor.ts";
import type { FloatType } from "../../../src/formats/float-tensor.ts";
import { f16ToF32, f32ToF16 } from "../../../src/formats/half.ts";
import { storedTensor } from "../../../src/formats/stored-tensor.ts";
import { memorySource } from "../../../src/sources/memory.ts";

test("every f16 survives the way to f32 and back", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = f16ToF32(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(f16ToF32(f32ToF16(value)))).toBe(true);
    else if (f32ToF16(value) !== bits) expect(f32ToF16(value)).toBe(bits);
  }
});

test("between two f16 the nearer one is taken, of two as near the even one", () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const low = f16ToF32(bits);
    const high = f16ToF32(bits + 1);
    const middle = (low + high) / 2; // exact in f32: one bit more
    const even = bits % 2 === 0 ? bits : bits + 1;
    const step = (high - low) / 64;
    const found = [f32ToF16(middle), f32ToF16(middle - step), f32ToF16(middle + step)];
    if (String(found) !== String([even, bits, bits + 1]))
      expect(found).toEqual([even, bits, bits + 1]);
    if (f32ToF16(-middle) !== (even | 0x8000)) expect(f32ToF16(-middle)).toBe(even | 0x8000);
  }
  expect(f32ToF16(65519.99)).toBe(0x7bff);
  expect(f32ToF16(65520)).toBe(0x7c00);
  expect(f32ToF16(-Infinity)).toBe(0xfc00);
});

function tensorOf(values: number[], type: FloatType, rows: number) {
  const bytes = new Uint8Array(values.length * (type === "F32" ? 4 : 2));
  fromF32(Float32Array.from(values), type, bytes);
  return storedTensor("a.weight", type, [rows, values.length / rows], memorySource(bytes, "a"), 0);
}

test("reads rows in another type, at any alignment", async () => {
  const values = [1, -2.5, 0.125, 3, 65504, -0];
  const cast = castTensor(tensorOf(values, "F32", 3), "F16");
  expect(cast).toMatchObject({ type: "F16", shape: [3, 2] });
  const place = new Uint8Array(9).subarray(1);
  await cast.readRows(1, 2, place);
  expect([...toF32(place, "F16")]).toEqual([0.125, 3, 65504, -0]);
});

test("refuses what is too large for f16, naming tensor and row", async () => {
  const cast = castTensor(tensorOf([1, 2, 3, 1e6], "BF16", 2), "F16");
  await cast.readRows(0, 1, new Uint8Array(4));
  await expect(cast.readRows(1, 1, new Uint8Array(4))).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringMatching(/a\.weight: row 1: .* is too large for F16/),
  });
});

test("keeps infinities and NaN as they are", async () => {
  const cast = castTensor(tensorOf([Infinity, NaN], "F32", 1), "F16");
  const bytes = new Uint8Array(4);
  await cast.readRows(0, 1, bytes);
  expect([...toF32(bytes, "F16")]).toEqual([Infinity, NaN]);
});
