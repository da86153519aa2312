/**
 * What users name, as something to load: paths are opened where they are; models from elsewhere are
 * pulled into the cache and packed there once, so that every later start is a copy.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ModelInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import { KNOWN_MODELS } from "../../hub/known-models.ts";
import { type ModelReference, parseModelReference } from "../../hub/model-reference.ts";
import type { QuantizationOptions } from "../../pack/form-choice.ts";
import { MANIFEST_NAME, PACK_VERSION } from "../../pack/manifest.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import { cacheFolder, type Environment } from "./cache-folder.ts";
import { directoryFolder, directoryTarget, type OpenSource, openSource } from "./directory.ts";
import type { Host } from "./host.ts";
import { type PulledFile, type PullOptions, pullModel } from "./pull.ts";

/** A model that can be loaded; its owner closes it after loading. */
export interface NamedModel {
  /** What to call it; undefined: as the file itself does. */
  readonly id: string | undefined;
  readonly input: ModelInput;
  /** Makes a damaged pack of the cache anew; undefined for what is not the cache's. */
  readonly repair: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

export interface OpenModelOptions extends Partial<QuantizationOptions> {
  readonly env: Environment;
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal;
  readonly onPull?: PullOptions["onProgress"];
  readonly onPack?: (progress: { readonly packed: number; readonly total: number }) => void;
}

/** These keep whole f32 weights: packs too large to keep unasked. */
const UNCACHED = ["none", "f16", "f32"];

/** @throws PronkError "not_found", "bad_request", "unsupported", "source_failed", "corrupt". */
export async function openModel(
  host: Host,
  name: string,
  options: OpenModelOptions,
): Promise<NamedModel> {
  const reference = parseModelReference(name);
  if (reference.kind === "path") return openPath(host, reference.path);
  if (reference.kind === "url" && !isGguf(new URL(reference.url).pathname)) {
    const url = reference.url.replace(new RegExp(`/*(${MANIFEST_NAME})?$`), "");
    const folder = retryingFolder(httpFolder(url, { fetch: options.fetch }));
    return { id: undefined, input: { pack: folder }, repair: undefined, close: async () => {} };
  }
  return openPulled(host, reference, options);
}

async function openPath(host: Host, path: string): Promise<NamedModel> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    const names = KNOWN_MODELS.map((model) => model.name).join(", ");
    throw new PronkError("not_found", `${path}: no such file, and no known model (${names})`);
  }
  if (found.isFile()) return openGgufFiles(host, await partsOf(path));
  if (await stat(join(path, MANIFEST_NAME)).catch(() => undefined)) {
    const input = { pack: directoryFolder(host, path) };
    return { id: undefined, input, repair: undefined, close: async () => {} };
  }
  throw new PronkError("unsupported", `${path}: a directory without ${MANIFEST_NAME}; runs: packs`);
}

/** All parts of a split model, given any of them. */
async function partsOf(path: string): Promise<string[]> {
  const [, stem, count] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(basename(path)) ?? [];
  if (stem === undefined) return [path];
  const folder = dirname(path);
  const present = new Set(await readdir(folder));
  return Array.from({ length: Number(count) }, (_, i) => {
    const part = `${stem}-${String(i + 1).padStart(5, "0")}-of-${count}.gguf`;
    if (!present.has(part)) throw new PronkError("not_found", `${join(folder, part)}: no such file`);
    return join(folder, part);
  });
}

async function openGgufFiles(
  host: Host,
  paths: readonly string[],
  id?: string,
): Promise<NamedModel> {
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

async function openPulled(
  host: Host,
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: OpenModelOptions,
): Promise<NamedModel> {
  const { env, signal, onPull: onProgress } = options;
  const id = reference.kind === "known" ? reference.model.name : undefined;
  const pull = (): Promise<PulledFile[]> =>
    pullModel(reference, { env, fetch: options.fetch, signal, onProgress });
  const { quantization = "auto", profile = "default" } = options;
  if (UNCACHED.includes(quantization)) {
    return openGgufFiles(
      host,
      (await pull()).map(({ path }) => path),
      id,
    );
  }
  // A known model's hash is known without its file: a second start needs only the pack.
  const sha256 =
    reference.kind === "known" ? reference.model.sha256 : (await pull())[0].sha256;
  const name = `${sha256.slice(0, 16)}-${quantization}-${profile}-v${PACK_VERSION}`;
  const folder = join(cacheFolder(env), "packs", name);
  const pack = async (): Promise<void> => {
    // Loaded only here: a start from the pack needs neither the packer nor the GGUF reader.
    const { packModel } = await import("../../engine/pack-model.ts");
    const files = await pull();
    const source = await openGgufFiles(
      host,
      files.map(({ path }) => path),
    );
    try {
      if (!("gguf" in source.input)) return;
      await packModel(source.input.gguf, directoryTarget(folder), {
        id,
        quantization,
        profile,
        signal,
        onProgress: options.onPack,
        sourceSha256: files.length === 1 ? files[0].sha256 : undefined,
      });
    } finally {
      await source.close();
    }
  };
  if (!(await stat(join(folder, MANIFEST_NAME)).catch(() => undefined))) await pack();
  return {
    id,
    input: { pack: directoryFolder(host, folder) },
    async repair(): Promise<void> {
      await rm(join(folder, MANIFEST_NAME), { force: true });
      await pack();
    },
    close: async () => {},
  };
}

function isGguf(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}
