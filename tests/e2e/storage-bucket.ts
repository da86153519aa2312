/** A real S3 server with the tiny pack in it, a proxy before it, and the folder that a load reads through both. */
import { AwsClient } from "aws4fetch";
import { type S3Options, s3Folder } from "../../src/sources/s3.ts";
import type { SourceFolder } from "../../src/sources/source.ts";
import { type Fault, type FaultProxy, type Line, startFaultProxy } from "../support/fault-proxy.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";

export const BUCKET = "faults";
export const CREDENTIALS = { accessKeyId: "key", secretAccessKey: "secret-key" };

/** Of both timeouts: long enough for a busy machine, and a fault that waits them out costs five. */
export const LIMIT_MS = 500;

export interface StorageBucket {
  readonly kind: S3Server["kind"];
  readonly proxy: FaultProxy;
  put(name: string, bytes: Uint8Array): Promise<void>;
  folder(prefix: string, options?: Partial<S3Options>): SourceFolder;
  close(): Promise<void>;
}

export async function startStorageBucket(): Promise<StorageBucket> {
  const server = await startS3Server();
  const proxy = await startFaultProxy(server.url);
  const client = new AwsClient({ ...CREDENTIALS, region: "us-east-1", service: "s3", retries: 0 });
  const put = async (path: string, body?: Uint8Array): Promise<void> => {
    const init = { method: "PUT", body: body as BodyInit, signal: AbortSignal.timeout(30_000) };
    const answer = await client.fetch(`${server.url}/${path}`, init);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  };
  await put(BUCKET);
  return {
    kind: server.kind,
    proxy,
    put: (name, bytes) => put(`${BUCKET}/${name}`, bytes),
    folder: (prefix, options) =>
      s3Folder({
        fetch,
        endpoint: proxy.url,
        bucket: BUCKET,
        prefix,
        credentials: CREDENTIALS,
        connectTimeoutMs: LIMIT_MS,
        stallTimeoutMs: LIMIT_MS,
        ...options,
      }),
    async close() {
      await proxy.close();
      await server.close();
    },
  };
}

/** The first request that is meant meets the fault, no other does. @returns whether one did. */
export function once(
  proxy: FaultProxy,
  fault: Fault,
  isMeant: (line: Line) => boolean,
): () => boolean {
  let done = false;
  proxy.choose = (line) => {
    if (done || !isMeant(line)) return undefined;
    done = true;
    return fault;
  };
  return () => done;
}

/** Of requests, one in `every` meets a fault of the list, as the seed has it. */
export function scheduled(
  proxy: FaultProxy,
  faults: readonly Fault[],
  random: (end: number) => number,
  every: number,
): () => number {
  let met = 0;
  proxy.choose = () => {
    // Both numbers for every request, so that one more does not change what the others meet.
    const isSpoiled = random(every) === 0;
    const fault = faults[random(faults.length)];
    if (isSpoiled) met++;
    return isSpoiled ? fault : undefined;
  };
  return () => met;
}
