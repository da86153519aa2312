/**
 * A prefix of a bucket behind S3's API: R2, AWS, or a server of one's own. Every body is signed with its SHA-256, so that
 * the server refuses one that changed on the way.
 */
import { AwsV4Signer } from "aws4fetch";
import { PronkError, throwIfAborted } from "../../errors.ts";
import { type Sleep, timerSleep } from "../../sources/sleep.ts";
import { type Bucket, cacheControl, type NewObject } from "./bucket.ts";

/** A shard has 16 MiB: more than two minutes for one is no connection to go on with. */
const REQUEST_TIMEOUT_MS = 120_000;

/** Servers that are busy say so; four more tries take some 8 seconds. */
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;

const LANES = 4;

/** Some 1,000 releases of large models: what a bucket without an end may make this read. */
const MAX_KEYS = 100_000;

/** SHA-256 of nothing. */
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export interface S3Options {
  /** `https://ACCOUNT.r2.cloudflarestorage.com` */
  readonly endpoint: string;
  readonly bucket: string;
  /** Without slashes at its ends. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** R2's is `auto`. */
  readonly region: string;
  readonly fetch: typeof fetch;
  /** What waits before another try. Default: timers. */
  readonly sleep?: Sleep;
}

interface S3Request {
  readonly method: "HEAD" | "GET" | "PUT" | "DELETE";
  /** From the endpoint on, encoded. */
  readonly path: string;
  readonly body?: Uint8Array;
  readonly sha256?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function s3Bucket(options: S3Options): Bucket {
  const { endpoint, bucket, prefix } = options;
  const root = `/${encodeURIComponent(bucket)}`;
  const pathOf = (key: string): string =>
    [root, ...`${prefix}/${key}`.split("/").map(encodeURIComponent)].join("/");
  const where = `s3://${bucket}/${prefix}`;
  const ask = (request: S3Request, signal: AbortSignal): Promise<Response> =>
    send(options, request, signal);
  return {
    name: `${bucket}/${prefix}, by the S3 API of ${endpoint}`,
    lanes: LANES,
    asks: true,
    async prepare(signal) {
      const found = await ask({ method: "HEAD", path: root }, signal);
      // A token for one bucket's objects may not ask about the bucket: then the first object tells.
      if (found.status !== 404) return;
      const made = await ask({ method: "PUT", path: root }, signal);
      if (!made.ok) throw await refusal(made, `s3://${bucket}`);
      await made.body?.cancel();
    },
    async has(key, bytes, signal) {
      const found = await ask({ method: "HEAD", path: pathOf(key) }, signal);
      if (found.ok) return Number(found.headers.get("content-length")) === bytes;
      if (found.status === 404) return false;
      throw await refusal(found, `${where}/${key}`);
    },
    async read(key, signal) {
      const found = await ask({ method: "GET", path: pathOf(key) }, signal);
      if (found.ok) return new Uint8Array(await found.arrayBuffer());
      if (found.status !== 404) throw await refusal(found, `${where}/${key}`);
      await found.body?.cancel();
      return undefined;
    },
    async write(object: NewObject, signal) {
      const { key, bytes: body, sha256, contentType } = object;
      const headers = { "content-type": contentType, "cache-control": cacheControl(object) };
      const put = { method: "PUT", path: pathOf(key), body, sha256, headers } as const;
      const answer = await ask(put, signal);
      if (!answer.ok) throw await refusal(answer, `${where}/${key}`);
      await answer.body?.cancel();
    },
    async keys(signal) {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const query = new URLSearchParams({ "list-type": "2", prefix: `${prefix}/` });
        if (token !== undefined) query.set("continuation-token", token);
        const answer = await ask({ method: "GET", path: `${root}?${query}` }, signal);
        if (!answer.ok) throw await refusal(answer, where);
        const page = await answer.text();
        for (const [, key = ""] of page.matchAll(/<Key>([^<]*)<\/Key>/g)) {
          if (key.startsWith(`${prefix}/`)) found.push(key.slice(prefix.length + 1));
        }
        token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1];
      } while (token !== undefined && found.length < MAX_KEYS);
      return found;
    },
    async remove(key, signal) {
      const answer = await ask({ method: "DELETE", path: pathOf(key) }, signal);
      if (!answer.ok && answer.status !== 404) throw await refusal(answer, `${where}/${key}`);
      await answer.body?.cancel();
    },
  };
}

/** An answer that is not "try again". @throws PronkError "source_failed"; "aborted". */
async function send(
  options: S3Options,
  request: S3Request,
  signal: AbortSignal,
): Promise<Response> {
  const { endpoint, sleep = timerSleep } = options;
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    let failure: string;
    try {
      const answer = await sendOnce(options, request, signal);
      if (answer.status < 500 && answer.status !== 429) return answer;
      if (attempt === ATTEMPTS) return answer;
      failure = `status ${answer.status}`;
      await answer.body?.cancel();
    } catch (error) {
      throwIfAborted(signal);
      const { message, cause } = error as Error;
      const reason = (cause as { code?: string; message?: string } | undefined) ?? {};
      failure = reason.code ?? reason.message ?? message;
    }
    if (attempt === ATTEMPTS) {
      throw new PronkError(
        "source_failed",
        `${endpoint}: no answer after ${ATTEMPTS} tries: ${failure}; run it again to go on from there`,
      );
    }
    await sleep(FIRST_WAIT_MS * 2 ** (attempt - 1), signal);
  }
}

async function sendOnce(
  { endpoint, accessKeyId, secretAccessKey, sessionToken, region, fetch }: S3Options,
  { method, path, body, sha256 = EMPTY_SHA256, headers }: S3Request,
  signal: AbortSignal,
): Promise<Response> {
  const signer = new AwsV4Signer({
    method,
    url: `${endpoint.replace(/\/+$/, "")}${path}`,
    headers: { ...headers, "x-amz-content-sha256": sha256 },
    accessKeyId,
    secretAccessKey,
    sessionToken,
    region,
    service: "s3",
  });
  const signed = await signer.sign();
  return fetch(signed.url, {
    method,
    headers: signed.headers,
    body: body as Uint8Array<ArrayBuffer> | undefined,
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  });
}

/** What the server said, and what to do about the usual reasons. */
async function refusal(answer: Response, where: string): Promise<PronkError> {
  const text = await answer.text().catch(() => "");
  const field = (name: string): string | undefined =>
    new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  const said = field("Code") ?? `status ${answer.status}`;
  const message = field("Message");
  const next =
    answer.status === 401 || answer.status === 403
      ? "; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that the token may write to this bucket"
      : "";
  const code = answer.status >= 500 || answer.status === 429 ? "source_failed" : "bad_request";
  return new PronkError(code, `${where}: ${said}${message ? ` (${message})` : ""}${next}`);
}
