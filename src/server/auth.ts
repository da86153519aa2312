/**
 * API keys: `Authorization: Bearer`, or `x-api-key`, or `api-key`, as different clients send them.
 *
 * Keys are compared as SHA-256 digests, all of them and in full, so that the time taken says nothing of how
 * much of a guess was right. A server can be given the digests alone.
 */
import * as z from "zod/mini";
import { PronkError } from "../errors.ts";
import { RequestError } from "./errors.ts";
import { type Quota, quotaFields } from "./quota.ts";
import { validate } from "./validate.ts";

/** One key, and what it opens. */
export interface ApiKey extends Quota {
  /** The key, or `sha256:` and its digest in 64 hexadecimal digits. */
  readonly key: string;
  /** Whose it is, in logs and metrics. Default: `key-1` and so on, by its place in the list. */
  readonly name?: string;
  /**
   * The model's id and adapters' names that it may ask for; it cannot load, unload or set adapters then.
   * Default: all, and that too.
   */
  readonly models?: readonly string[];
}

export interface AuthOptions {
  /** At least one; a text opens everything. */
  readonly keys: readonly (string | ApiKey)[];
}

/** Who asks. */
export interface Caller {
  readonly name: string;
  /** Whose what is kept is: the key's digest, in hex; undefined where everybody is let in. */
  readonly owner?: string;
  readonly models?: readonly string[] | undefined;
  /** Its own; what it does not say is the server's. */
  readonly quota: Quota;
}

/** Whether a key may ask for the model or adapter of this name. */
export function mayUse({ models }: Pick<Caller, "models">, name: string): boolean {
  return models === undefined || models.includes(name);
}

/** Who asks with these headers. Throws RequestError "invalid_api_key" unless they carry a valid key. */
export type Authenticate = (headers: Headers) => Promise<Caller>;

/** Of a server that has no keys. */
export const ANYBODY: Caller = { name: "anonymous", quota: {} };

/** Some digests more than any list that people keep by hand; every request is compared with all. */
const MAX_KEYS = 1024;

const HASHED = /^sha256:([0-9a-f]{64})$/i;

const keyList: z.ZodMiniType<ApiKey[]> = z.array(
  z.strictObject({
    key: z.string(),
    name: z.optional(z.string().check(z.regex(/^[\w.@-]{1,64}$/))),
    models: z.optional(z.array(z.string())),
    ...quotaFields,
  }),
);

/**
 * @param options undefined lets everybody in.
 * @throws PronkError "bad_request" when there is no key, an empty one, or two of a name: a forgotten setting
 *   must not open or close a server in silence.
 */
export function createAuthenticate(options: AuthOptions | undefined): Authenticate {
  if (options === undefined) return async () => ANYBODY;
  const keys = options.keys.map((key) => (typeof key === "string" ? { key } : key));
  checkKeys(keys);
  const callers = keys.map(({ name, models, key: _, ...quota }, i) => ({
    name: name ?? `key-${i + 1}`,
    models,
    quota,
  }));
  const names = new Set(callers.map(({ name }) => name));
  if (names.size < callers.length) throw wrongKeys("every name can be there once");
  let digests: Promise<Uint8Array[]> | undefined;
  return async (headers) => {
    digests ??= Promise.all(keys.map(({ key }) => digestOf(key)));
    const valid = await digests;
    for (const key of presentedKeys(headers)) {
      const digest = await sha256(key);
      let found = -1;
      for (const [i, candidate] of valid.entries()) found = equal(digest, candidate) ? i : found;
      const caller = callers[found];
      if (caller !== undefined) return { ...caller, owner: toHex(digest) };
    }
    throw new RequestError("invalid_api_key", "missing or unknown API key");
  };
}

/**
 * What PRONK_API_KEYS holds: keys separated by commas, or a JSON list of them with names and quotas.
 *
 * @throws PronkError "bad_request", naming no key.
 */
export function parseApiKeys(text: string): AuthOptions["keys"] {
  if (!text.trim().startsWith("[")) return text.split(",").map((key) => key.trim());
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrongKeys("begins with [ and is no JSON"); // the cause would quote keys
  }
  try {
    return validate(keyList, value);
  } catch (error) {
    throw wrongKeys(`wrong at ${(error as PronkError).param ?? "its list"}`);
  }
}

function checkKeys(keys: readonly ApiKey[]): void {
  if (keys.length === 0 || keys.some(({ key }) => key === "")) {
    throw wrongKeys("expected at least one key, none of them empty");
  }
  if (keys.length > MAX_KEYS) throw wrongKeys(`${keys.length} keys, ${MAX_KEYS} at most`);
  if (keys.some(({ key }) => /^sha256:/i.test(key) && !HASHED.test(key))) {
    throw wrongKeys("expected 64 hexadecimal digits behind sha256:");
  }
}

function wrongKeys(why: string): PronkError {
  return new PronkError("bad_request", `auth.keys: ${why}`, { param: "auth.keys" });
}

function presentedKeys(headers: Headers): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
  const keys = [bearer, headers.get("x-api-key"), headers.get("api-key")];
  return keys.filter((key): key is string => typeof key === "string" && key !== "");
}

async function digestOf(key: string): Promise<Uint8Array> {
  const hex = HASHED.exec(key)?.[1];
  if (hex === undefined) return sha256(key);
  return Uint8Array.from({ length: 32 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** In the same time for any two digests. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
