/**
 * Keys and values of a batch of sequences, as `past_key_values`. They live in slots of the model's runner; a
 * cache whose slots others needed is computed again from what it was made of, to the same bits.
 */
import type { CachedLayer } from "../../backends/backend.ts";
import type { SequenceInput } from "./forward-inputs.ts";
import { type Tensor, zeros } from "./tensor.ts";

/** What is in a sequence's cache, in order: everything needed to compute it again. */
export interface CachedSequence {
  readonly inputs: SequenceInput[];
  /** Columns that are in the cache, ascending; the others were padding. */
  columns: number[];
}

/** The model's side of its caches. */
export interface CacheOwner {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Gives `to` slots with what those of `from` hold, if there are any to have. */
  copy(from: KvCache, to: KvCache): void;
  release(cache: KvCache): void;
  /** Of each sequence; what was lost is computed again. */
  readLayer(cache: KvCache, layer: number): Promise<readonly CachedLayer[]>;
  save(cache: KvCache): Promise<Uint8Array>;
}

/** A model, as far as caches are loaded by it. */
export interface CacheLoader {
  loadCache(bytes: Uint8Array): Promise<KvCache>;
}

export class KvCache {
  /** For the model: slots of the sequences while they are held. */
  slots: readonly number[] | undefined;
  /** For the model. */
  sequences: readonly CachedSequence[];
  readonly #owner: CacheOwner;
  #length: number;

  constructor(owner: CacheOwner, batch: number) {
    this.#owner = owner;
    this.#length = 0;
    this.sequences = Array.from({ length: batch }, () => ({ inputs: [], columns: [] }));
  }

  /** `model.loadCache(bytes)`. @throws PronkError as it does. */
  static deserialize(bytes: Uint8Array, model: CacheLoader): Promise<KvCache> {
    return model.loadCache(bytes);
  }

  /** For the model: of what was saved. */
  static restored(
    owner: CacheOwner,
    length: number,
    sequences: readonly CachedSequence[],
  ): KvCache {
    const cache = new KvCache(owner, sequences.length);
    cache.sequences = sequences;
    cache.#length = length;
    return cache;
  }

  /** Columns so far, padding included. */
  getSeqLength(): number {
    return this.#length;
  }

  get batchSize(): number {
    return this.sequences.length;
  }

  /** For the model: the runner that it was made for. */
  isOf(owner: CacheOwner): boolean {
    return owner === this.#owner;
  }

  /** For the model: what was run. */
  extend(inputs: readonly SequenceInput[], columns: number): void {
    for (const [b, input] of inputs.entries()) {
      const sequence = this.sequences[b];
      sequence.inputs.push(input);
      sequence.columns = [...sequence.columns, ...input.columns.map((c) => this.#length + c)];
    }
    this.#length += columns;
  }

  /**
   * Keys, rotated, and values of a layer: (batch, kvHeads, length, headDim) each; zeros at padding.
   */
  async layer(index: number): Promise<{ readonly keys: Tensor; readonly values: Tensor }> {
    const { kvHeads, headDim } = this.#owner;
    const found = await this.#owner.readLayer(this, index);
    const gather = (which: "keys" | "values"): Tensor => {
      const out = zeros(this.batchSize, kvHeads, this.#length, headDim);
      for (const [b, { columns }] of this.sequences.entries()) {
        for (let head = 0; head < kvHeads; head++) {
          for (const [row, column] of columns.entries()) {
            const from = (head * columns.length + row) * headDim;
            const to = ((b * kvHeads + head) * this.#length + column) * headDim;
            out.data.set(found[b][which].subarray(from, from + headDim), to);
          }
        }
      }
      return out;
    };
    return { keys: gather("keys"), values: gather("values") };
  }

  /** A cache of the same contents that goes on by itself. */
  clone(): KvCache {
    const copy = new KvCache(this.#owner, this.batchSize);
    copy.sequences = this.sequences.map(({ inputs, columns }) => ({
      inputs: [...inputs],
      columns: [...columns],
    }));
    copy.#length = this.#length;
    this.#owner.copy(this, copy);
    return copy;
  }

  /**
   * Everything as bytes, for `KvCache.deserialize` with the same model, in this process or another: keys and values
   * as they are kept, and what they were made of. With dynamic and longrope scaling the latter alone.
   *
   * @throws PronkError "engine_failed" when the model was disposed.
   */
  serialize(): Promise<Uint8Array> {
    return this.#owner.save(this);
  }

  /** Forgets all columns from `length` on; negative: so many from the end, as transformers' `crop`. */
  truncate(length: number): void {
    this.crop(length);
  }

  /** As `truncate`. */
  crop(to: number): void {
    const length = to < 0 ? Math.max(0, this.#length + to) : to;
    if (length >= this.#length) return;
    for (const sequence of this.sequences) {
      sequence.columns = sequence.columns.filter((column) => column < length);
      let left = sequence.columns.length;
      sequence.inputs.splice(
        0,
        sequence.inputs.length,
        ...sequence.inputs.flatMap((input) => {
          const count = Math.min(left, input.columns.length);
          left -= count;
          return count > 0 ? [firstRows(input, count)] : [];
        }),
      );
    }
    this.#length = length;
  }

  /** Lets go of its slots; it can be used again, at the price of computing it. */
  release(): void {
    this.#owner.release(this);
  }
}

function firstRows(input: SequenceInput, count: number): SequenceInput {
  const { columns, ids, positions, length, embeds, visible, adapters } = input;
  if (count === columns.length) return input;
  const rows = columns.length;
  const keys = visible ? visible.length / rows : 0;
  const fewer = keys - rows + count;
  return {
    columns: columns.slice(0, count),
    ids: ids.slice(0, count),
    positions: positions.slice(0, count),
    length,
    ...(adapters && { adapters }),
    ...(embeds && { embeds: embeds.slice(0, (embeds.length / rows) * count) }),
    ...(visible && {
      visible: Uint8Array.from({ length: count * fewer }, (_, i) => {
        return visible[Math.floor(i / fewer) * keys + (i % fewer)];
      }),
    }),
  };
}
