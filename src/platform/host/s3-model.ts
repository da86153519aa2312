/** `s3://BUCKET/PREFIX` as a model: a pack in a bucket, with the environment's names for where and who. */
import { PronkError } from "../../errors.ts";
import { s3Folder } from "../../sources/s3.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { Environment } from "./cache-folder.ts";

const SCHEME = "s3://";

/**
 * The folder of a pack. Read of the environment, as by other tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. Without a key
 * requests are not signed.
 *
 * @throws PronkError "bad_request" on a malformed name or endpoint, or half a key; "unsupported" for a file.
 */
export function s3PackFolder(name: string, env: Environment, send: typeof fetch): SourceFolder {
  const [bucket, ...rest] = name.slice(SCHEME.length).split("/");
  const prefix = rest.join("/").replace(/\/+(?:manifest\.json)?$|^manifest\.json$/, "");
  if (!bucket)
    throw new PronkError("bad_request", `model ${name}: not of the form s3://BUCKET/PREFIX`);
  if (/\.gguf$/i.test(prefix)) {
    throw new PronkError(
      "unsupported",
      `model ${name}: packs are read from S3 (pronk pack), not GGUF files`,
    );
  }
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION;
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  const { AWS_SESSION_TOKEN: sessionToken } = env;
  if (!accessKeyId !== !secretAccessKey) {
    const what = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: both are needed, or neither";
    throw new PronkError("bad_request", `model ${name}: ${what}`);
  }
  return s3Folder({
    bucket,
    prefix,
    fetch: send,
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(accessKeyId &&
      secretAccessKey && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
      }),
  });
}
