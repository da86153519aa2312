/** LoRA adapters by a repository of the hub or a URL, read by range requests; nothing is kept. */
import { PronkError } from "../../errors.ts";
import { DEFAULT_HUB, hubFileUrl } from "../../hub/model-hub.ts";
import { parseModelReference, refuseHash } from "../../hub/model-reference.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { OpenOptions } from "./open-model.ts";

/** @throws PronkError "not_found" on what is neither; "bad_request". */
export async function openAdapterFolder(
  name: string,
  { fetch, hub = DEFAULT_HUB }: OpenOptions,
): Promise<SourceFolder> {
  const reference = parseModelReference(name);
  const folder = (url: string): SourceFolder => retryingFolder(httpFolder(url, { fetch }));
  if (reference.kind === "url") {
    refuseHash(reference, "folder");
    return folder(reference.url.replace(/\/+$/, ""));
  }
  if (reference.kind !== "hub") {
    throw new PronkError("not_found", `${name}: no path can be read here`);
  }
  // The folder that its files are in.
  const file = hubFileUrl(hub, reference.repo, reference.revision, "adapter_config.json");
  return folder(file.slice(0, file.lastIndexOf("/")));
}
