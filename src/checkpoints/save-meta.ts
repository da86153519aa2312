/**
 * Writes a checkpoint as Meta distributes Llama, in one shard: consolidated.00.pth, params.json and
 * tokenizer.model. Rows of wq and wk become pairs again.
 */
import { castTensor } from "../formats/cast-tensor.ts";
import type { FloatTensor, FloatType } from "../formats/float-tensor.ts";
import { type OutputFolder, writeOutput, writeWhole } from "../formats/output-file.ts";
import { invertOrder, permuteRows } from "../formats/permuted-tensor.ts";
import { tensorBytes } from "../formats/stored-tensor.ts";
import { writeTorch } from "../formats/torch/write-torch.ts";
import { parseLlamaConfig } from "../model/config.ts";
import { llamaTensors, rotaryRowOrder } from "../model/tensors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { findTensor } from "./checkpoint-entries.ts";
import { metaParamsOf } from "./meta-rules.ts";

const WEIGHTS_NAME = "consolidated.00.pth";
const PARAMS_NAME = "params.json";

/** Hugging Face's names of a layer's parts, and Meta's. */
const LAYER_PARTS: Readonly<Record<string, string>> = {
  "self_attn.q_proj": "attention.wq",
  "self_attn.k_proj": "attention.wk",
  "self_attn.v_proj": "attention.wv",
  "self_attn.o_proj": "attention.wo",
  "mlp.gate_proj": "feed_forward.w1",
  "mlp.down_proj": "feed_forward.w2",
  "mlp.up_proj": "feed_forward.w3",
  input_layernorm: "attention_norm",
  post_attention_layernorm: "ffn_norm",
};

export interface SaveMetaOptions {
  /** Of all weights. Default: each keeps its own. */
  readonly dtype?: FloatType;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/**
 * @returns the names of the files written.
 * @throws PronkError as parseLlamaConfig; "unsupported" for what Meta's code does not have: biases,
 *   heads of another width, other activations and rope scalings; "aborted".
 */
export async function saveMetaDirectory(
  checkpoint: Checkpoint,
  folder: OutputFolder,
  { dtype, signal, onProgress }: SaveMetaOptions = {},
): Promise<string[]> {
  const { name: where } = checkpoint;
  const config = parseLlamaConfig(checkpoint.config, `${where}: config.json`);
  const params = metaParamsOf(config, `${where}: config.json`);
  const tensors = llamaTensors(config).map(({ name, shape, rotaryHeads }): FloatTensor => {
    const found = findTensor(checkpoint, name, shape);
    const cast = dtype ? castTensor(found, dtype) : found;
    const order = rotaryHeads > 0 && rotaryRowOrder(rotaryHeads, config.head_dim);
    const ordered = order ? permuteRows(cast, invertOrder(order)) : cast;
    return { ...ordered, name: metaName(name) };
  });
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let written = 0;
  const onWrite = (bytes: number): void => {
    written += bytes;
    onProgress?.({ written, total });
  };
  const names = [WEIGHTS_NAME];
  const put = async (file: Parameters<typeof writeTorch>[0]): Promise<void> => {
    await writeTorch(file, tensors, { archive: "consolidated.00", signal, onWrite });
    // An older checkpoint's parameters would make these weights its own.
    await folder.remove?.(PARAMS_NAME, signal);
  };
  await writeOutput(folder, WEIGHTS_NAME, put, signal);
  const tokenizer = checkpoint.files?.get("tokenizer.model");
  if (tokenizer) {
    await writeWhole(folder, "tokenizer.model", await tokenizer.read(signal), signal);
    names.push("tokenizer.model");
  }
  await writeWhole(folder, PARAMS_NAME, `${JSON.stringify(params)}\n`, signal);
  return [...names, PARAMS_NAME];
}

function metaName(name: string): string {
  if (name === "model.embed_tokens.weight") return "tok_embeddings.weight";
  if (name === "model.norm.weight") return "norm.weight";
  if (name === "lm_head.weight") return "output.weight";
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name)!;
  return `layers.${layer}.${LAYER_PARTS[part!]}.weight`;
}
