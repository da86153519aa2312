/** A Meta checkpoint of any size on disk, in two shards, whose weights are holes but for marks. */
import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  bytesOf,
  type Code,
  dict,
  pickle,
  tensor,
  text,
  zip,
} from "../unit/formats/torch/torch-writer.ts";

/** Of Llama 3.2 1B. */
export const LLAMA_1B = {
  dim: 2048,
  n_layers: 16,
  n_heads: 32,
  n_kv_heads: 8,
  ffn: 8192,
  vocab_size: 128_256,
} as const;

const SHARDS = 2;
const BF16_BYTES = 2;

/** bf16 of a row's number, as far as its 8 bits go: what each first element of a row is. */
export function mark(row: number): number {
  return new Uint16Array(Float32Array.of((row % 251) + 1).buffer)[1];
}

/** Shapes of shard 0; the others' are the same. */
function shapes(): [string, number[]][] {
  const { dim, n_layers, n_heads, n_kv_heads, ffn, vocab_size } = LLAMA_1B;
  const kv = (dim / n_heads) * n_kv_heads;
  const layers = Array.from({ length: n_layers }, (_, i): [string, number[]][] => [
    [`layers.${i}.attention.wq.weight`, [dim / SHARDS, dim]],
    [`layers.${i}.attention.wk.weight`, [kv / SHARDS, dim]],
    [`layers.${i}.attention.wv.weight`, [kv / SHARDS, dim]],
    [`layers.${i}.attention.wo.weight`, [dim, dim / SHARDS]],
    [`layers.${i}.feed_forward.w1.weight`, [ffn / SHARDS, dim]],
    [`layers.${i}.feed_forward.w2.weight`, [dim, ffn / SHARDS]],
    [`layers.${i}.feed_forward.w3.weight`, [ffn / SHARDS, dim]],
    [`layers.${i}.attention_norm.weight`, [dim]],
    [`layers.${i}.ffn_norm.weight`, [dim]],
  ]);
  return [
    ["tok_embeddings.weight", [vocab_size / SHARDS, dim]],
    ["output.weight", [vocab_size / SHARDS, dim]],
    ["norm.weight", [dim]],
    ...layers.flat(),
  ];
}

/** Writes params.json and both shards; on most file systems they take a few MB. */
export async function writeMeta1b(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { ffn, ...params } = LLAMA_1B;
  const json = { ...params, norm_eps: 1e-5, rope_theta: 500_000, use_scaled_rope: true };
  await writeFile(join(folder, "params.json"), JSON.stringify(json));
  for (let shard = 0; shard < SHARDS; shard++) {
    const file = await open(join(folder, `consolidated.0${shard}.pth`), "w");
    try {
      await writeShard(file);
    } finally {
      await file.close();
    }
  }
}

async function writeShard(file: FileHandle): Promise<void> {
  const items: Code[] = [];
  const records: Uint8Array[] = [];
  let start = 0;
  let count = 0;
  /** A member of `bytes` bytes: its header here, its record for the directory. */
  const member = async (name: string, bytes: number): Promise<void> => {
    const sized = zip([
      { name, bytes: new Uint8Array(0), size: bytes, stored: bytes, header: start },
    ]);
    const header = sized.subarray(0, 30 + name.length);
    await file.write(header, 0, header.length, start);
    records.push(sized.subarray(header.length, sized.length - 22));
    start += header.length;
    count++;
  };
  const entries = shapes();
  for (const [i, [name, shape]] of entries.entries()) {
    const elements = shape.reduce((product, n) => product * n, 1);
    const strides = shape.length === 1 ? [1] : [shape[1], 1];
    const key = String(i);
    items.push(text(name), tensor({ type: "BFloat16Storage", key, elements, shape, strides }));
  }
  const data = pickle(dict(...items));
  await member("m/data.pkl", data.length);
  await file.write(data, 0, data.length, start);
  start += data.length;
  for (const [i, [name, shape]] of entries.entries()) {
    const rowBytes = (shape[1] ?? 1) * BF16_BYTES;
    await member(`m/data/${i}`, shape[0] * rowBytes);
    // Every 64th row has its mark: the rest are holes. The head is not the embedding.
    const shift = name === "output.weight" ? 1 : 0;
    for (let row = 0; row < shape[0]; row += 64) {
      await file.write(Uint16Array.of(mark(row + shift)), 0, BF16_BYTES, start + row * rowBytes);
    }
    start += shape[0] * rowBytes;
  }
  const directory = bytesOf(records);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, directory.length, true);
  end.setUint32(16, start, true);
  await file.write(directory, 0, directory.length, start);
  await file.write(end, 0, 22, start + directory.length);
}
