/**
 * Reads a manifest that may be anything: every field is checked, then the sums between them, so that
 * what comes out can be loaded without another look. Fields that are not known are left alone.
 * docs/pack-manifest.schema.json says the same but for the sums.
 */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { type Digest, sha256 } from "./digest.ts";
import {
  alignUp,
  BLOCK_COLS,
  isQuantized,
  MAX_COLS,
  MAX_ROWS,
  type WeightForm,
  weightBytes,
} from "./forms.ts";
import {
  MANIFEST_NAME,
  MAX_SHARD_BYTES,
  type Manifest,
  PACK_FORMAT,
  PACK_VERSION,
  type PackedTensor,
} from "./manifest.ts";

/** Bytes of manifest.json: 100 times that of Llama 3.1 405B, whose 1,138 tensors take 180 KB. */
export const MAX_MANIFEST_BYTES: number = 16 * 1024 * 1024;

/** Llama 3.1 405B has 1,138. */
export const MAX_TENSORS = 65_536;

/** A terabyte. */
export const MAX_SHARDS = 65_536;

/** Characters of a name. */
const MAX_NAME = 256;

const FORMS: readonly string[] = ["q4", "q4m", "q4s", "q6m", "q8", "bf16", "f32", "vector"];
const DTYPES: readonly string[] = ["F16", "BF16"];
const PROFILES: readonly string[] = ["default", "small"];
const KV_TYPES: readonly string[] = ["int16", "int8", "bf16", "f32"];

/**
 * @param folder where the manifest lies, for messages
 * @throws PronkError "bad_format" naming the field and what was found; "unsupported" on a version
 *   that this reader does not know.
 */
export function parseManifest(bytes: Uint8Array, folder: string): Manifest {
  const where = `${folder}: ${MANIFEST_NAME}`;
  const value = parseBoundedJson(
    bytes,
    (why, cause) => new PronkError("bad_format", `${where}: ${why}`, { cause }),
  );
  return checkManifest(value, where);
}

/** The same for data: `where` opens the messages. */
export function checkManifest(value: unknown, where: string): Manifest {
  const root = new Field(value, "", where);
  root.record();
  const format = root.at("format");
  if (format.value !== PACK_FORMAT) format.fail(`expected "${PACK_FORMAT}"`);
  const version = root.at("version");
  version.integer(1, Number.MAX_SAFE_INTEGER);
  if (version.value !== PACK_VERSION) {
    version.fail(`this reader knows version ${PACK_VERSION}`, "unsupported");
  }
  root.at("name").name();
  root.at("license").nullOr("string");
  root.at("config").record();
  root.at("generation_config").record();
  root.at("chat_template").nullOr("string");
  const quantization = root.at("quantization").record();
  quantization.at("requested").name();
  quantization.at("profile").oneOf(PROFILES);
  quantization.at("kv").oneOf(KV_TYPES);
  const imageBytes = root.at("weight_bytes").integer(1, Number.MAX_SAFE_INTEGER);
  checkTensors(root.at("tensors"), root.at("weight_bytes"), imageBytes);
  checkShards(root.at("shards"), imageBytes);
  const tokenizer = root.at("tokenizer");
  if (tokenizer.value !== null) tokenizer.object();
  const source = root.at("source").record();
  source.at("name").name();
  source.at("bytes").integer(0, Number.MAX_SAFE_INTEGER);
  if (source.at("sha256").value !== null) source.at("sha256").sha256();
  if (root.at("checksum").value !== undefined) root.at("checksum").sha256();
  const signature = root.at("signature");
  if (signature.value !== undefined) {
    signature.record();
    signature.at("public_key").matching(/^ed25519:[\w-]{43}$/, "ed25519: and 43 characters");
    signature.at("value").matching(/^[\w-]{86}$/, "86 characters of base64url");
  }
  return value as Manifest;
}

/** What the manifest's `checksum` has to be. */
export function manifestChecksum(manifest: Manifest, digest?: Digest): Promise<string> {
  const { checksum: _, signature: __, ...content } = manifest;
  return sha256(new TextEncoder().encode(JSON.stringify(content)), digest);
}

