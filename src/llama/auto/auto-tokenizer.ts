/** AutoTokenizer: the tokenizer of whatever a source holds. */

import { openIfPresent } from "../../checkpoints/companion-files.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import { readGguf } from "../../formats/gguf/read-gguf.ts";
import { loadBlob, readManifest } from "../../pack/loader.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import type { SourceFolder } from "../../sources/source.ts";
import {
  isFolder,
  type ModelOpener,
  type PretrainedSource,
  type SourceOptions,
  withSource,
} from "../modeling/pretrained-source.ts";
import {
  type AutoTokenizerOptions,
  autoTokenizer,
  tokenizerFromBlock,
  tokenizerFromGguf,
} from "../tokenizer/load-tokenizer.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import type { FilesByName } from "../tokenizer/tokenizer-files.ts";

/** Of the files and of the tokenizer. */
export interface PretrainedTokenizerOptions extends SourceOptions, AutoTokenizerOptions {
  /** Without effect: no code is run. */
  readonly trust_remote_code?: boolean;
}

/** Also bytes by file name. */
export type TokenizerSource = PretrainedSource | FilesByName;

export interface AutoTokenizerClass {
  /** @throws PronkError "not_found" without a tokenizer; "unsupported"; "bad_format". */
  fromPretrained(
    source: TokenizerSource,
    options?: PretrainedTokenizerOptions,
  ): Promise<PreTrainedTokenizerBase>;
}

export function bindAutoTokenizer(opener: Pick<ModelOpener, "open">): AutoTokenizerClass {
  return {
    fromPretrained: (source, options) => loadPretrainedTokenizer(opener, source, options),
  };
}

/**
 * Of a GGUF file and a pack the tokenizer is that of their metadata, and `use_fast` chooses nothing.
 *
 * @throws PronkError "not_found" where there is no tokenizer; "bad_format"; "unsupported".
 */
export async function loadPretrainedTokenizer(
  opener: Pick<ModelOpener, "open">,
  source: TokenizerSource,
  options: PretrainedTokenizerOptions = {},
): Promise<PreTrainedTokenizerBase> {
  const { where, given } = splitSourceOptions(options);
  if (isFilesByName(source)) return autoTokenizer(source, given);
  const request = { ...where, part: "tokenizer" } as const;
  return withSource(opener, source, request, (opened) => tokenizerOf(opened, given));
}

/** Where files are looked for, and what the tokenizer itself is told; both have the signal. */
export function splitSourceOptions(options: PretrainedTokenizerOptions): {
  readonly where: SourceOptions;
  readonly given: AutoTokenizerOptions;
} {
  const {
    revision,
    subfolder,
    gguf_file,
    variant,
    cache_dir,
    local_files_only,
    token,
    env,
    fetch,
    hub,
    onProgress,
    trust_remote_code: _,
    ...given
  } = options;
  const { signal } = given;
  const where = {
    revision,
    subfolder,
    gguf_file,
    variant,
    cache_dir,
    local_files_only,
    token,
    env,
    fetch,
    hub,
    signal,
    onProgress,
  };
  const found = Object.entries(where).filter(([, value]) => value !== undefined);
  return { where: Object.fromEntries(found) as SourceOptions, given };
}

async function tokenizerOf(
  opened: SourceFolder | ModelInput,
  options: AutoTokenizerOptions,
): Promise<PreTrainedTokenizerBase> {
  const { signal, use_fast: _, ...given } = options;
  if (isFolder(opened)) {
    const isPack = await openIfPresent(opened, MANIFEST_NAME, signal);
    return isPack ? tokenizerOf({ pack: opened }, options) : autoTokenizer(opened, options);
  }
  if ("gguf" in opened) {
    const { metadata } = await readGguf(opened.gguf, signal);
    return tokenizerFromGguf(metadata, given);
  }
  if ("pack" in opened) {
    const { tokenizer, chat_template } = await readManifest(opened.pack, signal);
    if (!tokenizer) throw new PronkError("not_found", `${opened.pack.name}: it has no tokenizer`);
    const block = await loadBlob(opened.pack, tokenizer, { ...(signal && { signal }) });
    return tokenizerFromBlock(block, { chat_template, ...given });
  }
  const files: Record<string, Uint8Array> = {};
  for (const [name, file] of opened.checkpoint.files ?? []) files[name] = await file.read(signal);
  return autoTokenizer(files, options);
}

/** Values of opened files are objects of another kind than bytes. */
export function isFilesByName(source: TokenizerSource): source is FilesByName {
  return (
    typeof source !== "string" &&
    !isFolder(source as SourceFolder) &&
    Object.values(source).every((value) => value instanceof Uint8Array)
  );
}
