/** fairseq2's architectures as the model hub offers them, and what of them a checkpoint contradicts. */
import { PronkError } from "../errors.ts";
import type { ConfigTable } from "../hub/llama-model-hub.ts";
import type { LlamaConfig as RunnableConfig } from "../model/config.ts";
import { FAIRSEQ2_ARCHITECTURES } from "../model/presets.ts";
import { fromFairseq2, LLaMAConfig } from "./fairseq2-config.ts";

export const LLAMA_CONFIGS: ConfigTable<LLaMAConfig> = {
  archs: Object.fromEntries(
    Object.keys(FAIRSEQ2_ARCHITECTURES).map((name) => [name, LLaMAConfig.fromArch(name)]),
  ),
  defaults: new LLaMAConfig(),
  parse: (data, where) => {
    try {
      return new LLaMAConfig(data);
    } catch (cause) {
      if (!(cause instanceof PronkError)) throw cause;
      throw new PronkError(cause.code, `${where}: ${cause.message}`, { cause });
    }
  },
};

/** What each field decides of a model that runs; fields that only training reads decide nothing. */
const DECIDES: Readonly<Partial<Record<keyof LLaMAConfig, keyof RunnableConfig>>> = {
  model_dim: "hidden_size",
  max_seq_len: "max_position_embeddings",
  vocab_size: "vocab_size",
  tied_embeddings: "tie_word_embeddings",
  num_layers: "num_hidden_layers",
  num_attn_heads: "num_attention_heads",
  num_key_value_heads: "num_key_value_heads",
  ffn_inner_dim: "intermediate_size",
  ffn_inner_dim_scale: "intermediate_size",
  ffn_inner_dim_multiplier: "intermediate_size",
  ffn_inner_dim_multiple_of: "intermediate_size",
  rope_theta: "rope_theta",
};

/**
 * A checkpoint's own configuration is the one that it runs by, so a card or caller that says otherwise
 * is told.
 *
 * @param overridden the fields of `config` that were set on purpose.
 * @throws PronkError "unsupported" naming the field and both values.
 */
export function checkOverrides(
  name: string,
  config: LLaMAConfig,
  overridden: readonly string[],
  own: RunnableConfig,
): void {
  const wanted: Readonly<Record<string, unknown>> = { ...fromFairseq2(config).toJSON() };
  for (const field of overridden) {
    const decided = DECIDES[field as keyof LLaMAConfig];
    const isScaling = field === "use_scaled_rope" || field === "rope_scale";
    const differs =
      decided !== undefined
        ? wanted[decided] !== own[decided]
        : isScaling && (config.use_scaled_rope ? 1 : 0) !== (isScaled(own) ? 1 : 0);
    if (!differs) continue;
    const [asked, found] =
      decided === undefined
        ? [config.use_scaled_rope, own.rope_scaling?.rope_type ?? "default"]
        : [wanted[decided], own[decided]];
    throw new PronkError(
      "unsupported",
      `${name}: ${field} asks for ${String(asked)}, its checkpoint has ${String(found)}: a checkpoint runs as it was trained`,
    );
  }
}

function isScaled({ rope_scaling }: RunnableConfig): boolean {
  return rope_scaling !== null && rope_scaling.rope_type !== "default";
}
