/**
 * Signed requests to one S3 store (Signature Version 4). What the store refuses for the time is signed once more: by its
 * clock where ours is wrong, with other credentials where those have run out. Refusals are called by S3's own names.
 */
import { AwsClient } from "aws4fetch";
import { PronkError } from "../errors.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

/** Asked before the first request, and again when the store says that what it gave has run out. */
export type S3CredentialSource = () => S3Credentials | Promise<S3Credentials>;

/** Refusals that other credentials may not meet. Source: S3's list of error codes. */
const RENEWABLE: readonly string[] = [
  "ExpiredToken",
  "InvalidAccessKeyId",
  "InvalidToken",
  "RequestExpired",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
];

/** The store's clock and ours are more than 15 minutes apart. */
const SKEWED = "RequestTimeTooSkewed";

/** S3's refusals have less than 1 KB. */
const MAX_REFUSAL_BYTES = 16 * 1024;

/**
 * A fetch for one store. Other origins, to which it may redirect, learn nothing of who asks.
 *
 * @param credentials undefined: nothing is signed
 * @throws PronkError "bad_request" on half a key.
 */
export function s3Fetch(
  send: typeof fetch,
  { origin }: URL,
  region: string,
  credentials: S3Credentials | S3CredentialSource | undefined,
): typeof fetch {
  if (credentials === undefined) return async (url, init) => named(await send(url, init));
  const source = typeof credentials === "function" ? credentials : () => credentials;
  // Said at once where it can be.
  if (typeof credentials !== "function") clientOf(credentials, region);
  let current: Promise<AwsClient> | undefined;
  /** What the store's clock is ahead of ours. */
  let aheadMs = 0;

  const open = (): Promise<AwsClient> => {
    const opened = Promise.resolve(source()).then((found) => clientOf(found, region));
    opened.catch(() => forget(opened));
    return opened;
  };
  /** Unless another request, that was refused before, has asked for new ones already. */
  const forget = (used: Promise<AwsClient> | undefined): void => {
    if (current === used) current = undefined;
  };
  const sendSigned = async (url: string, init: RequestInit): Promise<Response> => {
    const client = await (current ??= open());
    const datetime = new Date(Date.now() + aheadMs).toISOString().replace(/[:-]|\.\d{3}/g, "");
    // The host and S3's own headers alone are signed: runtimes change accept-encoding on the way.
    const { headers } = await client.sign(url, { aws: { datetime } });
    const all = { ...Object.fromEntries(headers), ...(init.headers as Record<string, string>) };
    // Plain values, so that a fetch of another library takes them, too.
    return named(await send(url, { ...init, headers: all }));
  };
  return async (input, init = {}) => {
    const url = input as string;
    if (new URL(url).origin !== origin) return named(await send(url, init));
    current ??= open();
    const used = current;
    const answer = await sendSigned(url, init);
    const date = Date.parse(answer.headers.get("date") ?? "");
    if (answer.statusText === SKEWED && Number.isFinite(date)) aheadMs = date - Date.now();
    else if (source === credentials && RENEWABLE.includes(answer.statusText)) forget(used);
    else return answer;
    return sendSigned(url, init);
  };
}

function clientOf(
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  region: string,
): AwsClient {
  if (!accessKeyId || !secretAccessKey) {
    throw new PronkError("bad_request", "s3: accessKeyId and secretAccessKey are both needed");
  }
  const token = sessionToken === undefined ? {} : { sessionToken };
  return new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3", ...token });
}

/** A refusal with S3's name for it in the place of HTTP's: "403 ExpiredToken"; other answers as they are. */
async function named(answer: Response): Promise<Response> {
  const { status, headers } = answer;
  // 416 and redirects are no refusals; 404 may be one: of a key that is not known, by some stores.
  if (status < 400 || status === 416) return answer;
  const text = await beginning(answer).catch(() => "");
  // Nothing else of it: S3 repeats keys and tokens there.
  const code = /<Code>([A-Za-z.]{1,64})<\/Code>/.exec(text)?.[1];
  return new Response(null, { status, statusText: code ?? answer.statusText, headers });
}

/** The first bytes of a body, which is let go. */
async function beginning({ body }: Response): Promise<string> {
  if (!body) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (text.length < MAX_REFUSAL_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    return text;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
