/**
 * A model hub for tests, as Hugging Face's answers: a listing with hashes, small files by itself, large
 * ones by a redirect to a storage of another origin.
 */
import { createHash } from "node:crypto";
import { type Answer, type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";

export const COMMIT: string = "c0ffee".padEnd(40, "0");

export interface RepoFile {
  readonly bytes: Uint8Array;
  /** Kept beside git. */
  readonly lfs?: boolean;
}

export interface HubServer {
  readonly hub: FileServer;
  readonly storage: FileServer;
  /** Publishes a repository's files at one commit. */
  publish(repo: string, files: Readonly<Record<string, RepoFile>>, options?: PublishOptions): void;
  /** Every path that was asked for, of both. */
  asked(): string[];
  forget(): void;
  close(): Promise<void>;
}

export interface PublishOptions {
  /** A mirror that lists names and sizes only. */
  readonly withoutHashes?: boolean;
  readonly commit?: string;
}

export const sha256 = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");

export const gitSha1 = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export async function startHubServer(): Promise<HubServer> {
  const hub = await startFileServer();
  const storage = await startFileServer();
  return {
    hub,
    storage,
    publish(repo, files, { withoutHashes = false, commit = COMMIT } = {}): void {
      const siblings = Object.entries(files).map(([rfilename, { bytes, lfs }]) => ({
        rfilename,
        size: bytes.length,
        ...(!withoutHashes && { blobId: lfs ? "0".repeat(40) : gitSha1(bytes) }),
        ...(!withoutHashes && lfs && { lfs: { sha256: sha256(bytes), size: bytes.length } }),
      }));
      hub.routes.set(`/api/models/${repo}/revision/main`, (_, response) =>
        response.end(JSON.stringify({ sha: withoutHashes ? undefined : commit, siblings })),
      );
      for (const [name, { bytes, lfs }] of Object.entries(files)) {
        const etag = lfs ? sha256(bytes) : gitSha1(bytes);
        if (lfs) storage.routes.set(`/lfs/${etag}`, serveBytes(bytes));
        for (const revision of ["main", commit]) {
          hub.routes.set(`/${repo}/resolve/${revision}/${name}`, (request, response) => {
            response.setHeader("x-repo-commit", commit);
            if (lfs) {
              response.setHeader("x-linked-etag", `"${etag}"`);
              response.writeHead(302, { location: `${storage.url}/lfs/${etag}` }).end();
            } else {
              response.setHeader("etag", `"${etag}"`);
              plainBytes(bytes)(request, response);
            }
          });
        }
      }
    },
    asked: () => [...hub.requests, ...storage.requests],
    forget(): void {
      hub.requests.length = 0;
      storage.requests.length = 0;
    },
    async close(): Promise<void> {
      await Promise.all([hub.close(), storage.close()]);
    },
  };
}

/** With the headers that were set before. */
function plainBytes(bytes: Uint8Array): Answer {
  return (_, response) => {
    response.setHeader("content-length", bytes.length);
    response.end(bytes);
  };
}
