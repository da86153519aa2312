/** What names a LoRA adapter on a host with files: a directory, a repository of the hub, a URL. */
import { dirname } from "node:path";
import { parseModelReference, refuseHash } from "../../hub/model-reference.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { directoryFolder } from "./directory.ts";
import type { Host } from "./host.ts";
import type { PullOptions } from "./pull.ts";

/**
 * Repositories are pulled into the cache; a URL is read where it is.
 *
 * @throws PronkError "not_found", "bad_request", "source_failed", "corrupt", "aborted".
 */
export async function openAdapterFolder(
  host: Host,
  name: string,
  options: PullOptions,
): Promise<SourceFolder> {
  const reference = parseModelReference(name);
  if (reference.kind === "url") {
    refuseHash(reference, "folder");
    const url = reference.url.replace(/\/+$/, "");
    return retryingFolder(httpFolder(url, { fetch: options.fetch }));
  }
  if (reference.kind !== "hub") return directoryFolder(host, name);
  const { pullVerified } = await import("./pull.ts");
  const [first] = await pullVerified(reference, options);
  return directoryFolder(host, dirname(first.path));
}
