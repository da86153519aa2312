/** AutoConfig: the configuration of whatever a source holds. */
import { openIfPresent, readJson } from "../../checkpoints/companion-files.ts";
import { openGgufCheckpoint } from "../../checkpoints/gguf-checkpoint.ts";
import { CONFIG_NAME } from "../../checkpoints/hf-directory.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import { readManifest } from "../../pack/loader.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import {
  type ConfigOverrides,
  configOverrides,
  refuseUnknown,
} from "../modeling/pretrained-options.ts";
import {
  isFolder,
  type ModelOpener,
  modelInput,
  type PretrainedSource,
  type SourceOptions,
  withSource,
} from "../modeling/pretrained-source.ts";

/** Fields of the configuration replace those of the files. */
export interface ConfigOptions extends SourceOptions, ConfigOverrides {
  /** Without effect: no code is run. */
  readonly trust_remote_code?: boolean;
}

/**
 * Reads no weight; of a repository of the hub only its configuration is fetched.
 *
 * @throws PronkError "unsupported" for models that are no Llama, by their model_type; "bad_format"; "not_found".
 */
export async function loadConfig(
  opener: Pick<ModelOpener, "open">,
  source: PretrainedSource,
  options: ConfigOptions = {},
): Promise<LlamaConfig> {
  refuseUnknown(options as Readonly<Record<string, unknown>>);
  return withSource(opener, source, { ...options, part: "config" }, async (opened) => {
    const { fields, where } = await readFields(opened, options.signal);
    return new LlamaConfig({ ...fields, ...configOverrides(options) } as LlamaConfigFields, where);
  });
}

interface FoundFields {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly where: string;
}

async function readFields(
  opened: SourceFolder | ModelInput,
  signal: AbortSignal | undefined,
): Promise<FoundFields> {
  if (isFolder(opened)) {
    const file = await openIfPresent(opened, CONFIG_NAME, signal);
    const fields = file && (await readJson(file, signal));
    // fairseq2's says no model_type; Meta's is another file: those are read with their tensors.
    if (file && typeof fields?.model_type === "string") return { fields, where: file.name };
    return readFields(await modelInput(opened, { ...(signal && { signal }) }), signal);
  }
  if ("pack" in opened) {
    const { config } = await readManifest(opened.pack, signal);
    return { fields: config, where: `${opened.pack.name}: ${MANIFEST_NAME}: config` };
  }
  const checkpoint =
    "gguf" in opened ? await openGgufCheckpoint(opened.gguf, signal) : opened.checkpoint;
  return { fields: checkpoint.config, where: `${checkpoint.name}: ${CONFIG_NAME}` };
}
