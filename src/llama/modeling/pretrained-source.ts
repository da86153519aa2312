/** Where a pretrained model, configuration or tokenizer comes from: names are opened by the runtime, folders here. */

import { openIfPresent } from "../../checkpoints/companion-files.ts";
import { type CheckpointKind, openCheckpointFolder } from "../../checkpoints/open-folder.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import type { OutputFolder } from "../../formats/output-file.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import type { ByteSource, SourceFolder } from "../../sources/source.ts";
import type { ModelRuntime } from "./runner-build.ts";

/** A name (a path, a URL, a model of the hub), a folder of files, or opened files. */
export type PretrainedSource = string | SourceFolder | ModelInput;

/** Where loading stands: files on their way, then weights in their places. */
export interface PretrainedProgress {
  readonly phase: "download" | "wheel" | "verify" | "load";
  /** The file at hand, while it is on its way. */
  readonly file?: string;
  /** Bytes. */
  readonly loaded: number;
  readonly total: number | undefined;
}

/** Where files are looked for, under Hugging Face's names. */
export interface SourceOptions {
  /** Branch, tag or commit of a repository of the hub. Default "main". */
  readonly revision?: string;
  /** Folder in which the files lie. */
  readonly subfolder?: string;
  /** A GGUF file of the folder or repository. */
  readonly gguf_file?: string | null;
  /** Reads `model.VARIANT.safetensors`. */
  readonly variant?: string | null;
  /** Hugging Face's cache, in place of that of the environment. */
  readonly cache_dir?: string | null;
  /** Nothing is asked of the network. */
  readonly local_files_only?: boolean;
  /** false: HF_TOKEN of the environment is not used. Tokens themselves are read from there alone. */
  readonly token?: boolean | null;
  /** Default: the process's; without effect where there is none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly fetch?: typeof fetch;
  /** The hub's address, in browsers. Default https://huggingface.co */
  readonly hub?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PretrainedProgress) => void;
}

/** Which files are wanted, where not all have to be fetched. */
export type PretrainedPart = "model" | "config" | "generation" | "tokenizer";

export interface OpenRequest extends SourceOptions {
  readonly part: PretrainedPart;
  /** Kinds of weights in the order of preference; others are not taken. */
  readonly kinds?: readonly CheckpointKind[];
  /** Of a folder's weights: `model.VARIANT.safetensors`. */
  readonly variant?: string | null;
}

/** What a name stands for, open; whoever opened it closes it after loading. */
export interface OpenedName {
  readonly source: SourceFolder | ModelInput;
  close(): Promise<void>;
}

/** What a runtime knows. */
export interface ModelOpener {
  /** @throws PronkError "not_found", "bad_request", "unsupported", "source_failed", "aborted". */
  open(name: string, request: OpenRequest): Promise<OpenedName>;
  /** @param given modules that the caller compiled */
  runtime(given?: Runtime["kernels"]): Promise<ModelRuntime>;
  /** Where models are saved, where there are paths. */
  outputFolder?(path: string): OutputFolder;
  /** A macrotask: timers, sockets and aborts run while models do. */
  readonly yieldTask?: Runtime["yieldTask"];
}

/** Opens the source, uses it, closes it. */
export async function withSource<Result>(
  opener: Pick<ModelOpener, "open">,
  source: PretrainedSource,
  request: OpenRequest,
  use: (opened: SourceFolder | ModelInput) => Promise<Result>,
): Promise<Result> {
  if (typeof request.token === "string") {
    const what = "token: tokens are read from HF_TOKEN of the environment alone";
    throw new PronkError("unsupported", what, { param: "token" });
  }
  if (typeof source !== "string") {
    refuseRevision(request, "what is open");
    return use(isFolder(source) ? await innerFolder(source, request) : source);
  }
  const opened = await opener.open(source, request);
  try {
    return await use(opened.source);
  } finally {
    await opened.close();
  }
}

export function isFolder(source: SourceFolder | ModelInput): source is SourceFolder {
  return "open" in source && typeof source.open === "function";
}

/** A pack where the folder holds one, else the checkpoint. @throws PronkError "bad_request" */
export async function modelInput(
  source: SourceFolder | ModelInput,
  { kinds, variant, signal }: Pick<OpenRequest, "kinds" | "variant" | "signal">,
): Promise<ModelInput> {
  const hasPack = isFolder(source) && (await openIfPresent(source, MANIFEST_NAME, signal));
  if (variant && (hasPack || !isFolder(source))) {
    throw new PronkError("bad_request", `variant ${variant}: of directories with safetensors`, {
      param: "variant",
    });
  }
  if (!isFolder(source)) return source;
  if (hasPack) return { pack: source };
  return {
    checkpoint: await openCheckpointFolder(source, signal, {
      kinds,
      variant: variant ?? undefined,
    }),
  };
}

/** The folder's own subfolder, or the GGUF file that is named in it. */
export async function innerFolder(
  folder: SourceFolder,
  { subfolder, gguf_file, signal }: SourceOptions,
): Promise<SourceFolder | ModelInput> {
  const inner = subfolder ? prefixed(folder, subfolder.replace(/\/+$/, "")) : folder;
  return gguf_file ? { gguf: [await inner.open(gguf_file, signal)] } : inner;
}

function prefixed(folder: SourceFolder, prefix: string): SourceFolder {
  return {
    name: `${folder.name}/${prefix}`,
    open: (name, signal, size): Promise<ByteSource> =>
      folder.open(`${prefix}/${name}`, signal, size),
  };
}

/** What only a repository of the hub has. @throws PronkError "bad_request" */
export function refuseRevision({ revision = "main" }: SourceOptions, where: string): void {
  if (revision === "main") return;
  throw new PronkError("bad_request", `revision ${revision}: ${where} has none`, {
    param: "revision",
  });
}
