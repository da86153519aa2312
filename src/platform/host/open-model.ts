/**
 * What users name, as something to load: paths are opened where they are; models from elsewhere are
 * pulled into the cache and packed there once, so that every later start is a copy.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ModelInput, SourceInput } from "../../engine/opened-model.ts";
import { signedInput } from "../../engine/signed-input.ts";
import { PronkError } from "../../errors.ts";
import { ggufPartNames } from "../../formats/gguf/part-names.ts";
import { KNOWN_MODELS, type KnownModel } from "../../hub/known-models.ts";
import { type ModelReference, parseModelReference, refuseHash } from "../../hub/model-reference.ts";
import type { QuantizationOptions } from "../../pack/form-choice.ts";
import { MANIFEST_NAME, PACK_VERSION } from "../../pack/manifest.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import { cacheFolder, type Environment } from "./cache-folder.ts";
import { directoryFolder, directoryTarget, type OpenSource, openSource } from "./directory.ts";
import { hashFile } from "./file-hash.ts";
import type { Host } from "./host.ts";
import type { PulledFile, PullOptions } from "./pull.ts";

/** A model that can be loaded; its owner closes it after loading. */
export interface NamedModel<Input extends ModelInput = ModelInput> {
  /** What to call it; undefined: as the file itself does. */
  readonly id: string | undefined;
  readonly input: Input;
  /** Makes a damaged pack of the cache anew; undefined for what is not the cache's. */
  readonly repair: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

export interface OpenModelOptions extends Partial<QuantizationOptions> {
  readonly env: Environment;
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal;
  /** Whose signature the model has to have: it is a pack then. */
  readonly publicKey?: string | readonly string[];
  readonly onPull?: PullOptions["onProgress"];
  readonly onPack?: (progress: { readonly packed: number; readonly total: number }) => void;
}

const isS3Name = (name: string): boolean => name.startsWith("s3://");

/** These keep whole f32 weights: packs too large to keep unasked. */
const UNCACHED = ["none", "f16", "f32"];

/** A model's own files, with their hash where it is known. */
export interface SourceModel extends NamedModel<SourceInput> {
  /** undefined for a model in several files, which have one each. */
  readonly sha256: string | undefined;
  /** SPDX, where we know it. */
  readonly license: string | undefined;
}

/**
 * Opens the GGUF file or checkpoint behind a name, never a pack.
 *
 * @throws PronkError as openModel; "unsupported" for a pack.
 */
export async function openSourceModel(
  host: Host,
  name: string,
  options: OpenModelOptions,
): Promise<SourceModel> {
  const reference = parseModelReference(name);
  if (reference.kind === "path") {
    const model = await openPath(host, reference.path);
    const { input } = model;
    if ("pack" in input) throw new PronkError("unsupported", `${name}: a pack, not a model file`);
    const isSingle = "gguf" in input && input.gguf.length === 1;
    const sha256 = isSingle ? (await hashFile(reference.path)).sha256 : undefined;
    return { ...model, input, sha256, license: undefined };
  }
  const { env, signal, onPull: onProgress } = options;
  const { pullVerified } = await import("./pull.ts");
  const files = await pullVerified(reference, { env, fetch: options.fetch, signal, onProgress });
  const known = reference.kind === "known" ? reference.model : undefined;
  const paths = files.map(({ path }) => path);
  if (!isGguf(paths[0]) && reference.kind === "hub") {
    const id = basename(reference.repo);
    // Loaded only here, as the packer below: who has a pack needs neither.
    const { openCheckpointFolder } = await import("../../checkpoints/open-folder.ts");
    const checkpoint = await openCheckpointFolder(directoryFolder(host, dirname(paths[0])), signal);
    const close = async (): Promise<void> => {};
    return {
      id,
      input: { checkpoint },
      repair: undefined,
      sha256: undefined,
      license: undefined,
      close,
    };
  }
  return {
    ...(await openGgufFiles(host, paths, known?.name)),
    sha256: files.length === 1 ? files[0].sha256 : undefined,
    license: known?.license,
  };
}

/** @throws PronkError "not_found", "bad_request", "unsupported", "source_failed", "corrupt". */
export async function openModel(
  host: Host,
  name: string,
  options: OpenModelOptions,
): Promise<NamedModel> {
  // Signatures are of packs, as they are: of what is packed here nobody has one.
  return (options.publicKey === undefined ? openAny : openUnpacked)(host, name, options);
}

async function openAny(host: Host, name: string, options: OpenModelOptions): Promise<NamedModel> {
  if (isS3Name(name)) return openS3(name, options);
  const reference = parseModelReference(name);
  if (reference.kind === "path") return openPath(host, reference.path);
  if (reference.kind === "url" && !isGguf(new URL(reference.url).pathname)) {
    refuseHash(reference, "folder");
    const url = reference.url.replace(new RegExp(`/*(${MANIFEST_NAME})?$`), "");
    const folder = retryingFolder(httpFolder(url, { fetch: options.fetch }));
    return { id: undefined, input: { pack: folder }, repair: undefined, close: async () => {} };
  }
  return openCached(host, name, reference, options);
}

/**
 * Opens a model as it is: a pack where the name is one, else the GGUF file or checkpoint.
 *
 * @throws PronkError as openModel.
 */
export async function openUnpacked(
  host: Host,
  name: string,
  options: OpenModelOptions,
): Promise<NamedModel> {
  const { publicKey } = options;
  const isBucket = isS3Name(name);
  const reference = isBucket ? undefined : parseModelReference(name);
  const isElsewhere =
    reference?.kind === "known" ||
    reference?.kind === "hub" ||
    (reference?.kind === "url" && isGguf(new URL(reference.url).pathname));
  // Nothing is downloaded that can have no signature.
  if (publicKey !== undefined && isElsewhere) throw notSigned(name);
  const opened = await (isElsewhere
    ? openSourceModel(host, name, options)
    : openAny(host, name, options));
  try {
    return { ...opened, input: signedInput(opened.input, publicKey) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

function notSigned(name: string): PronkError {
  return new PronkError(
    "bad_request",
    `${name}: only packs are signed, and a public key was given`,
    {
      param: "publicKey",
    },
  );
}

/** Loaded only here: signatures are of no use elsewhere. */
async function openS3(name: string, { env, fetch }: OpenModelOptions): Promise<NamedModel> {
  const { s3PackFolder } = await import("./s3-model.ts");
  const pack = retryingFolder(s3PackFolder(name, env, fetch));
  return { id: undefined, input: { pack }, repair: undefined, close: async () => {} };
}

async function openPath(host: Host, path: string): Promise<NamedModel> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    const names = KNOWN_MODELS.map((model) => model.name).join(", ");
    throw new PronkError("not_found", `${path}: no such file, and no known model (${names})`);
  }
  if (found.isFile()) {
    // A known model's file goes by the known name, wherever it came from.
    const isKnown = (model: KnownModel): boolean =>
      model.file === basename(path) && model.bytes === found.size;
    return openGgufFiles(host, await partsOf(path), KNOWN_MODELS.find(isKnown)?.name);
  }
  if (await stat(join(path, MANIFEST_NAME)).catch(() => undefined)) {
    const input = { pack: directoryFolder(host, path) };
    return { id: undefined, input, repair: undefined, close: async () => {} };
  }
  // Loaded only here, as the packer below: who has a pack needs neither.
  const { openCheckpointFolder } = await import("../../checkpoints/open-folder.ts");
  const checkpoint = await openCheckpointFolder(directoryFolder(host, path));
  return { id: undefined, input: { checkpoint }, repair: undefined, close: async () => {} };
}

/** All parts of a split model, given any of them. */
async function partsOf(path: string): Promise<string[]> {
  const parts = ggufPartNames(path);
  if (parts === undefined) return [path];
  const present = new Set(await readdir(dirname(path)));
  const missing = parts.find((part) => !present.has(basename(part)));
  if (missing !== undefined) throw new PronkError("not_found", `${missing}: no such file`);
  return parts;
}

async function openGgufFiles(
  host: Host,
  paths: readonly string[],
  id?: string,
): Promise<NamedModel<SourceInput>> {
  const sources: OpenSource[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(sources.splice(0).map((source) => source.close()));
  };
  try {
    for (const path of paths) sources.push(await openSource(host, path));
  } catch (error) {
    await close();
    throw error;
  }
  return { id, input: { gguf: [...sources] }, repair: undefined, close };
}

/** The pack that was made of a model from elsewhere, made now if need be. */
async function openCached(
  host: Host,
  name: string,
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: OpenModelOptions,
): Promise<NamedModel> {
  const { env, signal, quantization = "auto", profile = "default" } = options;
  if (UNCACHED.includes(quantization)) return openSourceModel(host, name, options);
  const known = reference.kind === "known" ? reference.model : undefined;
  // Where the hash is known without the file, a second start needs only the pack.
  const named = known ?? (reference.kind === "url" ? reference : undefined);
  const sha256 = named?.sha256 ?? (await sourceHash(reference, options));
  const key = `${sha256.slice(0, 16)}-${quantization}-${profile}-v${PACK_VERSION}`;
  const folder = join(cacheFolder(env), "packs", key);
  const pack = async (): Promise<void> => {
    const source = await openSourceModel(host, name, options);
    try {
      const { packModel } = await import("../../engine/pack-model.ts");
      await packModel(source.input, directoryTarget(folder), {
        id: source.id,
        quantization,
        profile,
        signal,
        license: source.license,
        sourceSha256: source.sha256,
        onProgress: options.onPack,
      });
    } finally {
      await source.close();
    }
  };
  if (!(await stat(join(folder, MANIFEST_NAME)).catch(() => undefined))) await pack();
  return {
    id: known?.name,
    input: { pack: directoryFolder(host, folder) },
    async repair(): Promise<void> {
      await rm(join(folder, MANIFEST_NAME), { force: true });
      await pack();
    },
    close: async () => {},
  };
}

/** Of a split model, its first part's: it holds the metadata, and names how many follow. */
async function sourceHash(
  reference: Exclude<ModelReference, { kind: "path" }>,
  { env, fetch, signal, onPull }: OpenModelOptions,
): Promise<string> {
  const files = await pull(reference, { env, fetch, signal, onProgress: onPull });
  const { pulledModel } = await import("./pull.ts");
  return pulledModel(files).sha256;
}

/** Loaded only here: what downloads and unpacks is a fifth of the code, and most starts need none. */
async function pull(
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: PullOptions,
): Promise<PulledFile[]> {
  const { pullModel } = await import("./pull.ts");
  return pullModel(reference, options);
}

function isGguf(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}
