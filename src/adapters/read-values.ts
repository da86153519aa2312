import { toF32 } from "../formats/cast-tensor.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { rowBytesOf, tensorBytes } from "../formats/stored-tensor.ts";

/** All of a tensor, in f32, row-major. Its shape was compared with the file's size when the index was read. */
export async function readValues(tensor: FloatTensor, signal?: AbortSignal): Promise<Float32Array> {
  const { type, shape } = tensor;
  const bytes = new Uint8Array(tensorBytes(tensor));
  const count = bytes.length / rowBytesOf(type, shape);
  await tensor.readRows(0, count, bytes, signal);
  return toF32(bytes, type);
}
