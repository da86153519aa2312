import { PronkError } from "../errors.ts";
import { toF32 } from "../formats/cast-tensor.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { rowBytesOf, tensorBytes } from "../formats/stored-tensor.ts";

/**
 * All of a tensor, in f32, row-major. Its shape was compared with the file's size when the index was read.
 *
 * @throws PronkError "bad_format" on what is infinite or no number.
 */
export async function readValues(tensor: FloatTensor, signal?: AbortSignal): Promise<Float32Array> {
  const { name, type, shape } = tensor;
  const bytes = new Uint8Array(tensorBytes(tensor));
  const count = bytes.length / rowBytesOf(type, shape);
  await tensor.readRows(0, count, bytes, signal);
  const values = toF32(bytes, type);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return values;
  throw new PronkError(
    "bad_format",
    `tensor ${printable(name)}: element ${wrong}: ${values[wrong]}`,
  );
}
