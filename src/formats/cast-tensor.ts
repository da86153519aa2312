/**
 * A tensor in another float type, rounded to nearest, ties to even. Widening is exact. What is finite
 * and too large for the narrower type is refused: bf16 reaches 3e38, f16 ends at 65504.
 */
import { PronkError } from "../errors.ts";
import { FLOAT_BYTES, type FloatTensor, type FloatType } from "./float-tensor.ts";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "./half.ts";
import { printable } from "./printable.ts";
import { rowBytesOf } from "./stored-tensor.ts";

/** The tensor itself where it has the type already. */
export function castTensor(tensor: FloatTensor, type: FloatType): FloatTensor {
  if (tensor.type === type) return tensor;
  const { name, shape } = tensor;
  const elements = rowBytesOf(type, shape) / FLOAT_BYTES[type];
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      const source = new Uint8Array(count * elements * FLOAT_BYTES[tensor.type]);
      await tensor.readRows(first, count, source, signal);
      const values = toF32(source, tensor.type);
      const wrong = fromF32(values, type, into);
      if (wrong >= 0) {
        const row = first + Math.floor(wrong / elements);
        throw new PronkError(
          "unsupported",
          `tensor ${printable(name)}: row ${row}: ${values[wrong]} is too large for ${type}`,
        );
      }
    },
  };
}

/** The values of little-endian floats; a view of them where they are aligned f32. */
export function toF32(bytes: Uint8Array, type: FloatType): Float32Array {
  const length = bytes.length / FLOAT_BYTES[type];
  const isAligned = bytes.byteOffset % FLOAT_BYTES[type] === 0;
  const { buffer, byteOffset } = isAligned ? bytes : bytes.slice();
  if (type === "F32") return new Float32Array(buffer, byteOffset, length);
  const bits = new Uint16Array(buffer, byteOffset, length);
  const widen = type === "F16" ? f16ToF32 : bf16ToF32;
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = widen(bits[i]!);
  return values;
}

/**
 * Writes values as little-endian floats.
 *
 * @returns the index of the first finite value that became infinite, or -1.
 */
export function fromF32(values: Float32Array, type: FloatType, into: Uint8Array): number {
  if (type === "F32") {
    into.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return -1;
  }
  const isAligned = into.byteOffset % 2 === 0;
  const bits = isAligned
    ? new Uint16Array(into.buffer, into.byteOffset, values.length)
    : new Uint16Array(values.length);
  const narrow = type === "F16" ? f32ToF16 : f32ToBf16;
  const infinity = type === "F16" ? 0x7c00 : 0x7f80;
  let wrong = -1;
  for (let i = 0; i < values.length; i++) {
    bits[i] = narrow(values[i]!);
    if ((bits[i]! & 0x7fff) === infinity && wrong < 0 && Number.isFinite(values[i])) wrong = i;
  }
  if (!isAligned) into.set(new Uint8Array(bits.buffer));
  return wrong;
}
