/**
 * Writes a state dict as torch.save does: a zip with a pickle of the tensors' names and shapes, and a
 * member of bytes for each. Streams tensor by tensor. Source: torch/serialization.py (_save).
 */
import { copyTensor } from "../copy-tensor.ts";
import type { FloatTensor, FloatType } from "../float-tensor.ts";
import type { OutputFile } from "../output-file.ts";
import { tensorBytes } from "../stored-tensor.ts";
import { ZipWriter } from "./zip-writer.ts";

export interface WriteTorchOptions {
  /** The folder in the archive; torch.save takes the file's name without its extension. */
  readonly archive: string;
  readonly signal?: AbortSignal;
  /** After each piece: its bytes. */
  readonly onWrite?: (bytes: number) => void;
}

/** @throws PronkError as the tensors and the file do. */
export async function writeTorch(
  file: OutputFile,
  tensors: readonly FloatTensor[],
  { archive, signal, onWrite }: WriteTorchOptions,
): Promise<void> {
  const zip = new ZipWriter(file);
  const text = new TextEncoder();
  await zip.addBytes(`${archive}/data.pkl`, pickleStateDict(tensors));
  await zip.addBytes(`${archive}/byteorder`, text.encode("little"));
  for (const [key, tensor] of tensors.entries()) {
    await zip.add(`${archive}/data/${key}`, tensorBytes(tensor), (put) =>
      copyTensor(
        tensor,
        async (bytes) => {
          await put(bytes);
          onWrite?.(bytes.length);
        },
        signal,
      ),
    );
  }
  await zip.addBytes(`${archive}/version`, text.encode("3\n"));
  await zip.finish();
}

const STORAGES: Readonly<Record<FloatType, string>> = {
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
};

/** Opcodes of pickle protocol 2. */
const OP = {
  proto: 0x80,
  emptyDict: 0x7d,
  mark: 0x28,
  unicode: 0x58,
  global: 0x63,
  int1: 0x4b,
  int4: 0x4a,
  long1: 0x8a,
  tuple: 0x74,
  emptyTuple: 0x29,
  persistent: 0x51,
  newFalse: 0x89,
  reduce: 0x52,
  setItems: 0x75,
  stop: 0x2e,
} as const;

function pickleStateDict(tensors: readonly FloatTensor[]): Uint8Array {
  const bytes: number[] = [OP.proto, 2, OP.emptyDict, OP.mark];
  const encoder = new TextEncoder();
  const unicode = (text: string): void => {
    const encoded = encoder.encode(text);
    bytes.push(OP.unicode, ...littleEndian(encoded.length, 4), ...encoded);
  };
  const global = (module: string, name: string): void => {
    bytes.push(OP.global, ...encoder.encode(`${module}\n${name}\n`));
  };
  const integer = (value: number): void => {
    if (value < 256) bytes.push(OP.int1, value);
    else if (value < 2 ** 31) bytes.push(OP.int4, ...littleEndian(value, 4));
    else bytes.push(OP.long1, 8, ...littleEndian(value, 8));
  };
  const sizes = (values: readonly number[]): void => {
    bytes.push(OP.mark);
    for (const value of values) integer(value);
    bytes.push(OP.tuple);
  };
  for (const [key, { name, type, shape }] of tensors.entries()) {
    unicode(name);
    global("torch._utils", "_rebuild_tensor_v2");
    bytes.push(OP.mark, OP.mark);
    unicode("storage");
    global("torch", STORAGES[type]);
    unicode(String(key));
    unicode("cpu");
    integer(shape.reduce((product, size) => product * size, 1));
    bytes.push(OP.tuple, OP.persistent);
    integer(0);
    sizes(shape);
    sizes(shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1)));
    bytes.push(OP.newFalse);
    global("collections", "OrderedDict");
    bytes.push(OP.emptyTuple, OP.reduce, OP.tuple, OP.reduce);
  }
  bytes.push(OP.setItems, OP.stop);
  return Uint8Array.from(bytes);
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
