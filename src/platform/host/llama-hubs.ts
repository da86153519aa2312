/** fairseq2's hubs on a host with files: cards from folders, checkpoints by every name that opens here. */
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine } from "../../engine/engine.ts";
import { planModel } from "../../engine/load-model.ts";
import { PronkError } from "../../errors.ts";
import { LlamaModelHub, type ModelToLoad } from "../../hub/llama-model-hub.ts";
import {
  LlamaTokenizerHub,
  settingsFor,
  type TokenizerFiles,
  type TokenizerSettings,
} from "../../hub/llama-tokenizer-hub.ts";
import { parseModelReference } from "../../hub/model-reference.ts";
import { checkOverrides, LLAMA_CONFIGS } from "../../llama/fairseq2-archs.ts";
import type { LLaMAConfig } from "../../llama/fairseq2-config.ts";
import type { LlamaForCausalLM } from "../../llama/modeling/llama-for-causal-lm.ts";
import type { PretrainedOptions } from "../../llama/modeling/pretrained-options.ts";
import type { Fairseq2Tokenizer } from "../../llama/tokenizer/fairseq2-tokenizer.ts";
import { loadFairseq2Tokenizer } from "../../llama/tokenizer/load-fairseq2-tokenizer.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { QUANTIZATIONS, type Quantization } from "../../pack/form-choice.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { type AssetOptions, readAssets } from "./asset-folders.ts";
import type { Environment } from "./cache-folder.ts";
import { checkHashes } from "./check-hashes.ts";
import {
  type CreateEngineOptions,
  createHostEngine,
  type HostLoadOptions,
  openNamedModel,
} from "./create-engine.ts";
import { directoryFolder } from "./directory.ts";
import type { Host } from "./host.ts";
import { hostModels } from "./models.ts";
import type { OpenModelOptions } from "./open-model.ts";

export interface HubOptions extends AssetOptions {
  /** Default: the process's. */
  readonly env?: Environment;
  readonly fetch?: typeof fetch;
}

/** Of one tokenizer. */
export interface TokenizerLoadOptions {
  readonly signal?: AbortSignal;
}

/** No tokenizer.model is larger: Llama 3's has 2 MB. */
const MAX_TOKENIZER_BYTES = 128 * 1024 * 1024;

/** What hub.loadModel gives. */
export type HubModel = LlamaForCausalLM;

export type HostModelHub = LlamaModelHub<
  HubModel,
  LLaMAConfig,
  ModelOptions,
  Engine,
  CreateEngineOptions
>;

/** `config` is fairseq2's here. */
type ModelOptions = Omit<PretrainedOptions, "config">;

export type HostTokenizerHub = LlamaTokenizerHub<Fairseq2Tokenizer, TokenizerLoadOptions>;

export function createModelHub(host: Host, options: HubOptions = {}): HostModelHub {
  const { env = process.env, fetch = host.fetch } = options;
  return new LlamaModelHub({
    store: () => readAssets(options, env),
    configs: LLAMA_CONFIGS,
    load: async (wanted, { config: _, ...more }: PretrainedOptions) => {
      const all = { env, fetch, ...more };
      const { AutoConfig, LlamaForCausalLM } = hostModels(host);
      const { signal, revision, subfolder, gguf_file, cache_dir, local_files_only, token } = all;
      const place = { revision, subfolder, gguf_file, cache_dir, local_files_only, token };
      const files = { ...place, env: all.env, fetch: all.fetch, signal };
      await checkWanted(host, wanted, all, async () =>
        (await AutoConfig.fromPretrained(wanted.checkpoint, files)).toModelConfig(),
      );
      const isAsked =
        more.quantization ?? more.quantization_config ?? more.load_in_4bit ?? more.load_in_8bit;
      return LlamaForCausalLM.fromPretrained(wanted.checkpoint, {
        ...all,
        ...(isAsked === undefined && quantOf(wanted)),
      });
    },
    loadEngine: async (wanted, more) => {
      const all = { env, fetch, ...quantOf(wanted), ...more };
      await checkWanted(host, wanted, all, () => packedConfig(host, wanted.checkpoint, all));
      return createHostEngine(host, wanted.checkpoint, { id: wanted.name, ...all });
    },
  });
}

export function createTokenizerHub(host: Host, options: HubOptions = {}): HostTokenizerHub {
  const { env = process.env, fetch = host.fetch } = options;
  return new LlamaTokenizerHub({
    store: () => readAssets(options, env),
    load: async (wanted, { signal }) => {
      const { files, config } = wanted;
      const opened = await openTokenizer(host, files, config, { env, fetch, signal });
      return loadFairseq2Tokenizer(opened, settingsFor(wanted, !(opened instanceof Uint8Array)));
    },
  });
}

type Wanted = ModelToLoad<LLaMAConfig>;

function quantOf({ name, quant }: Wanted): { readonly quantization?: Quantization } {
  if (quant === undefined) return {};
  const known = QUANTIZATIONS.find((quantization) => quantization === quant);
  if (known) return { quantization: known };
  const runs = QUANTIZATIONS.join(", ");
  throw new PronkError("bad_format", `asset card ${name}: quant ${quant}: none of ${runs}`);
}

/**
 * @param configOf reads the checkpoint's own configuration; called where the card says something of it.
 * @throws PronkError "unsupported" where the checkpoint is another model; "corrupt" where its bytes are others.
 */
async function checkWanted(
  host: Host,
  { name, checkpoint, config, overridden, sha256 }: Wanted,
  options: OpenModelOptions,
  configOf: () => Promise<LlamaConfig>,
): Promise<void> {
  if (sha256 !== undefined) await checkHashes(host, checkpoint, sha256, options);
  if (config === undefined || overridden.length === 0) return;
  checkOverrides(name, config, overridden, await configOf());
}

/** Of the pack that an engine will load, which is made now if need be. */
async function packedConfig(
  host: Host,
  checkpoint: string,
  options: HostLoadOptions,
): Promise<LlamaConfig> {
  const named = await openNamedModel(host, checkpoint, options);
  try {
    return (await planModel(named.input, options.signal && { signal: options.signal })).config;
  } finally {
    await named.close();
  }
}

async function openTokenizer(
  host: Host,
  files: TokenizerFiles,
  { impl }: TokenizerSettings,
  options: { env: Environment; fetch: typeof fetch; signal: AbortSignal | undefined },
): Promise<SourceFolder | Uint8Array | Readonly<Record<string, Uint8Array>>> {
  if (typeof files !== "string" && !(files instanceof URL)) return files;
  const reference = parseModelReference(String(files));
  let path: string;
  if (files instanceof URL && files.protocol === "file:") path = fileURLToPath(files);
  else if (reference.kind === "hub") {
    const { pullRepository } = await import("./pull-repository.ts");
    const pulled = await pullRepository(reference, options, "tokenizer");
    const file = impl === "hg" ? pulled[0] : pulled.find((one) => /\.model$/.test(one.path));
    if (!file) throw new PronkError("not_found", `${String(files)}: has no tokenizer.model`);
    path = impl === "hg" ? dirname(file.path) : file.path;
  } else if (reference.kind === "path") path = reference.path;
  else throw new PronkError("unsupported", `tokenizer ${String(files)}: a path or hf:OWNER/REPO`);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new PronkError("not_found", `tokenizer ${path}: no such file or directory`);
  if (found.isDirectory()) return directoryFolder(host, path);
  if (found.size > MAX_TOKENIZER_BYTES) {
    throw new PronkError("bad_format", `tokenizer ${path}: ${found.size} bytes`);
  }
  return new Uint8Array(await readFile(path));
}
