/**
 * Writes a checkpoint as Meta distributes Llama, in one shard: consolidated.00.pth, params.json and
 * tokenizer.model. Rows of wq and wk become pairs again.
 */
import { PronkError } from "../errors.ts";
import { castTensor } from "../formats/cast-tensor.ts";
import type { FloatTensor, FloatType } from "../formats/float-tensor.ts";
import { type OutputFolder, writeOutput, writeWhole } from "../formats/output-file.ts";
import { invertOrder, permuteRows } from "../formats/permuted-tensor.ts";
import { tensorBytes } from "../formats/stored-tensor.ts";
import { writeTorch } from "../formats/torch/write-torch.ts";
import { type LlamaConfig, parseLlamaConfig } from "../model/config.ts";
import { llamaTensors, rotaryRowOrder } from "../model/tensors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { findTensor } from "./checkpoint-entries.ts";

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
  const params = metaParams(config, where);
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
  const put = (file: Parameters<typeof writeTorch>[0]): Promise<void> =>
    writeTorch(file, tensors, { archive: "consolidated.00", signal, onWrite });
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

/** What Meta's rotation is scaled with, beside the factor; its code has these numbers built in. */
const LLAMA3_SCALING = { low_freq_factor: 1, original_max_position_embeddings: 8192 } as const;

function metaParams(config: LlamaConfig, where: string): Record<string, unknown> {
  const refuse = (what: string): PronkError =>
    new PronkError("unsupported", `${where}: ${what}: Meta's Llama has no such thing`);
  const { hidden_size: dim, num_attention_heads: heads, rope_scaling: scaling } = config;
  if (config.attention_bias || config.mlp_bias) throw refuse("biases");
  if (config.head_dim !== dim / heads) throw refuse(`head_dim ${config.head_dim}`);
  if (config.hidden_act !== "silu") throw refuse(`hidden_act ${config.hidden_act}`);
  const isScaled = scaling !== null && scaling.rope_type !== "default";
  const llama3 = scaling?.rope_type === "llama3" ? scaling : undefined;
  if (isScaled && !llama3) throw refuse(`rope_scaling ${scaling.rope_type}`);
  for (const field of ["low_freq_factor", "original_max_position_embeddings"] as const) {
    if (!llama3 || llama3[field] === LLAMA3_SCALING[field]) continue;
    throw refuse(`rope_scaling with ${field} ${llama3[field]}`);
  }
  return {
    dim,
    n_layers: config.num_hidden_layers,
    n_heads: heads,
    n_kv_heads: config.num_key_value_heads,
    vocab_size: config.vocab_size,
    ...feedForward(dim, config.intermediate_size),
    norm_eps: config.rms_norm_eps,
    rope_theta: config.rope_theta,
    ...(llama3 && {
      use_scaled_rope: true,
      rope_scaling_factor: llama3.factor,
      rope_high_freq_factor: llama3.high_freq_factor,
    }),
  };
}

/** Meta rounds the width up to this, unless a model says otherwise. */
const USUAL_MULTIPLE = 256;

/**
 * The numbers from which Meta's code computes the feed-forward width: int(8 dim / 3), times the
 * multiplier, cut to an integer, rounded up to a multiple.
 */
function feedForward(dim: number, width: number): Record<string, number> {
  const base = Math.floor((8 * dim) / 3);
  if (Math.ceil(base / USUAL_MULTIPLE) * USUAL_MULTIPLE === width) {
    return { multiple_of: USUAL_MULTIPLE };
  }
  let multiple_of = 1;
  while (width % (2 * multiple_of) === 0 && multiple_of < 4096) multiple_of *= 2;
  // In the middle of what is rounded up to the width, so that no rounding of the quotient matters.
  return { multiple_of, ffn_dim_multiplier: (width + 1 - multiple_of / 2) / base };
}
