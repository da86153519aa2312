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
import type { Fairseq2Tokenizer } from "../../llama/tokenizer/fairseq2-tokenizer.ts";
import { loadFairseq2Tokenizer } from "../../llama/tokenizer/load-fairseq2-tokenizer.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { type AssetOptions, readAssets } from "./asset-folders.ts";
import type { Environment } from "./cache-folder.ts";
import { type CreateEngineOptions, createHostEngine, openNamedModel } from "./create-engine.ts";
import { directoryFolder } from "./directory.ts";
import type { Host } from "./host.ts";

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
export type HubModel = Engine;

export type HostModelHub = LlamaModelHub<HubModel, LLaMAConfig, CreateEngineOptions>;

export type HostTokenizerHub = LlamaTokenizerHub<Fairseq2Tokenizer, TokenizerLoadOptions>;

export function createModelHub(host: Host, options: HubOptions = {}): HostModelHub {
  const { env = process.env, fetch = host.fetch } = options;
  return new LlamaModelHub({
    store: () => readAssets(options, env),
    configs: LLAMA_CONFIGS,
    load: (wanted, more) => loadHubModel(host, wanted, { env, fetch, ...more }),
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

/** The one place that decides what a loaded model is. */
async function loadHubModel(
  host: Host,
  { name, checkpoint, config, overridden }: ModelToLoad<LLaMAConfig>,
  options: CreateEngineOptions,
): Promise<HubModel> {
  if (config !== undefined && overridden.length > 0) {
    const named = await openNamedModel(host, checkpoint, options);
    try {
      const { model } = await planModel(named.input, { signal: options.signal });
      checkOverrides(name, config, overridden, model.config);
    } finally {
      await named.close();
    }
  }
  return createHostEngine(host, checkpoint, { id: name, ...options });
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
