/**
 * A Hugging Face hub over HTTPS: where a repository's files are, and which of them is meant.
 *
 * Source: https://huggingface.co/docs/hub/api ; the same API is served by mirrors (HF_ENDPOINT).
 */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { ggufPartNames } from "../formats/gguf/part-names.ts";
import { bodyChunks } from "./body-chunks.ts";
import { isRepositoryPath } from "./model-reference.ts";
import { patiently } from "./patience.ts";
import { openRemote, type RemoteOptions, RetryableError, shownUrl } from "./remote.ts";

/** One file to download. `sha256` is null for files that the hub does not keep as blobs. */
export interface HubFile {
  readonly name: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string | null;
}

export const DEFAULT_HUB = "https://huggingface.co";

/** A repository's listing; real ones are under 1 MB. */
const MAX_LISTING_BYTES = 16 * 1024 * 1024;

/** What to take when a repository has several GGUF files and none is named; the first present. */
const PREFERRED = ["Q4_K_M", "Q4_1", "Q4_0", "Q8_0"];

export function hubFileUrl(hub: string, repo: string, revision: string, file: string): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return `${hub.replace(/\/+$/, "")}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
}

/** A repository's files at one commit. */
export interface RepositoryListing {
  /** undefined where the server does not tell. */
  readonly commit: string | undefined;
  readonly files: ReadonlyMap<string, ListedFile>;
}

export interface ListedFile {
  readonly bytes: number;
  /** Of files that are kept beside git; null for others. */
  readonly sha256: string | null;
  /** What git names the content by; null where the server does not tell. */
  readonly gitSha1: string | null;
}

/**
 * The GGUF file that a reference means, or all parts of it when the model is split, in order.
 *
 * @param choice a file name, a quantization as it stands in file names, or undefined.
 * @throws PronkError "not_found" naming what there is; "source_failed"; "aborted".
 */
export async function findHubFiles(
  hub: string,
  repo: string,
  revision: string,
  choice: string | undefined,
  options: RemoteOptions,
): Promise<HubFile[]> {
  const { commit, files } = await listRepository(hub, repo, revision, options);
  const names = chooseFiles([...files.keys()], choice, `hf:${repo}@${revision}`);
  return names.map((name) => {
    const { bytes, sha256 } = files.get(name)!;
    // By commit, not by branch: the branch may move between two parts.
    return { name, url: hubFileUrl(hub, repo, commit ?? revision, name), bytes, sha256 };
  });
}

/** @throws PronkError "not_found", "source_failed" with the hub's reason; "aborted". */
export function listRepository(
  hub: string,
  repo: string,
  revision: string,
  options: RemoteOptions,
): Promise<RepositoryListing> {
  return patiently(() => listOnce(hub, repo, revision, options), options);
}

async function listOnce(
  hub: string,
  repo: string,
  revision: string,
  options: RemoteOptions,
): Promise<RepositoryListing> {
  const url = `${hub.replace(/\/+$/, "")}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const response = await openRemote(url, {}, options);
  const bad = (why: string): PronkError =>
    new PronkError("source_failed", `${shownUrl(url)}: ${why}`);
  const text = await readText(response, MAX_LISTING_BYTES, bad, shownUrl(url), options);
  // A page of a proxy's, or one that was cut off: the next may be a listing.
  const odd = (why: string): RetryableError =>
    new RetryableError(`${shownUrl(url)}: the answer ${why}`, { answered: true });
  const body = parseBoundedJson(new TextEncoder().encode(text), odd);
  if (!isRecord(body) || !Array.isArray(body.siblings)) throw odd("lists no files");
  const files = new Map<string, ListedFile>();
  for (const file of body.siblings) {
    if (!isRecord(file) || typeof file.rfilename !== "string") continue;
    // A name that leads out of its folder is no file of ours.
    if (!isRepositoryPath(file.rfilename)) continue;
    if (typeof file.size !== "number" || !Number.isSafeInteger(file.size)) continue;
    const sha256 = isRecord(file.lfs) ? file.lfs.sha256 : undefined;
    files.set(file.rfilename, {
      bytes: file.size,
      sha256: typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : null,
      // Of a file beside git this names its pointer, not its content.
      gitSha1: sha256 === undefined ? gitHash(file.blobId) : null,
    });
  }
  return { commit: gitHash(body.sha) ?? undefined, files };
}

function gitHash(value: unknown): string | null {
  return typeof value === "string" && /^[0-9a-f]{40}$/.test(value) ? value : null;
}

/** Reads at most `limit` bytes of an answer. */
async function readText(
  response: Response,
  limit: number,
  bad: (why: string) => PronkError,
  where: string,
  options: RemoteOptions,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of bodyChunks(response, () => where, options)) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw bad(`the answer is longer than ${limit} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** @throws PronkError "not_found" */
export function chooseFiles(
  names: readonly string[],
  choice: string | undefined,
  where: string,
): string[] {
  const models = names.filter((name) => name.endsWith(".gguf"));
  const none = (why: string): PronkError => {
    const list = models.length > 0 ? `it has ${models.join(", ")}` : "it has no GGUF files";
    return new PronkError("not_found", `${where}: ${why}; ${list}`);
  };
  if (choice !== undefined && models.includes(choice)) return withParts(choice, models, none);

  // A split model counts once, by its first part.
  const whole = models.filter((name) => (ggufPartNames(name) ?? [name])[0] === name);
  if (choice !== undefined) {
    const named = whole.filter((name) => hasQuantization(name, choice));
    if (named.length === 1) return withParts(named[0], models, none);
    throw none(named.length === 0 ? `no file or quantization ${choice}` : `${choice} is ambiguous`);
  }
  if (whole.length === 1) return withParts(whole[0], models, none);
  for (const type of PREFERRED) {
    const named = whole.filter((name) => hasQuantization(name, type));
    if (named.length === 1) return withParts(named[0], models, none);
  }
  throw none("none of its files is named");
}

/** `Model.Q4_1.gguf`, `model-q4_1-00001-of-00002.gguf`, `Q4_1/model.gguf` have quantization Q4_1. */
function hasQuantization(name: string, type: string): boolean {
  const stem = name.replace(/\.gguf$/, "").replace(/-\d{5}-of-\d{5}$/, "");
  return stem.toLowerCase().split(/[./-]/).includes(type.toLowerCase());
}

function withParts(
  name: string,
  models: readonly string[],
  none: (why: string) => PronkError,
): string[] {
  const parts = ggufPartNames(name) ?? [name];
  const missing = parts.find((part) => !models.includes(part));
  if (missing !== undefined) throw none(`${missing} is missing`);
  return parts;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
