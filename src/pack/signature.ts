/**
 * Who made a pack: an Ed25519 signature of its manifest, in the manifest itself. The manifest names every shard and the
 * tokenizer by its SHA-256, so that the signature covers all of them.
 *
 * Signed is the text `pronk-pack-signature-v1\n`, the manifest's checksum in hex and `\n`: RFC 8032, by WebCrypto, which
 * Node, Deno, Bun, workerd and browsers have. docs/pack-format.md has test vectors.
 */
import { PronkError } from "../errors.ts";
import type { Digest } from "./digest.ts";
import type { Manifest, PackSignature } from "./manifest.ts";
import { manifestChecksum } from "./manifest-check.ts";

const ALGORITHM = "Ed25519";

/** What else is signed with the same key begins otherwise. */
const CONTEXT = "pronk-pack-signature-v1\n";

const KEY_BYTES = 32;

/** What a public key begins with, as text. */
const PREFIX = "ed25519:";

const PUBLIC = /^ed25519:([\w-]{43})$/;

/** Of SubjectPublicKeyInfo, the bytes before the key: RFC 8410, section 4. */
const SPKI_HEAD: readonly number[] = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];

/** A new pair of keys. */
export interface SigningKeys {
  /** PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it: to be kept secret. */
  readonly privateKey: string;
  /** `ed25519:` and 32 bytes in base64url. */
  readonly publicKey: string;
}

export async function generateSigningKeys(): Promise<SigningKeys> {
  const pair = (await crypto.subtle.generateKey(ALGORITHM, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const body = btoa(String.fromCharCode(...pkcs8));
  const privateKey = `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  return { privateKey, publicKey: await publicKeyOf(privateKey) };
}

/** The public half of a private key in PEM. @throws PronkError "bad_request", repeating nothing of it. */
export async function publicKeyOf(privateKey: string): Promise<string> {
  const { x } = await crypto.subtle.exportKey("jwk", await importPrivate(privateKey));
  return `${PREFIX}${x}`;
}

/**
 * The manifest with its checksum and a signature, in place of any that it had.
 *
 * @param privateKey PKCS #8 in PEM
 * @throws PronkError "bad_request" on another kind of key.
 */
export async function signManifest(manifest: Manifest, privateKey: string): Promise<Manifest> {
  const key = await importPrivate(privateKey);
  const checksum = await manifestChecksum(manifest);
  const value = new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, signedBytes(checksum)));
  const public_key = await publicKeyOf(privateKey);
  const signature: PackSignature = { public_key, value: toBase64Url(value) };
  return { ...manifest, checksum, signature };
}

/** Public keys, ready to check with. */
export type TrustedKeys = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/**
 * @param keys each `ed25519:...`, or SubjectPublicKeyInfo in PEM; one of them has to have signed
 * @throws PronkError "bad_request" where there is none, or one is malformed: a forgotten setting must not open anything.
 */
export function trustedKeys(keys: string | readonly string[]): TrustedKeys {
  const all = (typeof keys === "string" ? [keys] : keys).map((key) => parsePublic(key));
  if (all.length === 0) throw wrongKey("publicKey: there is none");
  return new Map(all);
}

/** @throws PronkError "corrupt" when the manifest is not signed, by another key, or was changed since. */
export async function verifySignature(
  manifest: Manifest,
  keys: TrustedKeys,
  where: string,
  digest?: Digest,
): Promise<void> {
  const refused = (why: string): PronkError => new PronkError("corrupt", `${where}: ${why}`);
  const { signature } = manifest;
  if (signature === undefined) throw refused("is not signed, and a public key was given");
  const raw = keys.get(signature.public_key);
  if (raw === undefined)
    throw refused(`is signed by ${signature.public_key}, which is not trusted`);
  const key = await crypto.subtle.importKey("raw", raw, ALGORITHM, false, ["verify"]);
  const text = signedBytes(await manifestChecksum(manifest, digest));
  const value = fromBase64Url(signature.value);
  if (await crypto.subtle.verify(ALGORITHM, key, value, text)) return;
  throw refused("its signature is not of this content");
}

function signedBytes(checksum: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${CONTEXT}${checksum}\n`);
}

/** As a signature names it, and its bytes. */
function parsePublic(text: string): [string, Uint8Array<ArrayBuffer>] {
  const trimmed = text.trim();
  const raw = trimmed.startsWith("-----BEGIN")
    ? rawOfSpki(fromPem(trimmed, "PUBLIC KEY"))
    : PUBLIC.test(trimmed) && fromBase64Url(trimmed.slice(PREFIX.length));
  if (!raw || raw.length !== KEY_BYTES) {
    throw wrongKey(`publicKey: expected ${PREFIX} and 43 characters, or an Ed25519 key in PEM`);
  }
  return [`${PREFIX}${toBase64Url(raw)}`, raw];
}

function rawOfSpki(
  bytes: Uint8Array<ArrayBuffer> | undefined,
): Uint8Array<ArrayBuffer> | undefined {
  const isEd25519 = SPKI_HEAD.every((byte, i) => bytes?.[i] === byte);
  return isEd25519 ? bytes?.slice(SPKI_HEAD.length) : undefined;
}

async function importPrivate(pem: string): Promise<CryptoKey> {
  const bytes = fromPem(pem.trim(), "PRIVATE KEY");
  try {
    if (bytes) return await crypto.subtle.importKey("pkcs8", bytes, ALGORITHM, true, ["sign"]);
  } catch {
    // What it says may repeat some of the key.
  }
  throw wrongKey("signing key: expected an Ed25519 key as PKCS #8 in PEM; pronk keygen makes one");
}

function fromPem(text: string, label: string): Uint8Array<ArrayBuffer> | undefined {
  const head = `-----BEGIN ${label}-----`;
  const foot = `-----END ${label}-----`;
  if (!text.startsWith(head) || !text.endsWith(foot)) return undefined;
  try {
    return bytesOf(atob(text.slice(head.length, -foot.length).replaceAll(/\s/g, "")));
  } catch {
    return undefined;
  }
}

function toBase64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Of what a pattern has allowed. */
function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return bytesOf(atob(text.replaceAll("-", "+").replaceAll("_", "/")));
}

function bytesOf(binary: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function wrongKey(why: string): PronkError {
  return new PronkError("bad_request", why, { param: "publicKey" });
}
