/**
 * A cache as bytes, sealed (src/pack/sealed-bytes.ts): what each sequence was made of, in the header; for each sequence the
 * embeddings (f32) and masks of its inputs; for each sequence its layers, keys and values as the backend keeps them.
 * Only the model that made it takes it: weights, configuration, backend and type of the cache are in the header.
 */
import { PronkError } from "../../errors.ts";
import { openSealed, type Seal, sealBytes } from "../../pack/sealed-bytes.ts";
import type { SequenceInput } from "./forward-inputs.ts";
import type { CachedSequence } from "./kv-cache.ts";

/** Four numbers for each of a million positions, and what says where they came from: more than memory has room for. */
const SEAL: Seal = { magic: "PRONKKV", version: 2, what: "saved cache", maxValues: 5_000_000 };

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
  return sealBytes(SEAL, header, [...parts, ...layers.flat()]);
}

/**
 * @throws PronkError "bad_format" when it is no such cache; "unsupported" for another version; "corrupt" when bytes
 *   have changed; "bad_request" when another model made it, or it has more than this one can hold.
 */
export async function decodeCache(bytes: Uint8Array, limits: CacheLimits): Promise<SavedCache> {
  const { header, body } = await openSealed(SEAL, bytes);
  if (!isHeader(header)) throw bad("its header is not that of a cache");
  if (header.model !== limits.model) {
    throw new PronkError("bad_request", "saved cache: another model made it");
  }
  if (header.sequences.length > limits.slots) {
    const found = `${header.sequences.length} sequences, the model was loaded with ${limits.slots} slots`;
    throw new PronkError("bad_request", `saved cache: ${found}`);
  }
  let at = 0;
  const take = (count: number): Uint8Array => {
    if (at + count > body.length) throw bad("it is too short");
    at += count;
    return body.slice(at - count, at);
  };
  const sequences = header.sequences.map((sequence) =>
    readSequence(sequence, header, limits, take),
  );
  const hasLayers = header.sequences.some(({ layer }) => layer > 0);
  const layers = header.sequences.map(({ layer }) =>
    hasLayers ? Array.from({ length: limits.layers }, () => take(layer)) : [],
  );
  if (at !== body.length) throw bad(`${body.length - at} bytes too many`);
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
