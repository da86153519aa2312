/**
 * Meta's params.json as Hugging Face's config.json.
 *
 * What it does not say comes from the tensors (vocabulary, width of the feed-forward layer) or from the
 * version of Llama, as transformers' convert_llama_weights_to_hf.py has it.
 */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { HF_DTYPES } from "./dtype.ts";
import { META_DEFAULTS, META_SCALING, metaScaling } from "./meta-rules.ts";

/** As convert_llama_weights_to_hf.py's --llama_version. */
export type LlamaVersion = "1" | "2" | "3" | "3.1" | "3.2";

export const LLAMA_VERSIONS: readonly LlamaVersion[] = ["1", "2", "3", "3.1", "3.2"];

const MAX_POSITIONS: Readonly<Record<LlamaVersion, number>> = {
  "1": 2048,
  "2": 4096,
  "3": 8192,
  "3.1": 131072,
  "3.2": 131072,
};

/** Its params.json do not name the factor; Llama 3.1's is the default. */
const LLAMA_3_2_FACTOR = 32;

/** Llama 3.2 is 1B and 3B, with this hidden size at most; Llama 3.1 begins at 4,096. */
const LLAMA_3_2_MAX_DIM = 3072;

/** Llama 3's, and that of Llama 1 and 2. */
const LLAMA_3_VOCABULARY = 128_256;

export interface MetaConfig {
  readonly config: Readonly<Record<string, unknown>>;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly version: LlamaVersion;
}

/**
 * `shards` has the parts of each tensor by Hugging Face's name. Without a version: 3.2 or 3.1 where the
 * rotation is scaled, by width; 3 with its vocabulary; else 1 for an epsilon of 1e-6 and 2 for others.
 *
 * @throws PronkError "bad_format" when a field is missing or the tensors contradict it.
 */
export function configFromMeta(
  params: Readonly<Record<string, unknown>>,
  shards: ReadonlyMap<string, readonly FloatTensor[]>,
  where: string,
  version?: LlamaVersion,
): MetaConfig {
  const bad = (what: string): PronkError =>
    new PronkError("bad_format", `${where}: params.json: ${what}`);
  const size = (key: string, fallback?: number): number => {
    const value = params[key] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw bad(`${key}: ${JSON.stringify(params[key]) ?? "missing"}`);
  };
  const real = (key: string, fallback: number): number => {
    const value = params[key] ?? fallback;
    if (typeof value === "number" && value > 0) return value;
    throw bad(`${key}: ${JSON.stringify(value)}`);
  };
  const dim = size("dim");
  const heads = size("n_heads");
  const keyValueHeads = size("n_kv_heads", heads);
  const layers = size("n_layers");
  if (dim % (2 * heads) !== 0) throw bad(`dim ${dim} is not an even size for ${heads} heads`);
  const headDim = dim / heads;

  const shape = (name: string): readonly [rows: number, columns: number, shards: number] => {
    const parts = shards.get(name);
    const found = parts?.[0]?.shape;
    if (parts === undefined || found?.length !== 2) {
      throw new PronkError("bad_format", `${where}: tensor ${name} is missing or no matrix`);
    }
    return [found[0]!, found[1]!, parts.length];
  };
  const expectRows = (name: string, expected: number): void => {
    const [rows, , count] = shape(name);
    if (rows * count !== expected) throw bad(`${name} has ${rows * count} rows, not ${expected}`);
  };
  const [embeddingRows, embeddingColumns, count] = shape("model.embed_tokens.weight");
  const whole = embeddingColumns === dim;
  if (!whole && embeddingColumns * count !== dim) {
    throw bad(`dim ${dim}, the embedding has ${embeddingColumns} columns in ${count} shards`);
  }
  const [gateRows] = shape("model.layers.0.mlp.gate_proj.weight");
  for (let i = 0; i < layers; i++) {
    expectRows(`model.layers.${i}.self_attn.q_proj.weight`, heads * headDim);
    expectRows(`model.layers.${i}.self_attn.k_proj.weight`, keyValueHeads * headDim);
  }
  if (shards.has(`model.layers.${layers}.self_attn.q_proj.weight`)) {
    throw bad(`n_layers: ${layers}, the shards have more`);
  }

  const vocabulary = whole ? embeddingRows * count : embeddingRows;
  const epsilon = real("norm_eps", META_DEFAULTS.norm_eps);
  const scaled = params.use_scaled_rope === true;
  const guess = scaled
    ? dim <= LLAMA_3_2_MAX_DIM
      ? "3.2"
      : "3.1"
    : vocabulary >= LLAMA_3_VOCABULARY
      ? "3"
      : epsilon < 1e-5
        ? "1"
        : "2";
  const llama = version ?? guess;
  const llama3 = llama.startsWith("3");
  const config = {
    architectures: ["LlamaForCausalLM"],
    attention_bias: false,
    bos_token_id: llama3 ? 128_000 : 1,
    dtype: HF_DTYPES[shards.get("model.embed_tokens.weight")![0]!.type],
    eos_token_id: llama3 ? 128_001 : 2,
    head_dim: headDim,
    hidden_act: "silu",
    hidden_size: dim,
    intermediate_size: gateRows * count,
    max_position_embeddings: MAX_POSITIONS[llama],
    mlp_bias: false,
    model_type: "llama",
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: keyValueHeads,
    rms_norm_eps: epsilon,
    rope_scaling: scaled
      ? metaScaling(
          real("rope_scaling_factor", llama === "3.2" ? LLAMA_3_2_FACTOR : META_SCALING.factor),
          real("rope_high_freq_factor", META_SCALING.high),
        )
      : null,
    rope_theta: real("rope_theta", llama3 ? 500_000 : META_DEFAULTS.rope_theta),
    tie_word_embeddings: !shards.has("lm_head.weight"),
    vocab_size: vocabulary,
  };
  return { config, heads, keyValueHeads, version: llama };
}
