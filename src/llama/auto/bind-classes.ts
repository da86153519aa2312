/** Everything of an entry that loads models by name: their classes, Auto classes, the configuration, pipelines. */
import { LlamaConfig } from "../llama-config.ts";
import { bindModels, type ModelClasses } from "../modeling/bind-models.ts";
import type { ModelOpener, PretrainedSource } from "../modeling/pretrained-source.ts";
import { bindPipeline, type PipelineFunction } from "../pipelines/pipeline.ts";
import { type AutoClasses, bindAutoClasses } from "./auto-classes.ts";
import { type ConfigOptions, loadConfig } from "./auto-config.ts";
import { bindGenerationConfig, type GenerationConfigClass } from "./generation-config-class.ts";

/** LlamaConfig of an entry. Configurations of models are its instances, whoever made them. */
export type ConfigClass = typeof LlamaConfig & {
  /** As AutoConfig's. */
  fromPretrained(source: PretrainedSource, options?: ConfigOptions): Promise<LlamaConfig>;
};

export type PretrainedClasses = ModelClasses &
  AutoClasses & {
    readonly LlamaConfig: ConfigClass;
    readonly GenerationConfig: GenerationConfigClass;
    readonly pipeline: PipelineFunction;
  };

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
  const auto = bindAutoClasses(opener, models);
  const pipeline = bindPipeline(auto, opener.yieldTask);
  return {
    ...models,
    ...auto,
    LlamaConfig: Config,
    GenerationConfig: bindGenerationConfig(opener),
    pipeline,
  };
}
