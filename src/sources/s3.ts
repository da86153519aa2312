/**
 * Objects of an S3 bucket, or of any store that speaks its protocol: reads by URL, each request signed
 * (Signature Version 4). Path style, `https://endpoint/bucket/key`, which every store understands.
 */
import { AwsClient } from "aws4fetch";
import { PronkError } from "../errors.ts";
import { type HttpOptions, httpFolder } from "./http.ts";
import type { SourceFolder } from "./source.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

export interface S3Options extends HttpOptions {
  readonly bucket: string;
  /** Before every key; `/` between it and names. Default: the whole bucket. */
  readonly prefix?: string;
  /**
   * The store's URL: `https://<account>.r2.cloudflarestorage.com`. Default: that of AWS for the region.
   */
  readonly endpoint?: string;
  /** Default `us-east-1`; R2's is `auto`. */
  readonly region?: string;
  /** Absent: a bucket that everybody may read, unsigned. */
  readonly credentials?: S3Credentials;
}

const DEFAULT_REGION = "us-east-1";

/**
 * The objects whose keys begin with the prefix. Reads and errors are those of httpFolder().
 *
 * @throws PronkError "bad_request" on an endpoint that is no http(s) URL, or an empty bucket or key.
 */
export function s3Folder(options: S3Options): SourceFolder {
  const { bucket, prefix = "", region = DEFAULT_REGION, credentials, fetch } = options;
  const { endpoint = `https://s3.${region}.amazonaws.com` } = options;
  const wrong = (what: string): PronkError => new PronkError("bad_request", `s3: ${what}`);
  if (!/^[\w.-]+$/.test(bucket)) throw wrong("the bucket's name is not one");
  if (!URL.canParse(endpoint)) throw wrong("the endpoint is not a URL");
  const base = new URL(endpoint);
  // Signatures are made of headers; a URL that carries credentials has another meaning.
  if (base.username || base.password || base.search) throw wrong("the endpoint has credentials");
  const parts = [bucket, ...prefix.split("/").filter((part) => part !== "")];
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/${parts.map(encodeURIComponent).join("/")}`;
  const folder = httpFolder(base, {
    ...options,
    fetch: credentials === undefined ? fetch : signingFetch(fetch, region, credentials),
  });
  return { ...folder, name: `s3://${parts.join("/")}` };
}

function signingFetch(
  send: typeof fetch,
  region: string,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
): typeof fetch {
  if (!accessKeyId || !secretAccessKey) {
    throw new PronkError("bad_request", "s3: accessKeyId and secretAccessKey are both needed");
  }
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey,
    region,
    service: "s3",
    ...(sessionToken !== undefined && { sessionToken }),
  });
  return async (input, init = {}) => {
    // The host and S3's own headers alone are signed: runtimes change accept-encoding on the way.
    const { url, headers } = await client.sign(input as string);
    const all = { ...Object.fromEntries(headers), ...(init.headers as Record<string, string>) };
    // Plain values, so that a fetch of another library takes them, too.
    return send(url, { ...init, headers: all });
  };
}
