/** Models by name or URL, read by range requests; nothing is kept. */
import type { ModelInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import { DEFAULT_HUB, findHubFiles, hubFileUrl } from "../../hub/model-hub.ts";
import { parseModelReference, refuseHash } from "../../hub/model-reference.ts";
import { httpFolder, httpSource } from "../../sources/http.ts";
import { retrying, retryingFolder } from "../../sources/retrying.ts";

export interface OpenOptions {
  readonly fetch: typeof fetch;
  /** Default: https://huggingface.co */
  readonly hub?: string;
  readonly signal?: AbortSignal;
}

/** @throws PronkError "not_found", "bad_request", "source_failed", "aborted". */
export async function openModel(
  name: string,
  { fetch, hub = DEFAULT_HUB, signal }: OpenOptions,
): Promise<{ id: string | undefined; input: ModelInput }> {
  const reference = parseModelReference(name);
  const gguf = async (urls: readonly string[], id?: string) => {
    const sources = await Promise.all(urls.map((url) => httpSource(url, { fetch, signal })));
    return { id, input: { gguf: sources.map((source) => retrying(source)) } };
  };
  switch (reference.kind) {
    case "known": {
      const { model } = reference;
      return gguf([hubFileUrl(hub, model.repo, model.revision, model.file)], model.name);
    }
    case "hub": {
      const { repo, revision, choice } = reference;
      const files = await findHubFiles(hub, repo, revision, choice, { fetch, signal });
      return gguf(files.map(({ url }) => url));
    }
    case "url": {
      const isFile = new URL(reference.url).pathname.toLowerCase().endsWith(".gguf");
      refuseHash(reference, isFile ? "ranges" : "folder");
      if (isFile) return gguf([reference.url]);
      const base = reference.url.replace(/\/*(manifest\.json)?$/, "");
      return { id: undefined, input: { pack: retryingFolder(httpFolder(base, { fetch })) } };
    }
    default:
      throw new PronkError("not_found", `${name}: no known model, and no path can be read here`);
  }
}
