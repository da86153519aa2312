/**
 * API keys: `Authorization: Bearer`, or `x-api-key`, or `api-key`, as different clients send them.
 *
 * Keys are compared as SHA-256 digests, all of them and in full, so that the time taken says
 * nothing of how much of a guess was right.
 */
import { PronkError } from "../errors.ts";
import { RequestError } from "./errors.ts";

export interface AuthOptions {
  /** Any of these opens every route. At least one, none empty. */
  readonly keys: readonly string[];
}

/** Throws RequestError "invalid_api_key" unless a request's headers carry a valid key. */
export type Authenticate = (headers: Headers) => Promise<void>;

/**
 * @param options undefined lets everybody in.
 * @throws PronkError "bad_request" when there is no key, or an empty one: a forgotten setting must
 *   not open or close a server in silence.
 */
export function createAuthenticate(options: AuthOptions | undefined): Authenticate {
  if (options === undefined) return async () => {};
  if (options.keys.length === 0 || options.keys.includes("")) {
    throw new PronkError(
      "bad_request",
      "auth.keys: expected at least one key, none of them empty",
      {
        param: "auth.keys",
      },
    );
  }
  const { keys } = options;
  let digests: Promise<Uint8Array[]> | undefined;
  return async (headers) => {
    digests ??= Promise.all(keys.map(sha256));
    const valid = await digests;
    for (const key of presentedKeys(headers)) {
      const digest = await sha256(key);
      let found = 0;
      for (const candidate of valid) found |= equal(digest, candidate);
      if (found === 1) return;
    }
    throw new RequestError("invalid_api_key", "missing or unknown API key");
  };
}

function presentedKeys(headers: Headers): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
  const keys = [bearer, headers.get("x-api-key"), headers.get("api-key")];
  return keys.filter((key): key is string => typeof key === "string" && key !== "");
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** 1 when equal, 0 otherwise, in the same time. */
function equal(a: Uint8Array, b: Uint8Array): number {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0 ? 1 : 0;
}
