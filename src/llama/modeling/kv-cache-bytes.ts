/**
 * A cache as bytes: what each sequence was made of, and keys and values as the backend keeps them. Little-endian:
 *   "PRONKKV" and a version byte; u32 bytes of the header; the header, JSON; for each sequence the embeddings (f32)
 *   and masks of its inputs; for each sequence its layers; SHA-256 of all before.
 * Only the model that made it takes it: weights, configuration, backend and type of the cache are in the header.
 */
import { PronkError } from "../../errors.ts";
import { subtleDigest } from "../../pack/digest.ts";
import type { SequenceInput } from "./forward-inputs.ts";
import type { CachedSequence } from "./kv-cache.ts";

const MAGIC = "PRONKKV";
const VERSION = 1;
const PREFIX_BYTES = 12;
const HASH_BYTES = 32;

/** What a cache holds, apart from a model. */
export interface SavedCache {
  /** Of the model. */
  readonly model: string;
  /** Columns, padding included. */
  readonly length: number;
  readonly sequences: readonly CachedSequence[];
  /** (sequences, layers); empty: keys and values are computed again. */
  readonly layers: readonly (readonly Uint8Array[])[];
}

/** What the bytes must agree with. */
export interface CacheLimits {
  readonly model: string;
  readonly vocab: number;
  readonly hiddenSize: number;
  /** Positions of a slot. */
  readonly ctx: number;
  readonly slots: number;
  readonly layers: number;
}

interface InputHeader {
  readonly columns: readonly number[];
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  readonly length: number;
  readonly embeds: boolean;
  /** Bytes of the mask; 0: none. */
  readonly visible: number;
}

interface Header {
  readonly model: string;
  readonly length: number;
  readonly sequences: readonly {
    readonly columns: readonly number[];
    readonly inputs: readonly InputHeader[];
    /** Bytes of a layer. */
    readonly layer: number;
  }[];
}

/** @throws PronkError "unsupported" for a cache that adapters took part in: its bytes could not say which. */
export async function encodeCache(cache: SavedCache): Promise<Uint8Array> {
  const { model, length, sequences, layers } = cache;
  if (sequences.some(({ inputs }) => inputs.some(({ adapters }) => adapters !== undefined))) {
    throw new PronkError("unsupported", "saved cache: LoRA adapters took part in it");
  }
  const parts: Uint8Array[] = [];
  const header: Header = {
    model,
    length,
    sequences: sequences.map(({ columns, inputs }, b) => ({
      columns,
      inputs: inputs.map(({ embeds, visible, ...input }) => {
        if (embeds) parts.push(new Uint8Array(embeds.slice().buffer));
        if (visible) parts.push(visible);
        return { ...input, embeds: embeds !== undefined, visible: visible?.length ?? 0 };
      }),
      layer: layers[b]?.[0]?.length ?? 0,
    })),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  parts.unshift(json);
  parts.push(...layers.flat());
  const size = parts.reduce((sum, part) => sum + part.length, PREFIX_BYTES);
  const out = new Uint8Array(size + HASH_BYTES);
  new TextEncoder().encodeInto(MAGIC, out);
  out[MAGIC.length] = VERSION;
  new DataView(out.buffer).setUint32(MAGIC.length + 1, json.length, true);
  let at = PREFIX_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  out.set(new Uint8Array(await subtleDigest(out.subarray(0, size))), size);
  return out;
}

/**
 * @throws PronkError "bad_format" when it is no such cache; "unsupported" for another version; "corrupt" when bytes
 *   have changed; "bad_request" when another model made it, or it has more than this one can hold.
 */
export async function decodeCache(bytes: Uint8Array, limits: CacheLimits): Promise<SavedCache> {
  const size = bytes.length - HASH_BYTES;
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC || size < PREFIX_BYTES) throw bad("these are no bytes of a cache");
  if (bytes[MAGIC.length] !== VERSION) {
    const found = `version ${bytes[MAGIC.length]}; reads: ${VERSION}`;
    throw new PronkError("unsupported", `saved cache: ${found}`);
  }
  const hash = new Uint8Array(await subtleDigest(bytes.subarray(0, size)));
  if (hash.some((byte, i) => byte !== bytes[size + i])) {
    throw new PronkError("corrupt", "saved cache: its bytes have changed");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bodyStart = PREFIX_BYTES + view.getUint32(MAGIC.length + 1, true);
  if (bodyStart > size) throw bad("its header does not end");
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, bodyStart));
  if (header.model !== limits.model) {
    throw new PronkError("bad_request", "saved cache: another model made it");
  }
  if (header.sequences.length > limits.slots) {
    const found = `${header.sequences.length} sequences, the model was loaded with ${limits.slots} slots`;
    throw new PronkError("bad_request", `saved cache: ${found}`);
  }
  let at = bodyStart;
  const take = (count: number): Uint8Array => {
    if (at + count > size) throw bad("it is too short");
    at += count;
    return bytes.slice(at - count, at);
  };
  const sequences = header.sequences.map((sequence) =>
    readSequence(sequence, header, limits, take),
  );
  const hasLayers = header.sequences.some(({ layer }) => layer > 0);
  const layers = header.sequences.map(({ layer }) =>
    hasLayers ? Array.from({ length: limits.layers }, () => take(layer)) : [],
  );
  if (at !== size) throw bad(`${size - at} bytes too many`);
  return { model: header.model, length: header.length, sequences, layers: hasLayers ? layers : [] };
}

