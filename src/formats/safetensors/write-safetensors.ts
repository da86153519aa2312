/**
 * Writes a safetensors file, tensor by tensor: the same bytes as the reference implementation, which
 * puts larger elements first, then names in order, and pads its JSON to a multiple of 8 with spaces.
 * Source: prepare() in safetensors/src/tensor.rs.
 */
import { copyTensor } from "../copy-tensor.ts";
import { FLOAT_BYTES, type FloatTensor } from "../float-tensor.ts";
import type { OutputFile } from "../output-file.ts";
import { tensorBytes } from "../stored-tensor.ts";

export interface WriteSafetensorsOptions {
  readonly signal?: AbortSignal;
  /** After each piece: its bytes. */
  readonly onWrite?: (bytes: number) => void;
}

/** @throws PronkError as the tensors and the file do. */
export async function writeSafetensors(
  file: OutputFile,
  tensors: readonly FloatTensor[],
  { signal, onWrite }: WriteSafetensorsOptions = {},
): Promise<void> {
  const ordered = [...tensors].sort(
    (a, b) =>
      FLOAT_BYTES[b.type] - FLOAT_BYTES[a.type] || order(a.type, b.type) || order(a.name, b.name),
  );
  await file.write(header(ordered));
  for (const tensor of ordered) {
    const write = async (bytes: Uint8Array): Promise<void> => {
      await file.write(bytes);
      onWrite?.(bytes.length);
    };
    await copyTensor(tensor, write, signal);
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function header(tensors: readonly FloatTensor[]): Uint8Array {
  let end = 0;
  const entries = tensors.map((tensor) => {
    const start = end;
    end += tensorBytes(tensor);
    return [tensor.name, { dtype: tensor.type, shape: tensor.shape, data_offsets: [start, end] }];
  });
  // transformers refuses files that do not say so.
  const content = { __metadata__: { format: "pt" }, ...Object.fromEntries(entries) };
  const json = new TextEncoder().encode(JSON.stringify(content));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
