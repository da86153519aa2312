/** Reading tensors' bytes. */
import type { TensorInfo } from "./model-file.ts";

/** Reads a whole tensor into new memory; for small ones. */
export async function readAllTensorBytes(
  tensor: TensorInfo,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(tensor.bytes);
  await tensor.source.readInto(bytes, tensor.start, signal);
  return bytes;
}
