/**
 * A Llama of fairseq2: model.pt, with the state dict under "model", and its LLaMAConfig as config.json.
 *
 * Rows of q and k are pairs, as Meta's. fairseq2's RMSNorm has an epsilon of 1e-5, whatever the
 * checkpoint says. Source: fairseq2/models/llama/{interop,hg}.py of fairseq2 0.8.1.
 */
import { PronkError } from "../errors.ts";
import { rowsOf } from "../formats/check-rows.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { readTorch } from "../formats/torch/read-torch.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { companionFiles, readJson } from "./companion-files.ts";
import { configFromFairseq2 } from "./fairseq2-config.ts";
import { pairsToHalves } from "./joined-tensor.ts";
import { type KeyMap, renameKeys } from "./renamed.ts";

export const FAIRSEQ2_NAME = "model.pt";
const CONFIG_NAME = "config.json";

const KEYS: KeyMap = [
  [/^decoder_frontend\.embed\.weight$/, "model.embed_tokens.weight"],
  [/^decoder\.layer_norm\.weight$/, "model.norm.weight"],
  [/^final_proj\.weight$/, "lm_head.weight"],
  [
    /^decoder\.layers\.(\d{1,5})\.self_attn\.([qkv])_proj\.(weight|bias)$/,
    "model.layers.$1.self_attn.$2_proj.$3",
  ],
  [
    /^decoder\.layers\.(\d{1,5})\.self_attn\.output_proj\.(weight|bias)$/,
    "model.layers.$1.self_attn.o_proj.$2",
  ],
  [
    /^decoder\.layers\.(\d{1,5})\.self_attn_layer_norm\.weight$/,
    "model.layers.$1.input_layernorm.weight",
  ],
  [
    /^decoder\.layers\.(\d{1,5})\.ffn_layer_norm\.weight$/,
    "model.layers.$1.post_attention_layernorm.weight",
  ],
  [/^decoder\.layers\.(\d{1,5})\.ffn\.gate_proj\.weight$/, "model.layers.$1.mlp.gate_proj.weight"],
  [/^decoder\.layers\.(\d{1,5})\.ffn\.inner_proj\.weight$/, "model.layers.$1.mlp.up_proj.weight"],
  [
    /^decoder\.layers\.(\d{1,5})\.ffn\.output_proj\.weight$/,
    "model.layers.$1.mlp.down_proj.weight",
  ],
];

/** Buffers of the rotation, which the configuration gives. */
const IGNORED = /\.(?:pos_encoder\.\w+|rope\.freqs)$/;

/**
 * Opens a fairseq2 checkpoint; reads no weight.
 *
 * @throws PronkError "not_found"; "bad_format" when config.json and the tensors disagree;
 *   "unsupported" on tensors that are not Llama's, and on what the pickle asks for; "source_failed".
 */
export async function openFairseq2Directory(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const fields = await readJson(await folder.open(CONFIG_NAME, signal), signal);
  const config = configFromFairseq2(fields, folder.name);
  const heads: Readonly<Record<string, number>> = {
    q: config.num_attention_heads as number,
    k: config.num_key_value_heads as number,
  };
  const state = await readTorch(await folder.open(FAIRSEQ2_NAME, signal), signal);
  const keys = renameKeys(state.keys(), KEYS, IGNORED, folder.name);
  const tensors = new Map<string, FloatTensor>();
  for (const [name, key] of keys) {
    // A tied head is the embedding, saved under both names.
    if (name === "lm_head.weight" && config.tie_word_embeddings === true) continue;
    const tensor = state.get(key)!.open(name);
    const paired = heads[/\.([qk])_proj\./.exec(name)?.[1] ?? ""];
    if (paired !== undefined && rowsOf(tensor.shape) !== paired * (config.head_dim as number)) {
      const what = `shape [${tensor.shape}], ${paired} heads of ${config.head_dim}`;
      throw new PronkError("bad_format", `${folder.name}: tensor ${name}: ${what}`);
    }
    tensors.set(name, paired === undefined ? tensor : pairsToHalves(tensor, paired));
  }
  return { name: folder.name, config, tensors, files: await companionFiles(folder, signal) };
}
