/**
 * Writes a checkpoint as a GGUF file, as llama.cpp's convert_hf_to_gguf.py does: q and k rows as pairs,
 * norms in f32, the tokenizer in the metadata. Streams row by row.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { toF32 } from "../formats/cast-tensor.ts";
import { FLOAT_BYTES, type FloatTensor } from "../formats/float-tensor.ts";
import { quantize, type WrittenType, writtenBytes } from "../formats/gguf/quantize.ts";
import { type GgufTensor, type GgufValue, writeGguf } from "../formats/gguf/write-gguf.ts";
import type { OutputFile } from "../formats/output-file.ts";
import { invertOrder, permuteRows } from "../formats/permuted-tensor.ts";
import { parseLlamaConfig } from "../model/config.ts";
import { type GgufField, ggufModelFields } from "../model/gguf-fields.ts";
import { llamaTensors, type ModelTensor, rotaryRowOrder } from "../model/tensors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { findTensor } from "./checkpoint-entries.ts";
import { tokenizerMetadata } from "./tokenizer-metadata.ts";

export interface SaveGgufOptions {
  /** Of the matrices. Default: the type of the checkpoint's embedding. */
  readonly type?: WrittenType;
  /** general.name. Default: the checkpoint's. */
  readonly title?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/** llama_ftype of llama.h: what most tensors are. */
const FILE_TYPES: Readonly<Record<WrittenType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  BF16: 32,
};

/** Rows of about so many f32 bytes are converted at a time. */
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * @throws PronkError as parseLlamaConfig and findTensor; "unsupported" where GGUF has no words for
 *   something, or a weight is too large for the type; "aborted".
 */
export async function saveGguf(
  checkpoint: Checkpoint,
  file: OutputFile,
  options: SaveGgufOptions = {},
): Promise<void> {
  const { signal, onProgress } = options;
  const { name: where } = checkpoint;
  const config = parseLlamaConfig(checkpoint.config, `${where}: config.json`);
  const found = llamaTensors(config).map((entry) => {
    const tensor = findTensor(checkpoint, entry.name, entry.shape);
    const order = entry.rotaryHeads > 0 && rotaryRowOrder(entry.rotaryHeads, config.head_dim);
    return { entry, tensor: order ? permuteRows(tensor, invertOrder(order)) : tensor };
  });
  const type = options.type ?? found[0]!.tensor.type;
  let total = 0;
  let written = 0;
  const tensors = found.map(({ entry, tensor }) => {
    const as = typeFor(entry, type);
    const bytes = writtenBytes(
      as,
      entry.shape.reduce((product, size) => product * size, 1),
    );
    total += bytes;
    return ggufTensor(entry.gguf, tensor, as, (count) => {
      written += count;
      onProgress?.({ written, total });
    });
  });
  const model = ggufModelFields(config, where);
  for (const [name, values] of model.vectors) tensors.push(vectorTensor(name, values));

  const title = options.title ?? where.split(/[\\/]/).filter(Boolean).at(-1) ?? where;
  const metadata = new Map<string, GgufValue>([
    ...model.fields.map(({ key, type, value }): [string, GgufValue] => [
      key,
      ggufValue(type, value),
    ]),
    ["general.name", { type: "string", value: title }],
    ["general.file_type", { type: "u32", value: FILE_TYPES[type] }],
    ["general.quantization_version", { type: "u32", value: 2 }],
    ...(await tokenizerMetadata(checkpoint, config.vocab_size, signal)),
  ]);
  await writeGguf(file, metadata, tensors, signal);
}

function ggufValue(type: GgufField["type"], value: string | number): GgufValue {
  if (type === "string") return { type, value: String(value) };
  return { type: type === "uint32" ? "u32" : "f32", value: Number(value) };
}

/**
 * Vectors stay f32, as ggml computes with them. Four bits cost the embedding and the head most, so they
 * keep eight; rows that are not whole blocks keep sixteen.
 */
function typeFor({ role, shape }: ModelTensor, type: WrittenType): WrittenType {
  if (role === "vector") return "F32";
  if (type === "F32" || type === "F16" || type === "BF16") return type;
  if (shape[1]! % 32 !== 0) return "F16";
  return role === "embedding" ? "Q8_0" : type;
}

function ggufTensor(
  name: string,
  tensor: FloatTensor,
  type: WrittenType,
  onWrite: (bytes: number) => void,
): GgufTensor {
  const { shape } = tensor;
  const [rows] = shape as [number];
  const cols = shape[1] ?? 1;
  return {
    name,
    type,
    shape,
    async write(put, signal) {
      const step = Math.max(1, Math.min(rows, Math.floor(PIECE_BYTES / (cols * 4))));
      const source = new Uint8Array(step * cols * FLOAT_BYTES[tensor.type]);
      const target = new Uint8Array(writtenBytes(type, step * cols));
      for (let first = 0; first < rows; first += step) {
        throwIfAborted(signal);
        const count = Math.min(step, rows - first);
        const bytes = source.subarray(0, count * cols * FLOAT_BYTES[tensor.type]);
        await tensor.readRows(first, count, bytes, signal);
        const values = toF32(bytes, tensor.type);
        checkRange(values, tensor, type);
        const out = target.subarray(0, writtenBytes(type, count * cols));
        // The same type, bit for bit: also NaN.
        if (type === tensor.type) out.set(bytes);
        else quantize(type, values, out);
        await put(out);
        onWrite(out.length);
      }
    },
  };
}

/** f16, of weights and of scales, ends at 65504; a scale of Q4 is at most an eighth of a weight. */
function checkRange(values: Float32Array, tensor: FloatTensor, type: WrittenType): void {
  if (type === "F32" || type === "BF16" || type === tensor.type) return;
  for (const value of values) {
    if (Math.abs(value) < 65520) continue;
    throw new PronkError(
      "unsupported",
      `tensor ${tensor.name}: ${value} is too large for ${type}; F32 and BF16 hold it`,
    );
  }
}

function vectorTensor(name: string, values: Float32Array): GgufTensor {
  return {
    name,
    type: "F32",
    shape: [values.length],
    write: (put) => put(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  };
}
