/** GGUF: the header, each tensor's bytes, and its weights in every type that runs. */
import { dequantize } from "../../../src/formats/gguf/dequantize.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { TYPE_BLOCKS, typeNumber } from "../../../src/formats/gguf/types.ts";
import type { TensorType } from "../../../src/formats/model-file.ts";
import { readGgufConfig } from "../../../src/model/gguf-config.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { type GgufParts, SMALL, writeGguf } from "../../unit/formats/gguf-writer.ts";
import { ggufLayout } from "../gguf-layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { usable } from "../usable.ts";

/** One tensor of one block of every type. */
function everyType(): GgufParts {
  let end = 0;
  const tensors = (Object.keys(TYPE_BLOCKS) as TensorType[]).map((type) => {
    const { elements, bytes } = TYPE_BLOCKS[type];
    const tensor = {
      name: `blk.0.${type}`,
      dims: [elements, 2],
      type: typeNumber(type),
      offset: end,
    };
    end += Math.ceil((2 * bytes) / 32) * 32;
    return tensor;
  });
  return { tensors, dataBytes: end };
}

const CONFIG: GgufParts = {
  entries: [
    { key: "general.architecture", kind: "string", value: "llama" },
    ...Object.entries({
      context_length: 128,
      embedding_length: 32,
      block_count: 1,
      feed_forward_length: 64,
      "attention.head_count": 2,
      "attention.head_count_kv": 1,
      vocab_size: 8,
    }).map(([key, value]) => ({ key: `llama.${key}`, kind: "u32" as const, value })),
    { key: "llama.attention.layer_norm_rms_epsilon", kind: "f32", value: 1e-5 },
    { key: "llama.rope.freq_base", kind: "f32", value: 1e4 },
    { key: "llama.rope.scaling.type", kind: "string", value: "yarn" },
    { key: "llama.rope.scaling.factor", kind: "f32", value: 2 },
    { key: "llama.rope.scaling.original_context_length", kind: "u32", value: 64 },
  ],
  tensors: [{ name: "token_embd.weight", dims: [32, 8], type: 8, offset: 0 }],
  dataBytes: 272,
};

/** Weights of random bits, so that scales are of every size. */
function filled(parts: GgufParts): Uint8Array {
  const { bytes, dataStart } = writeGguf(parts);
  for (let i = dataStart; i < bytes.length; i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  return bytes;
}

/** Of a tensor; the files that are read are small, whatever they claim. */
const MAX_WEIGHTS = 1 << 16;

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const source = memorySource(input, "fuzz.gguf");
  if (
    input.length > 24 &&
    new DataView(input.buffer, input.byteOffset).getUint32(0, true) === 0x46554747
  ) {
    probe.pastHeader();
  }
  const file = await readGguf(source);
  probe.saw(`${file.tensors.size} tensors`);
  for (const tensor of file.tensors.values()) {
    await usable(`tensor ${tensor.name}`, async () => {
      const bytes = new Uint8Array(tensor.bytes);
      await tensor.source.readInto(bytes, tensor.start);
      const count = tensor.shape.reduce((product, length) => product * length, 1);
      if (count > MAX_WEIGHTS) return;
      dequantize(tensor.type, bytes, new Float32Array(count));
      probe.saw(`type ${tensor.type} ${tensor.shape.length}`);
    });
  }
  if (file.metadata.has("general.architecture")) {
    probe.saw(`layers ${Math.log2((await readGgufConfig(file)).num_hidden_layers) | 0}`);
  }
}

export const target: FuzzTarget = {
  seeds: () => [
    filled(everyType()),
    filled(CONFIG),
    writeGguf({ ...SMALL, entries: SMALL.entries!.slice(1) }).bytes,
  ],
  layout: ggufLayout,
  words: [
    ...[
      "general.alignment",
      "split.no",
      "split.count",
      "split.tensors.count",
      "general.architecture",
    ],
    ...["llama", "llama.block_count", "llama.rope.scaling.type", "linear", "longrope", "none"],
  ],
  run,
  planted: {
    name: "tensors may end behind the file",
    file: "src/formats/gguf/header.ts",
    find: "if (start + bytes > source.size) {",
    replace: "if (start + bytes > source.size + 4096) {",
  },
};
