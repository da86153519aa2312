/**
 * The two 16-bit floats that weights and scales come in, as bits.
 *
 * f16 (IEEE 754 binary16) has 5 exponent and 10 fraction bits, bf16 is the upper half of an f32.
 * Every value of both is an f32, so widening is exact.
 */

/** 2^112: the difference of the exponent biases of f16 (15) and f32 (127). */
const TWO_TO_112 = 2 ** 112;

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The value of these f16 bits, exactly; infinities and NaN included. */
export function f16ToF32(bits: number): number {
  const magnitude = bits & 0x7fff;
  const sign = (bits & 0x8000) << 16;
  if (magnitude >= 0x7c00) {
    u32[0] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    return f32[0]!;
  }
  u32[0] = sign | (magnitude << 13);
  // The product renormalizes subnormals; it is exact, because it only moves the exponent.
  return f32[0]! * TWO_TO_112;
}

/** The value of these bf16 bits, exactly. */
export function bf16ToF32(bits: number): number {
  u32[0] = bits << 16;
  return f32[0]!;
}

/** The bits of the nearest bf16, ties to even; a NaN stays one. */
export function f32ToBf16(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bits of the nearest f16, ties to even; beyond 65519 infinity; a NaN stays one. */
export function f32ToF16(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520, halfway to the first that is too large
  if (magnitude >= 0x38800000) {
    // Normal: the exponent's bias goes from 127 to 15, 13 bits of fraction are rounded off.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal, in units of 2^-24: the sum with 0.5 has its last bit there, so f32 rounds to it.
  u32[0] = magnitude;
  f32[0] = f32[0]! + 0.5;
  return sign | (u32[0]! - 0x3f000000);
}