/** Tensors lie one behind the other, each at the next aligned offset, and end with the image. */
function checkTensors(list: Field, total: Field, imageBytes: number): void {
  const names = new Set<string>();
  let end = 0;
  for (const tensor of list.list(MAX_TENSORS)) {
    tensor.record();
    const name = tensor.at("name").name();
    if (names.has(name)) tensor.at("name").fail("a second tensor of this name");
    names.add(name);
    tensor.at("form").oneOf(FORMS);
    const { form, shape } = tensor.value as PackedTensor;
    checkShape(tensor.at("shape"), form);
    if (tensor.at("dtype").value !== undefined) tensor.at("dtype").oneOf(DTYPES);

    const offset = tensor.at("offset").integer(0, Number.MAX_SAFE_INTEGER);
    if (offset !== end) tensor.at("offset").fail(`expected ${end}`);
    const bytes = tensor.at("bytes").integer(1, Number.MAX_SAFE_INTEGER);
    const expected = weightBytes(form, shape);
    if (bytes !== expected) {
      tensor.at("bytes").fail(`expected ${expected} for ${form} [${shape}]`);
    }
    end = alignUp(offset + bytes);
  }
  if (end !== imageBytes) total.fail(`the tensors have ${end}`);
}

function checkShape(field: Field, form: WeightForm): void {
  const shape = field.list(2).map((size) => size.integer(1, MAX_ROWS));
  const cols = shape[shape.length - 1];
  const dimensions = form === "vector" ? 1 : 2;
  if (shape.length !== dimensions) field.fail(`expected ${dimensions} numbers for ${form}`);
  if (cols > MAX_COLS) field.fail(`expected at most ${MAX_COLS} columns`);
  if (form !== "vector" && isQuantized(form) && cols % BLOCK_COLS !== 0) {
    field.fail(`expected a multiple of ${BLOCK_COLS} columns for ${form}`);
  }
}

function checkShards(list: Field, imageBytes: number): void {
  let total = 0;
  for (const shard of list.list(MAX_SHARDS)) total += shard.object();
  if (total !== imageBytes) list.fail(`${total} bytes in all, weight_bytes is ${imageBytes}`);
}

/** A value in the manifest, with the path to it. */
class Field {
  readonly value: unknown;
  readonly #path: string;
  readonly #where: string;

  constructor(value: unknown, path: string, where: string) {
    this.value = value;
    this.#path = path;
    this.#where = where;
  }

  fail(expected: string, code: "bad_format" | "unsupported" = "bad_format"): never {
    const path = this.#path || "the document";
    throw new PronkError(
      code,
      `${this.#where}: ${path}: found ${excerpt(this.value)}, ${expected}`,
    );
  }

  at(key: string): Field {
    const value = Object.hasOwn(this.value as object, key)
      ? (this.value as Record<string, unknown>)[key]
      : undefined;
    return new Field(value, this.#path ? `${this.#path}.${key}` : key, this.#where);
  }

  record(): this {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) {
      this.fail("expected an object");
    }
    return this;
  }

  /** One to `max` values. */
  list(max: number): Field[] {
    if (!Array.isArray(this.value)) this.fail("expected an array");
    const { length } = this.value;
    if (length < 1 || length > max) this.fail(`${length} entries, expected 1 to ${max}`);
    return this.value.map((value, i) => new Field(value, `${this.#path}[${i}]`, this.#where));
  }

  integer(min: number, max: number): number {
    const { value } = this;
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      this.fail(`expected an integer from ${min} to ${max}`);
    }
    return value as number;
  }

  nullOr(type: "string"): void {
    if (this.value !== null && typeof this.value !== type) this.fail(`expected a ${type} or null`);
  }

  oneOf(values: readonly string[]): void {
    if (typeof this.value !== "string" || !values.includes(this.value)) {
      this.fail(`expected one of ${values.join(", ")}`);
    }
  }

  /** A name that is never a path: without separators and control characters. */
  name(): string {
    const { value } = this;
    if (typeof value !== "string" || value === "" || [...value].length > MAX_NAME) {
      this.fail(`expected a name of 1 to ${MAX_NAME} characters`);
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (/[/\\\u0000-\u001f\u007f]/.test(value) || value === "." || value === "..") {
      this.fail("expected a name without path separators");
    }
    return value;
  }

  sha256(): void {
    this.matching(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits");
  }

  matching(pattern: RegExp, expected: string): void {
    if (typeof this.value === "string" && pattern.test(this.value)) return;
    this.fail(`expected ${expected}`);
  }

  /** A stored object; its bytes. */
  object(): number {
    this.record();
    this.at("sha256").sha256();
    return this.at("bytes").integer(1, MAX_SHARD_BYTES);
  }
}

/** What was found, short enough for a message. */
function excerpt(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
