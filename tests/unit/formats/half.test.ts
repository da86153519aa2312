import { expect, test } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16 } from "../../../src/formats/half.ts";

/** The definition of binary16. */
function f16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

test("every f16 widens to its exact value", () => {
  const wrong = Array.from({ length: 65_536 }, (_, bits) => bits).filter(
    (bits) => !Object.is(f16ToF32(bits), f16(bits)),
  );
  expect(wrong).toEqual([]);
});

test("every bf16 widens to its exact value and narrows back to its bits", () => {
  const view = new DataView(new ArrayBuffer(4));
  const wrong = Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => {
    view.setUint32(0, bits * 65_536);
    const value = bf16ToF32(bits);
    if (Number.isNaN(value)) return !Number.isNaN(view.getFloat32(0)) || (bits & 0x7fff) <= 0x7f80;
    return !Object.is(value, view.getFloat32(0)) || f32ToBf16(value) !== bits;
  });
  expect(wrong).toEqual([]);
});

test.each([
  ["down below half", 1 + 2 ** -8 - 2 ** -23, 0x3f80],
  ["half to even, down", 1 + 2 ** -8, 0x3f80],
  ["up above half", 1 + 2 ** -8 + 2 ** -23, 0x3f81],
  ["half to even, up", 1 + 3 * 2 ** -8, 0x3f82],
  ["negative numbers alike", -1 - 3 * 2 ** -8, 0xbf82],
  ["the largest f32 to infinity", 3.4028234663852886e38, 0x7f80],
  ["the smallest f32 to zero", 2 ** -149, 0],
  ["minus zero to itself", -0, 0x8000],
])("f32ToBf16 rounds %s", (_, value, bits) => {
  expect(f32ToBf16(value)).toBe(bits);
});

test("f32ToBf16 keeps a NaN whose payload lies in the lower half", () => {
  const nan = new Float32Array(Uint32Array.of(0x7f800001).buffer)[0]!;
  expect(f32ToBf16(nan) & 0x7fff).toBeGreaterThan(0x7f80);
});
