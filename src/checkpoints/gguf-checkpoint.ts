/** A GGUF file as a checkpoint: Hugging Face's names and row order, quantized weights as f32. */
import { PronkError } from "../errors.ts";
import { FLOAT_BYTES, type FloatTensor, type FloatType } from "../formats/float-tensor.ts";
import { dequantize } from "../formats/gguf/dequantize.ts";
import { readGguf } from "../formats/gguf/read-gguf.ts";
import { TYPE_BLOCKS } from "../formats/gguf/types.ts";
import type { MetadataValue, TensorInfo } from "../formats/model-file.ts";
import { permuteRows } from "../formats/permuted-tensor.ts";
import { storedTensor } from "../formats/stored-tensor.ts";
import { readGgufConfig } from "../model/gguf-config.ts";
import { llamaTensors, rotaryRowOrder } from "../model/tensors.ts";
import type { ByteSource } from "../sources/source.ts";
import { isKnownPre } from "../tokenizers/compile-byte-level.ts";
import { compileTokenizer } from "../tokenizers/compile-tokenizer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { HF_DTYPES } from "./dtype.ts";
import { vocabularyFiles } from "./tokenizer-of-vocabulary.ts";

/** GGUF's ids of special tokens, and config.json's fields. */
const TOKEN_IDS = [
  ["bos", "bos_token_id"],
  ["eos", "eos_token_id"],
  ["padding", "pad_token_id"],
] as const;

/**
 * @param sources the file, or the parts of a split model in any order.
 * @throws PronkError as readGguf and readGgufConfig; "bad_format" when a tensor is missing or has
 *   another shape than the configuration says.
 */
export async function openGgufCheckpoint(
  sources: readonly ByteSource[],
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const file = await readGguf(sources, signal);
  const config = await readGgufConfig(file, signal);
  const tensors = new Map<string, FloatTensor>();
  for (const { name, gguf, shape, rotaryHeads } of llamaTensors(config)) {
    const info = file.tensors.get(gguf);
    if (!info) throw new PronkError("bad_format", `${file.name}: tensor ${gguf} is missing`);
    if (String(info.shape) !== String(shape)) {
      const found = `shape [${info.shape}], expected [${shape}]`;
      throw new PronkError("bad_format", `${file.name}: tensor ${gguf}: ${found}`);
    }
    const tensor = floatTensor(name, info);
    const order = rotaryHeads > 0 && rotaryRowOrder(rotaryHeads, config.head_dim);
    tensors.set(name, order ? permuteRows(tensor, order) : tensor);
  }
  const ids = TOKEN_IDS.flatMap(([kind, field]) => {
    const id = file.metadata.get(`tokenizer.ggml.${kind}_token_id`);
    return typeof id === "number" && id < config.vocab_size ? [[field, id]] : [];
  });
  const embedding = tensors.get("model.embed_tokens.weight")!;
  const found = file.metadata.get("tokenizer.chat_template");
  const template = typeof found === "string" ? found : null;
  const text = (key: string): MetadataValue | undefined => file.metadata.get(key);
  return {
    name: file.name,
    config: {
      architectures: ["LlamaForCausalLM"],
      ...config,
      ...Object.fromEntries(ids),
      dtype: HF_DTYPES[embedding.type],
      ...(typeof text("general.name") === "string" && { _name_or_path: text("general.name") }),
    },
    tensors,
    ...(ids.length > 0 && { generation_config: Object.fromEntries(ids) }),
    ...(hasVocabulary(file.metadata) && {
      files: vocabularyFiles(() => compileTokenizer(file.metadata), template),
    }),
  };
}

/** Not of kinds that are not read here: the weights are, all the same. */
function hasVocabulary(metadata: ReadonlyMap<string, MetadataValue>): boolean {
  const model = metadata.get("tokenizer.ggml.model");
  return model === "llama" || (model === "gpt2" && isKnownPre(metadata.get("tokenizer.ggml.pre")));
}

/** Floats as they are; blocks of codes dequantized, row by row. */
function floatTensor(name: string, { type, shape, source, start }: TensorInfo): FloatTensor {
  if (isFloat(type)) return storedTensor(name, type, shape, source, start);
  const cols = shape.at(-1)!;
  const block = TYPE_BLOCKS[type];
  const rowBytes = (cols / block.elements) * block.bytes;
  return {
    name,
    type: "F32",
    shape,
    async readRows(first, count, into, signal) {
      const codes = new Uint8Array(count * rowBytes);
      await source.readInto(codes, start + first * rowBytes, signal);
      const values = new Float32Array(count * cols);
      dequantize(type, codes, values);
      into.set(new Uint8Array(values.buffer));
    },
  };
}

function isFloat(type: string): type is FloatType {
  return Object.hasOwn(FLOAT_BYTES, type);
}
