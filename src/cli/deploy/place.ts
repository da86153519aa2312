/** Where a deployment goes: names of the Worker, the bucket and the prefix, and the folder of what is generated. */
import { join, resolve } from "node:path";
import { PronkError } from "../../errors.ts";
import { KNOWN_MODELS } from "../../hub/known-models.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import { parseManifest } from "../../pack/manifest-check.ts";
import { lastPart } from "../address.ts";
import { flagOption, textOption, UsageError } from "../arguments.ts";
import type { Arguments, CliContext } from "../command.ts";
import { modelName } from "../model-options.ts";
import type { Bucket } from "./bucket.ts";
import { localBucket } from "./local-bucket.ts";
import { s3Bucket } from "./s3-bucket.ts";
import type { Wrangler } from "./wrangler.ts";
import { wranglerBucket } from "./wrangler-bucket.ts";

export const DEFAULT_BUCKET = "pronk-models";

/** Where `wrangler dev` keeps what its simulators have, below the folder in which it is called. */
const DEV_STATE = join(".wrangler", "state");

export interface Place {
  /** Of the Worker that clients ask. */
  readonly name: string;
  readonly bucket: string;
  /** Without slashes at its ends. */
  readonly prefix: string;
  readonly folder: string;
}

/** @throws UsageError on a name that Cloudflare would refuse. */
export async function placeOf(input: Arguments, cli: CliContext): Promise<Place> {
  const model = (await nameOf(modelName(input, cli), cli)).replace(/\.gguf$/i, "");
  const name = textOption(input, "name") ?? workerName(model);
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new UsageError(`--name ${name}: small letters, digits and dashes, 63 at most`);
  }
  const bucket = textOption(input, "bucket") ?? DEFAULT_BUCKET;
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new UsageError(`--bucket ${bucket}: 3 to 63 small letters, digits and dashes`);
  }
  const prefix = (textOption(input, "prefix") ?? name).replace(/^\/+|\/+$/g, "");
  const isDots = (part: string): boolean => /^\.+$/.test(part);
  if (!/^[\w.-]+(?:\/[\w.-]+)*$/.test(prefix) || prefix.split("/").some(isDots)) {
    throw new UsageError(`--prefix ${prefix}: letters, digits, ., _ and -, with / between them`);
  }
  const folder = resolve(textOption(input, "out") ?? join(".pronk", name));
  return { name, bucket, prefix, folder };
}

/** What a pack says, the name by which a file is known, else the end of the path or name. */
async function nameOf(model: string, { host }: CliContext): Promise<string> {
  try {
    return parseManifest(await host.readFile(join(model, MANIFEST_NAME)), model).name;
  } catch {
    const last = lastPart(model).split(":").at(-1)!;
    return KNOWN_MODELS.find(({ file }) => file === last)?.name ?? last;
  }
}

function workerName(model: string): string {
  const name = model.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return name.slice(0, 63).replace(/^-+|-+$/g, "") || "pronk";
}

/**
 * The bucket by S3's API where there is an endpoint, else by wrangler.
 *
 * @throws UsageError where the endpoint is no URL; PronkError "bad_request" where its keys are missing.
 */
export function bucketOf(
  input: Arguments,
  { env, fetch, host }: CliContext,
  { bucket, prefix, folder }: Place,
  wrangler: () => Wrangler,
): Bucket {
  if (flagOption(input, "local")) {
    const state = flagOption(input, "upload-only") ? resolve(DEV_STATE) : stateFolder(folder);
    const { module } = wrangler();
    // Its proxy is for Node.
    return module !== undefined && host.name === "node"
      ? localBucket(module, { bucket, prefix, state })
      : wranglerBucket(wrangler(), { bucket, prefix, folder, local: state });
  }
  const endpoint = textOption(input, "endpoint");
  if (endpoint === undefined) return wranglerBucket(wrangler(), { bucket, prefix, folder });
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new UsageError(
      `--endpoint ${endpoint}: not a URL such as https://ACCOUNT.r2.cloudflarestorage.com`,
    );
  }
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!flagOption(input, "dry-run") && !(accessKeyId && secretAccessKey)) {
    throw new PronkError(
      "bad_request",
      "--endpoint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; R2's are made in the dashboard under R2, API tokens",
    );
  }
  return s3Bucket({
    endpoint: endpoint.replace(/\/+$/, ""),
    bucket,
    prefix,
    accessKeyId: accessKeyId ?? "",
    secretAccessKey: secretAccessKey ?? "",
    sessionToken: env.AWS_SESSION_TOKEN || undefined,
    // R2's is "auto", which others do not know.
    region: env.AWS_REGION || env.AWS_DEFAULT_REGION || (isR2(endpoint) ? "auto" : "us-east-1"),
    fetch,
  });
}

function isR2(endpoint: string): boolean {
  return new URL(endpoint).hostname.endsWith(".r2.cloudflarestorage.com");
}

/** What wrangler's simulators keep, with --local. */
export function stateFolder(folder: string): string {
  return join(folder, "state");
}
