/** GenerationConfig of an entry: with `fromPretrained`. */
import { openIfPresent, readJson } from "../../checkpoints/companion-files.ts";
import { openGgufCheckpoint } from "../../checkpoints/gguf-checkpoint.ts";
import { CONFIG_NAME, GENERATION_CONFIG_NAME } from "../../checkpoints/hf-directory.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import { readManifest } from "../../pack/loader.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { GenerationConfig } from "../generation/generation-config.ts";
import {
  isFolder,
  type ModelOpener,
  modelInput,
  type PretrainedSource,
  type SourceOptions,
  withSource,
} from "../modeling/pretrained-source.ts";
import { splitSourceOptions } from "./auto-tokenizer.ts";

/** Fields of the configuration replace those of the files. */
export interface GenerationConfigOptions extends SourceOptions {
  readonly [field: string]: unknown;
}

/** Configurations of models are its instances, whoever made them. */
export type GenerationConfigClass = typeof GenerationConfig & {
  /**
   * generation_config.json, else the settings that old checkpoints keep in config.json; of a pack and a GGUF file what
   * they say.
   *
   * @throws PronkError "not_found", "bad_request", "bad_format", "source_failed".
   */
  fromPretrained(
    source: PretrainedSource,
    options?: GenerationConfigOptions,
  ): Promise<GenerationConfig>;
};

export function bindGenerationConfig(opener: Pick<ModelOpener, "open">): GenerationConfigClass {
  return class extends GenerationConfig {
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof GenerationConfig;
    }

    static async fromPretrained(
      source: PretrainedSource,
      options: GenerationConfigOptions = {},
    ): Promise<GenerationConfig> {
      const { where, given } = splitSourceOptions(options);
      const { signal: _, ...changes } = given as Readonly<Record<string, unknown>>;
      const request = { ...where, part: "generation" } as const;
      return withSource(opener, source, request, async (opened) => {
        const { data, isOwn } = await readFields(opened, where.signal);
        const base = isOwn
          ? GenerationConfig.fromDict(data)
          : GenerationConfig.fromModelConfig(data);
        return GenerationConfig.fromDict({ ...base.toDict(), ...changes });
      });
    }
  };
}

interface FoundFields {
  readonly data: Readonly<Record<string, unknown>>;
  /** Not those of a model's configuration. */
  readonly isOwn: boolean;
}

async function readFields(
  opened: SourceFolder | ModelInput,
  signal: AbortSignal | undefined,
): Promise<FoundFields> {
  if (isFolder(opened)) {
    const own = await openIfPresent(opened, GENERATION_CONFIG_NAME, signal);
    if (own) return { data: await readJson(own, signal), isOwn: true };
    const model = await openIfPresent(opened, CONFIG_NAME, signal);
    if (model) return { data: await readJson(model, signal), isOwn: false };
    if (!(await openIfPresent(opened, MANIFEST_NAME, signal))) {
      const what = `${opened.name}: neither ${GENERATION_CONFIG_NAME} nor ${CONFIG_NAME}`;
      throw new PronkError("not_found", what);
    }
    return readFields(await modelInput(opened, { ...(signal && { signal }) }), signal);
  }
  if ("pack" in opened) {
    return { data: (await readManifest(opened.pack, signal)).generation_config, isOwn: true };
  }
  const { generation_config: own, config } =
    "gguf" in opened ? await openGgufCheckpoint(opened.gguf, signal) : opened.checkpoint;
  return own ? { data: own, isOwn: true } : { data: config, isOwn: false };
}
