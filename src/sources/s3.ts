/**
 * Objects of an S3 bucket, or of any store that speaks its protocol: reads by URL, each request signed.
 * Path style, `https://endpoint/bucket/key`, which every store understands.
 */
import { PronkError } from "../errors.ts";
import { type HttpOptions, httpFolder } from "./http.ts";
import { type S3CredentialSource, type S3Credentials, s3Fetch } from "./s3-fetch.ts";
import type { SourceFolder } from "./source.ts";

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
  /**
   * Those of a session are best given by a function, which is asked again when they have run out. Absent: a bucket that
   * everybody may read, unsigned.
   */
  readonly credentials?: S3Credentials | S3CredentialSource;
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
    fetch: s3Fetch(fetch, base, region, credentials),
  });
  return { ...folder, name: `s3://${parts.join("/")}` };
}
