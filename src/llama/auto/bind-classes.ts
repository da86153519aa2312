/** Everything of an entry that loads by `fromPretrained`: models, Auto classes, the configuration. */
import { LlamaConfig } from "../llama-config.ts";
import { bindModels, type ModelClasses } from "../modeling/bind-models.ts";
import type { ModelOpener, PretrainedSource } from "../modeling/pretrained-source.ts";
import { type AutoClasses, bindAutoClasses } from "./auto-classes.ts";
import { type ConfigOptions, loadConfig } from "./auto-config.ts";
import { bindTokenizers, type TokenizerClasses } from "./tokenizer-classes.ts";

/** LlamaConfig of an entry. Configurations of models are its instances, whoever made them. */
export type ConfigClass = typeof LlamaConfig & {
  /** As AutoConfig's. */
  fromPretrained(source: PretrainedSource, options?: ConfigOptions): Promise<LlamaConfig>;
};

export type PretrainedClasses = ModelClasses &
  AutoClasses &
  TokenizerClasses & { readonly LlamaConfig: ConfigClass };

export function bindClasses(opener: ModelOpener): PretrainedClasses {
  class Config extends LlamaConfig {
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof LlamaConfig;
    }

    static fromPretrained(source: PretrainedSource, options?: ConfigOptions): Promise<LlamaConfig> {
      return loadConfig(opener, source, options);
    }
  }
  const models = bindModels(opener);
  const others = { ...bindAutoClasses(opener, models), ...bindTokenizers(opener) };
  return { ...models, ...others, LlamaConfig: Config };
}
