/** What `generate` takes beside the fields of a GenerationConfig. */
import type { LogitsProcessor } from "../../generate/logits-processors/logits-processor.ts";
import type { PrefixAllowedTokens } from "../../generate/logits-processors/token-sets.ts";
import type { IntegerRows } from "../integer-lists.ts";
import type { GenerationConfig } from "./generation-config.ts";
import type { GenerationFields } from "./generation-fields.ts";
import type { GenerativeModel } from "./generative-model.ts";
import type { StoppingCriteria, TextOfTokens } from "./stopping-criteria.ts";
import type { BaseStreamer } from "./streamers.ts";

/** Fields given here win over those of `generation_config`; null is Python's None. */
export interface GenerateOptions extends Partial<GenerationFields> {
  /** (batch, length), or one row. Default: one row of bos_token_id. */
  readonly input_ids?: IntegerRows | readonly number[];
  /** (batch, length, hidden_size): the prompt's place. */
  readonly inputs_embeds?: readonly (readonly Float32Array[])[];
  /** (batch, length): 1 for tokens, 0 for padding, which is best on the left. */
  readonly attention_mask?: IntegerRows;
  readonly generation_config?: GenerationConfig;
  /** Fill fields of `generation_config` that are at their defaults from the model's. Default true. */
  readonly use_model_defaults?: boolean;
  readonly logits_processor?: Iterable<LogitsProcessor>;
  readonly stopping_criteria?: Iterable<StoppingCriteria>;
  readonly prefix_allowed_tokens_fn?: PrefixAllowedTokens;
  /** Proposes tokens; it has the same vocabulary. */
  readonly assistant_model?: GenerativeModel;
  readonly streamer?: BaseStreamer;
  /** With guidance_scale: what to move away from. */
  readonly negative_prompt_ids?: readonly (readonly number[])[];
  readonly negative_prompt_attention_mask?: readonly (readonly number[])[];
  /** For stop_strings. */
  readonly tokenizer?: TextOfTokens;
  /** Same seed, same tokens, on every runtime; in the place of torch.manual_seed. Default: a random one. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** The names that are no fields of a GenerationConfig. */
export const OPTION_NAMES: readonly string[] = [
  "input_ids",
  "inputs_embeds",
  "attention_mask",
  "generation_config",
  "use_model_defaults",
  "logits_processor",
  "stopping_criteria",
  "prefix_allowed_tokens_fn",
  "assistant_model",
  "streamer",
  "negative_prompt_ids",
  "negative_prompt_attention_mask",
  "tokenizer",
  "seed",
  "signal",
];
