/**
 * Everything of an entry that loads tokenizers by name: AutoTokenizer, LlamaTokenizer, LlamaTokenizerFast,
 * AttentionMaskVisualizer. Apart from the models, whose code a program that only tokenizes does without.
 */
import type { ModelInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { AttentionMaskVisualizer } from "../attention-mask-visualizer.ts";
import { isFolder, type ModelOpener, withSource } from "../modeling/pretrained-source.ts";
import { LlamaTokenizer } from "../tokenizer/llama-tokenizer.ts";
import { LlamaTokenizerFast } from "../tokenizer/llama-tokenizer-fast.ts";
import type { FilesByName } from "../tokenizer/tokenizer-files.ts";
import type { TokenizerOptions } from "../tokenizer/tokenizer-options.ts";
import {
  type AutoTokenizerClass,
  bindAutoTokenizer,
  isFilesByName,
  loadPretrainedTokenizer,
  type PretrainedTokenizerOptions,
  splitSourceOptions,
  type TokenizerSource,
} from "./auto-tokenizer.ts";

type ClassOptions = Omit<PretrainedTokenizerOptions, "use_fast">;

/** A tokenizer's class of an entry; its instances and those of the class below are one kind. */
export type TokenizerClass<Class extends typeof LlamaTokenizer | typeof LlamaTokenizerFast> =
  Class & {
    /** From a name of a model, a folder, or files by name. @throws PronkError as AutoTokenizer's. */
    fromPretrained(
      source: string | SourceFolder | FilesByName,
      options?: ClassOptions,
    ): Promise<InstanceType<Class>>;
  };

export type VisualizerClass = typeof AttentionMaskVisualizer & {
  /** By a model's name, as transformers' constructor takes it; only its tokenizer is loaded. */
  fromPretrained(
    source: TokenizerSource,
    options?: PretrainedTokenizerOptions,
  ): Promise<AttentionMaskVisualizer>;
};

export interface TokenizerClasses {
  readonly AutoTokenizer: AutoTokenizerClass;
  readonly LlamaTokenizer: TokenizerClass<typeof LlamaTokenizer>;
  readonly LlamaTokenizerFast: TokenizerClass<typeof LlamaTokenizerFast>;
  readonly AttentionMaskVisualizer: VisualizerClass;
}

export function bindTokenizers(opener: Pick<ModelOpener, "open">): TokenizerClasses {
  const load = <Loaded>(
    make: (files: SourceFolder | FilesByName, options: TokenizerOptions) => Promise<Loaded>,
    source: string | SourceFolder | FilesByName,
    options: ClassOptions = {},
  ): Promise<Loaded> => {
    const { where, given } = splitSourceOptions(options);
    if (isFilesByName(source)) return make(source, given);
    const name = typeof source === "string" ? source : source.name;
    const request = { ...where, part: "tokenizer" } as const;
    return withSource(opener, source, request, async (opened) =>
      make(await filesOf(opened, name, options.signal), given),
    );
  };

  class Slow extends LlamaTokenizer {
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof LlamaTokenizer;
    }
    static override fromPretrained(
      source: string | SourceFolder | FilesByName,
      options?: ClassOptions,
    ): Promise<LlamaTokenizer> {
      return load((files, given) => LlamaTokenizer.fromPretrained(files, given), source, options);
    }
  }
  class Fast extends LlamaTokenizerFast {
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof LlamaTokenizerFast;
    }
    static override fromPretrained(
      source: string | SourceFolder | FilesByName,
      options?: ClassOptions,
    ): Promise<LlamaTokenizerFast> {
      const make = (
        files: SourceFolder | FilesByName,
        given: TokenizerOptions,
      ): Promise<LlamaTokenizerFast> => LlamaTokenizerFast.fromPretrained(files, given);
      return load(make, source, options);
    }
  }
  class Visualizer extends AttentionMaskVisualizer {
    static async fromPretrained(
      source: TokenizerSource,
      options?: PretrainedTokenizerOptions,
    ): Promise<AttentionMaskVisualizer> {
      const tokenizer = await loadPretrainedTokenizer(opener, source, options);
      return new AttentionMaskVisualizer({
        name: typeof source === "string" ? source : "tokenizer",
        tokenizer: {
          encode: (text) => tokenizer.encode(text),
          tokenText: (id) => tokenizer.convertIdsToTokens(id),
        },
      });
    }
  }
  return {
    AutoTokenizer: bindAutoTokenizer(opener),
    LlamaTokenizer: Slow,
    LlamaTokenizerFast: Fast,
    AttentionMaskVisualizer: Visualizer,
  };
}

async function filesOf(
  opened: SourceFolder | ModelInput,
  name: string,
  signal: AbortSignal | undefined,
): Promise<SourceFolder | FilesByName> {
  if (isFolder(opened)) return opened;
  if (!("checkpoint" in opened)) {
    throw new PronkError(
      "unsupported",
      `${name}: its tokenizer has no files; AutoTokenizer reads it`,
    );
  }
  const files: Record<string, Uint8Array> = {};
  for (const [file, content] of opened.checkpoint.files ?? []) {
    files[file] = await content.read(signal);
  }
  return files;
}
