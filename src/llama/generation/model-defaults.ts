/** How a GenerationConfig of a caller's and the model's own become one. */
import { GenerationConfig } from "./generation-config.ts";
import { GENERATION_DEFAULTS } from "./generation-fields.ts";

/**
 * Fields of `config` that are at their defaults, from the model's: `use_model_defaults` of transformers.
 *
 * @throws PronkError "bad_request" where both do not go together.
 */
export function withModelDefaults(
  config: GenerationConfig,
  model: GenerationConfig,
): GenerationConfig {
  const merged = config.toDict();
  const defaults: Readonly<Record<string, unknown>> = { ...GENERATION_DEFAULTS };
  for (const [name, value] of Object.entries(model.toDict())) {
    if (JSON.stringify(merged[name]) === JSON.stringify(defaults[name])) merged[name] = value;
  }
  if (merged.temperature === 0) merged.do_sample = false;
  return new GenerationConfig(merged);
}
