/**
 * pronk on Deno.
 *
 * @module
 * @example
 * import { createEngine } from "pronk";
 * import { createApp } from "pronk/server";
 * const engine = await createEngine("smollm2-135m-instruct");
 * const app = createApp({ engine });
 */
import type { Engine } from "../../engine/engine.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import type { OutputFolder } from "../../formats/output-file.ts";
import type { Fairseq2Tokenizer } from "../../llama/tokenizer/fairseq2-tokenizer.ts";
import type { PlaygroundFiles } from "../../server/playground/files.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { type CreateEngineOptions, createHostEngine } from "../host/create-engine.ts";
import { directoryFolder } from "../host/directory.ts";
import {
  createModelHub,
  createTokenizerHub,
  type HostModelHub,
  type HostTokenizerHub,
  type HubOptions,
  type TokenizerLoadOptions,
} from "../host/llama-hubs.ts";
import { outputFolder } from "../host/output-folder.ts";
import { hostPlayground } from "../host/playground-files.ts";
import { denoHost } from "./host.ts";

/**
 * Loads a model and runs it: a known name, `hf:OWNER/REPO[@REVISION][:FILE]`, the path of a GGUF file
 * or a pack, an https:// URL of either; or an opened pack or GGUF file.
 *
 * @throws PronkError
 */
export function createEngine(
  model: string | ModelInput,
  options?: CreateEngineOptions,
): Promise<Engine> {
  return createHostEngine(denoHost, model, options);
}

/** A directory that a checkpoint is written to; files appear under their names when they are whole. */
export function outputDirectory(path: string): OutputFolder {
  return outputFolder(path);
}

/** fairseq2's model hub: `hub.loadModel("llama3_2_1b")`, by asset cards, the user's included. */
export function getLlamaModelHub(options?: HubOptions): HostModelHub {
  return createModelHub(denoHost, options);
}

/** fairseq2's tokenizer hub: `hub.loadTokenizer("llama3_2_1b")`. */
export function getLlamaTokenizerHub(options?: HubOptions): HostTokenizerHub {
  return createTokenizerHub(denoHost, options);
}

/** A tokenizer by the name of its asset card. @throws PronkError */
export function loadTokenizer(
  name: string,
  options?: HubOptions & TokenizerLoadOptions,
): Promise<Fairseq2Tokenizer> {
  return getLlamaTokenizerHub(options).loadTokenizer(name, options);
}

/** A directory that holds a pack or a checkpoint. */
export function openDirectory(path: string): SourceFolder {
  return directoryFolder(denoHost, path);
}

/** The page that `createApp({ engine, playground: playgroundFiles() })` has at `/`. */
export function playgroundFiles(): PlaygroundFiles {
  return hostPlayground(denoHost);
}

export { PronkError } from "../../errors.ts";
export { httpFolder } from "../../sources/http.ts";
export { retryingFolder } from "../../sources/retrying.ts";
export type { CreateEngineOptions, LoadStage } from "../host/create-engine.ts";
export { createDrainingApp, type DrainingAppOptions } from "../host/draining-app.ts";
export type {
  HostModelHub,
  HostTokenizerHub,
  HubModel,
  HubOptions,
  TokenizerLoadOptions,
} from "../host/llama-hubs.ts";
export { type ResponseFolderOptions, responseFolder } from "../host/response-folder.ts";
export * from "../types.ts";
export * from "./models.ts";
export * from "./tokenizers.ts";