function readSequence(
  { columns, inputs }: Header["sequences"][number],
  { length }: Header,
  { vocab, hiddenSize, ctx }: CacheLimits,
  take: (count: number) => Uint8Array,
): CachedSequence {
  const isBelow =
    (limit: number) =>
    (value: number): boolean =>
      value < limit;
  if (!columns.every(isBelow(length)) || columns.some((c, i) => i > 0 && c <= columns[i - 1])) {
    throw bad("columns are not ascending");
  }
  if (columns.length > ctx) {
    const found = `${columns.length} tokens, the context has ${ctx}`;
    throw new PronkError("bad_request", `saved cache: ${found}`);
  }
  let before = 0;
  const read = inputs.map((input): SequenceInput => {
    const { visible: maskBytes, embeds: hasEmbeds, ids, positions } = input;
    const count = input.columns.length;
    before += count;
    if (ids.length !== count || positions.length !== count) throw bad("lists of other lengths");
    if (!ids.every(isBelow(vocab)) || !positions.every(isBelow(ctx))) {
      throw bad("an id or position that the model does not have");
    }
    if (maskBytes !== 0 && maskBytes !== count * before) throw bad("a mask of another size");
    const embeds = hasEmbeds ? new Float32Array(take(count * hiddenSize * 4).buffer) : undefined;
    const visible = maskBytes > 0 ? take(maskBytes) : undefined;
    return {
      columns: input.columns,
      ids,
      positions,
      length: input.length,
      ...(embeds && { embeds }),
      ...(visible && { visible }),
    };
  });
  if (before !== columns.length) throw bad("its inputs are not its columns");
  return { columns: [...columns], inputs: read };
}

function parseHeader(bytes: Uint8Array): Header {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new PronkError("bad_format", "saved cache: its header is no JSON", { cause });
  }
  if (!isHeader(header)) throw bad("its header is not that of a cache");
  return header;
}

function isHeader(value: unknown): value is Header {
  if (!isRecord(value)) return false;
  const { model, length, sequences } = value;
  return typeof model === "string" && isCount(length) && isListOf(sequences, isSequence);
}

function isSequence(value: unknown): boolean {
  if (!isRecord(value)) return false;
  return (
    isListOf(value.columns, isCount) && isCount(value.layer) && isListOf(value.inputs, isInput)
  );
}

function isInput(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { columns, ids, positions, length, embeds, visible } = value;
  const lists = [columns, ids, positions].every((list) => isListOf(list, isCount));
  return lists && isCount(length) && isCount(visible) && typeof embeds === "boolean";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

function bad(what: string): PronkError {
  return new PronkError("bad_format", `saved cache: ${what}`);
}
