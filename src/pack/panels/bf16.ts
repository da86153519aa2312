/** Scales and minima as bf16: to nearest, and outward where a range must stay covered. */
import { f16ToF32, f32ToBf16 } from "../../formats/half.ts";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The largest bf16 that is not above the value (as f32). */
export function bf16Below(value: number): number {
  f32[0] = value;
  return (u32[0] >>> 16) + (value < 0 && (u32[0] & 0xffff) !== 0 ? 1 : 0);
}

/** The smallest bf16 that is not below the value (as f32). */
export function bf16Above(value: number): number {
  f32[0] = value;
  return (u32[0] >>> 16) + (value > 0 && (u32[0] & 0xffff) !== 0 ? 1 : 0);
}

let table: Uint16Array | undefined;

/**
 * The nearest bf16 of every f16, indexed by its bits: 128 KiB, made when first asked for. Of 11
 * significant bits 8 stay, a relative error of at most 2^-8; infinities and NaN remain such.
 */
export function f16ToBf16Table(): Uint16Array {
  if (!table) {
    table = new Uint16Array(65536);
    for (let bits = 0; bits < table.length; bits++) table[bits] = f32ToBf16(f16ToF32(bits));
  }
  return table;
}
