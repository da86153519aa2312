/** What names stand for where there is nothing but fetch: files are read by range requests, nothing is kept. */
import { PronkError } from "../errors.ts";
import { chooseFiles, DEFAULT_HUB, hubFileUrl, listRepository } from "../hub/model-hub.ts";
import { type ModelReference, parseModelReference, refuseHash } from "../hub/model-reference.ts";
import {
  innerFolder,
  type OpenedName,
  type OpenRequest,
  refuseRevision,
} from "../llama/modeling/pretrained-source.ts";
import { httpFolder, httpSource } from "../sources/http.ts";
import { retrying, retryingFolder } from "../sources/retrying.ts";
import type { ByteSource, SourceFolder } from "../sources/source.ts";

/** `OWNER/REPO`: a path there is none of. */
const REPOSITORY = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

/** What tells that a repository's part can be read without its GGUF file. */
const MARKS = {
  config: ["config.json"],
  generation: ["generation_config.json", "config.json"],
  tokenizer: ["tokenizer.json", "tokenizer.model"],
} as const;

/** @throws PronkError "not_found", "bad_request", "source_failed", "aborted". */
export async function openByFetch(name: string, request: OpenRequest): Promise<OpenedName> {
  const { cache_dir, local_files_only } = request;
  for (const [param, value] of Object.entries({ cache_dir, local_files_only })) {
    if (!value) continue;
    throw new PronkError("unsupported", `${param}: nothing is kept here`, { param });
  }
  const reference = parseModelReference(REPOSITORY.test(name) ? `hf:${name}` : name);
  return { source: await openReference(reference, name, request), close: async () => {} };
}

async function openReference(
  reference: ModelReference,
  name: string,
  request: OpenRequest,
): Promise<OpenedName["source"]> {
  const { signal, hub = DEFAULT_HUB } = request;
  const fetch = request.fetch ?? globalThis.fetch.bind(globalThis);
  const gguf = async (...urls: string[]): Promise<{ gguf: ByteSource[] }> => {
    const sources = await Promise.all(urls.map((url) => httpSource(url, { fetch, signal })));
    return { gguf: sources.map((source) => retrying(source)) };
  };
  if (reference.kind === "hub") return openRepository(reference, request, { fetch, hub, gguf });
  refuseRevision(request, name);
  if (reference.kind === "known") {
    const { repo, revision, file } = reference.model;
    return gguf(hubFileUrl(hub, repo, revision, file));
  }
  if (reference.kind === "path") {
    throw new PronkError("not_found", `${name}: no known model, and no path can be read here`);
  }
  const isFile = new URL(reference.url).pathname.toLowerCase().endsWith(".gguf");
  refuseHash(reference, isFile ? "ranges" : "folder");
  if (isFile) return gguf(reference.url);
  const url = reference.url.replace(/\/*(manifest\.json)?$/, "");
  return innerFolder(retryingFolder(httpFolder(url, { fetch })), request);
}

async function openRepository(
  { repo, revision: named, choice }: Extract<ModelReference, { kind: "hub" }>,
  request: OpenRequest,
  {
    fetch,
    hub,
    gguf,
  }: {
    readonly fetch: typeof globalThis.fetch;
    readonly hub: string;
    readonly gguf: (...urls: string[]) => Promise<OpenedName["source"]>;
  },
): Promise<OpenedName["source"]> {
  const { part, kinds, signal, revision: asked = "main" } = request;
  const revision = named === "main" ? asked : named;
  const where = `hf:${repo}@${revision}`;
  const { commit, files } = await listRepository(hub, repo, revision, { fetch, signal });
  const urlOf = (name: string): string => hubFileUrl(hub, repo, commit ?? revision, name);
  const prefix = request.subfolder ? `${request.subfolder.replace(/\/+$/, "")}/` : "";
  const names = [...files.keys()];
  const isThere = part !== "model" && MARKS[part].some((name) => names.includes(prefix + name));
  const hasGguf = names.some((name) => name.startsWith(prefix) && name.endsWith(".gguf"));
  const file = request.gguf_file ? prefix + request.gguf_file : choice;
  if (file !== undefined || (hasGguf && !kinds && !request.variant && !isThere)) {
    const inside = names.filter((name) => name.startsWith(prefix));
    return gguf(...chooseFiles(inside, file, where).map(urlOf));
  }
  const folder: SourceFolder = {
    name: where,
    open: (name, readSignal) => {
      if (!files.has(prefix + name)) {
        return Promise.reject(new PronkError("not_found", `${where}: ${prefix + name} is missing`));
      }
      return httpSource(urlOf(prefix + name), { fetch, signal: readSignal });
    },
  };
  return retryingFolder(folder);
}
