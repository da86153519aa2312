/** The model classes of an entry: with `fromPretrained`, which needs the runtime's files and kernels. */
import { openIfPresent, readJson } from "../../checkpoints/companion-files.ts";
import { CONFIG_NAME } from "../../checkpoints/hf-directory.ts";
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { HeadKind } from "./heads.ts";
import { LlamaForCausalLM } from "./llama-for-causal-lm.ts";
import { LlamaForQuestionAnswering } from "./llama-for-question-answering.ts";
import { LlamaForSequenceClassification } from "./llama-for-sequence-classification.ts";
import { LlamaForTokenClassification } from "./llama-for-token-classification.ts";
import { LlamaModel } from "./llama-model.ts";
import { loadParts } from "./load-parts.ts";
import type { PreTrainedModel } from "./pretrained-model.ts";
import { type PretrainedOptions, resolveOptions } from "./pretrained-options.ts";
import {
  isFolder,
  type ModelOpener,
  modelInput,
  type PretrainedSource,
  withSource,
} from "./pretrained-source.ts";
import type { ModelParts, RandomOptions } from "./runnable-model.ts";

const ADAPTER_CONFIG_NAME = "adapter_config.json";

export interface ModelClass<Model> {
  /** Of a configuration: random weights, made when they are first needed. */
  new (source: ModelParts | LlamaConfig, options?: RandomOptions): Model;
  /**
   * Loads a model: a name, a path, an https:// URL, a folder, or opened files. Of a folder with a PEFT adapter alone
   * its base, with it.
   *
   * @throws PronkError "not_found", "bad_format", "unsupported", "source_failed", "out_of_memory"; "bad_request" for
   *   an option that is not known.
   */
  fromPretrained(source: PretrainedSource, options?: PretrainedOptions): Promise<Model>;
}

export interface ModelClasses {
  readonly LlamaModel: ModelClass<LlamaModel>;
  readonly LlamaForCausalLM: ModelClass<LlamaForCausalLM>;
  readonly LlamaForSequenceClassification: ModelClass<LlamaForSequenceClassification>;
  readonly LlamaForTokenClassification: ModelClass<LlamaForTokenClassification>;
  readonly LlamaForQuestionAnswering: ModelClass<LlamaForQuestionAnswering>;
  /** LlamaModel, Flax weights first. */
  readonly FlaxLlamaModel: ModelClass<LlamaModel>;
  /** LlamaForCausalLM, Flax weights first. */
  readonly FlaxLlamaForCausalLM: ModelClass<LlamaForCausalLM>;
}

export function bindModels(opener: ModelOpener): ModelClasses {
  const bind = <Model extends PreTrainedModel>(
    Base: new (source: ModelParts | LlamaConfig, options?: RandomOptions) => Model,
    head: HeadKind,
    prefersFlax = false,
  ): ModelClass<Model> =>
    Object.assign(Base, {
      opener,
      fromPretrained: async (
        source: PretrainedSource,
        options: PretrainedOptions = {},
      ): Promise<Model> => {
        const found = await load(opener, source, head, options, prefersFlax);
        if (!("base" in found)) return new Base(found);
        // As transformers does with a PEFT adapter: its base, with it.
        const { revision: _, subfolder: __, ...others } = options;
        const base = await load(opener, found.base, head, others, prefersFlax);
        if ("base" in base)
          throw new PronkError("unsupported", `${found.base}: an adapter, no base`);
        const model = new Base(base);
        try {
          await model.loadAdapter(found.folder, { signal: options.signal });
        } catch (error) {
          model.dispose();
          throw error;
        }
        return model;
      },
    });
  const Model = bind(class extends LlamaModel {}, "none");
  const ForCausalLM = bind(class extends LlamaForCausalLM {}, "causal-lm");
  return {
    LlamaModel: Model,
    LlamaForCausalLM: ForCausalLM,
    LlamaForSequenceClassification: bind(
      class extends LlamaForSequenceClassification {},
      "sequence-classification",
    ),
    LlamaForTokenClassification: bind(
      class extends LlamaForTokenClassification {},
      "token-classification",
    ),
    LlamaForQuestionAnswering: bind(
      class extends LlamaForQuestionAnswering {},
      "question-answering",
    ),
    FlaxLlamaModel: bind(class extends Model {}, "none", true),
    FlaxLlamaForCausalLM: bind(class extends ForCausalLM {}, "causal-lm", true),
  };
}

/** A folder that holds an adapter alone, and what its base is called. */
interface AdapterOf {
  readonly base: string;
  readonly folder: SourceFolder;
}

async function adapterOf(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
): Promise<AdapterOf | undefined> {
  const file = await openIfPresent(folder, ADAPTER_CONFIG_NAME, signal);
  if (!file || (await openIfPresent(folder, CONFIG_NAME, signal))) return undefined;
  const { base_model_name_or_path: base } = await readJson(file, signal);
  if (typeof base === "string" && base !== "") return { base, folder };
  throw new PronkError("unsupported", `${file.name}: base_model_name_or_path names no base`);
}

async function load(
  opener: ModelOpener,
  source: PretrainedSource,
  head: HeadKind,
  options: PretrainedOptions,
  prefersFlax: boolean,
): Promise<ModelParts | AdapterOf> {
  const resolved = resolveOptions(options, prefersFlax);
  const { kinds } = resolved;
  const request = { ...options, ...(kinds && { kinds }), part: "model" } as const;
  return withSource(opener, source, request, async (opened) => {
    const adapter = isFolder(opened) && (await adapterOf(opened, options.signal));
    if (adapter) return adapter;
    const input = await modelInput(opened, request);
    return loadParts(input, head, await opener.runtime(options.kernels), options, resolved);
  });
}
