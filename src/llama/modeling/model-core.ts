/**
 * Runs batches of sequences on a runner: padding is left out, each sequence has a slot, long ones go in chunks;
 * logits, states and attention are put back where their columns are.
 */
import type { CachedLayer, Runner } from "../../backends/backend.ts";
import type { Tap } from "../../backends/runner-options.ts";
import { isLoss } from "../../engine/flight.ts";
import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../../model/config.ts";
import type { BatchInput } from "./forward-inputs.ts";
import { type CacheOwner, KvCache } from "./kv-cache.ts";
import { decodeCache, encodeCache } from "./kv-cache-bytes.ts";
import { modelFingerprint } from "./model-fingerprint.ts";
import { joined, type Piece, packBatches, spanOf } from "./row-pieces.ts";
import type { BuiltRunner } from "./runner-build.ts";
import { type Tensor, zeros } from "./tensor.ts";

export interface Wanted {
  /** Columns whose logits are wanted, ascending. */
  readonly columns: readonly number[];
  /** The last layer's states, normalised; or those of every layer and the embeddings. */
  readonly states: "none" | "last" | "all";
  readonly attentions: boolean;
}

export interface CoreOutput {
  /** (batch, wanted columns, outputs); zeros at padding. */
  readonly logits: Tensor;
  /** (batch, length, hidden_size): one more than layers, or the last alone. */
  readonly hidden_states?: readonly Tensor[];
  /** One a layer: (batch, heads, length, cached + length). */
  readonly attentions?: readonly Tensor[];
}

const NOTHING: Wanted = { columns: [], states: "none", attentions: false };

/** How a runner for `ModelCore` is made: what its taps call is set for each batch. */
export class TapSwitch {
  current: ((tap: Tap) => void) | undefined;
  readonly tap = (tap: Tap): void => this.current?.(tap);
  readonly isTapped = (): boolean => this.current !== undefined;
}

export class ModelCore implements CacheOwner {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Runs before anything else does, on a runner that is there. */
  prepare: (() => void) | undefined;
  readonly #config: LlamaConfig;
  #make: (() => Promise<BuiltRunner>) | undefined;
  #built: BuiltRunner | undefined;
  #isDisposed = false;
  /** Caches that hold slots, the least recently used first. */
  readonly #holders: KvCache[] = [];
  #free: number[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** @param built a runner with its weights, or what makes one: called once, when it is needed */
  constructor(config: LlamaConfig, built: BuiltRunner | (() => Promise<BuiltRunner>)) {
    this.#config = config;
    this.kvHeads = config.num_key_value_heads;
    this.headDim = config.head_dim;
    if (typeof built === "function") this.#make = built;
    else this.#take(built);
  }

  /** @throws PronkError "engine_failed" when the model was disposed. */
  get built(): BuiltRunner {
    if (this.#isDisposed) throw disposed();
    if (!this.#built) throw new PronkError("engine_failed", "the model's weights are not made yet");
    return this.#built;
  }

  get runner(): Runner {
    return this.built.runner;
  }

  #take(built: BuiltRunner): void {
    this.#built = built;
    this.#free = Array.from({ length: built.runner.slots }, (_, slot) => slot);
  }

  /**
   * Waits for its turn: work on the runner happens one after the other.
   *
   * @throws PronkError "engine_failed" when the model was disposed; what making the weights throws.
   */
  inTurn<Result>(work: (built: BuiltRunner) => Result | Promise<Result>): Promise<Result> {
    const result = this.#last.then(async () => {
      if (this.#make && !this.#isDisposed) {
        this.#take(await this.#make());
        this.#make = undefined;
        if (this.#isDisposed) this.#drop();
      }
      const { built } = this;
      this.prepare?.();
      try {
        return await work(built);
      } catch (error) {
        // What a runner says that was ended in the middle of its work tells nobody why.
        if (this.#isDisposed) throw disposed(error);
        throw error;
      }
    });
    // Not the result itself, which may hold what is to be freed.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Ends the runner and lets go of its memory; what is still running fails. */
  dispose(): void {
    this.#isDisposed = true;
    this.#drop();
  }

  #drop(): void {
    this.#built?.runner.dispose();
    this.#built = undefined;
    for (const cache of this.#holders.splice(0)) cache.slots = undefined;
  }

  /** In its turn, another runner takes this one's place; caches are computed again when they are needed. */
  replace(make: (built: BuiltRunner) => Promise<BuiltRunner>): Promise<void> {
    return this.inTurn(async (built) => {
      const made = await make(built);
      if (this.#isDisposed) {
        made.runner.dispose();
        throw disposed();
      }
      this.#drop();
      this.#take(made);
    });
  }

  /**
   * Runs a batch after what `cache` holds, and adds it there. One at a time: others wait.
   *
   * @throws PronkError "bad_request" where it does not fit the context, the slots or a chunk.
   */
  forward(input: BatchInput, cache: KvCache, wanted: Wanted): Promise<CoreOutput> {
    return this.inTurn(async () => {
      try {
        return await this.#forward(input, cache, wanted);
      } catch (error) {
        if (!isLoss(error)) throw error;
        // A GPU was lost, and another has the weights: what the caches held is computed again.
        for (const held of [...this.#holders]) this.release(held);
        return this.#forward(input, cache, wanted);
      }
    });
  }

  async #forward(input: BatchInput, cache: KvCache, wanted: Wanted): Promise<CoreOutput> {
    const { batch, length, cached, sequences } = input;
    const {
      num_hidden_layers: layers,
      hidden_size: dim,
      num_attention_heads: heads,
    } = this.#config;
    for (const [b, { columns }] of sequences.entries()) {
      const rows = cache.sequences[b].columns.length + columns.length;
      if (rows > this.runner.ctx) {
        throw new PronkError("bad_request", `${rows} tokens, the context has ${this.runner.ctx}`);
      }
    }
    if (cache.getSeqLength() !== cached) {
      const why = "past_key_values: another forward extended it meanwhile";
      throw new PronkError("bad_request", why, { param: "past_key_values" });
    }
    await this.#restore(cache);
    const output: CoreOutput = {
      logits: zeros(batch, wanted.columns.length, this.built.outputs),
      ...(wanted.states !== "none" && {
        hidden_states: Array.from({ length: wanted.states === "all" ? layers + 1 : 1 }, () =>
          zeros(batch, length, dim),
        ),
      }),
      ...(wanted.attentions && {
        attentions: Array.from({ length: layers }, () =>
          zeros(batch, heads, length, cached + length),
        ),
      }),
    };
    const pieces = sequences.map((sequence, b) => ({
      b,
      input: sequence,
      from: 0,
      to: sequence.columns.length,
      cachedRows: cache.sequences[b].columns.length,
    }));
    try {
      await this.#run(pieces, cache, wanted, { input, output });
    } catch (error) {
      this.release(cache);
      throw error;
    }
    cache.extend(sequences, length);
    return output;
  }

  /** Lends the whole runner: caches lose their slots and are computed again when they are needed. */
  exclusively<Result>(work: (runner: Runner) => Promise<Result>): Promise<Result> {
    return this.inTurn(({ runner }) => {
      for (const cache of [...this.#holders]) this.release(cache);
      return work(runner);
    });
  }

  async #restore(cache: KvCache): Promise<void> {
    const at = this.#holders.indexOf(cache);
    if (at >= 0) {
      this.#holders.push(...this.#holders.splice(at, 1));
      return;
    }
    this.#acquire(cache);
    try {
      await this.#recompute(cache);
    } catch (error) {
      this.release(cache);
      throw error;
    }
  }

  async #recompute(cache: KvCache): Promise<void> {
    const done = cache.sequences.map(() => 0);
    const most = Math.max(0, ...cache.sequences.map(({ inputs }) => inputs.length));
    for (let i = 0; i < most; i++) {
      const pieces = cache.sequences.flatMap(({ inputs }, b): Piece[] => {
        const input = inputs[i];
        if (!input) return [];
        const cachedRows = done[b];
        done[b] += input.columns.length;
        return [{ b, input, from: 0, to: input.columns.length, cachedRows }];
      });
      await this.#run(pieces, cache, NOTHING);
    }
  }

  copy(from: KvCache, to: KvCache): void {
    if (!from.slots || this.#free.length < to.batchSize) return;
    this.#acquire(to);
    for (const [b, { columns }] of from.sequences.entries()) {
      this.runner.copySlot(from.slots[b], this.#slotOf(to, b), columns.length);
    }
  }

  release(cache: KvCache): void {
    const at = this.#holders.indexOf(cache);
    if (at < 0) return;
    this.#holders.splice(at, 1);
    this.#free.push(...(cache.slots ?? []));
    cache.slots = undefined;
  }

  /** @throws PronkError "engine_failed" when the model was disposed. */
  async save(cache: KvCache): Promise<Uint8Array> {
    const model = await this.#fingerprint();
    return this.inTurn(async ({ runner }) => {
      const { sequences } = cache;
      let layers: (readonly Uint8Array[])[] = [];
      // What such scalings keep of a text's length is made again with the text.
      if (!runner.isCutDependent) {
        await this.#restore(cache);
        const saveLayers = (columns: number, slot: number): Promise<Uint8Array[]> =>
          Promise.all(
            Array.from({ length: this.#config.num_hidden_layers }, (_, layer) =>
              runner.saveCache(slot, layer, columns),
            ),
          );
        layers = await Promise.all(
          sequences.map(({ columns }, b) => saveLayers(columns.length, this.#slotOf(cache, b))),
        );
      }
      return encodeCache({ model, length: cache.getSeqLength(), sequences, layers });
    });
  }

  /** @throws PronkError as decodeCache. */
  async load(bytes: Uint8Array): Promise<KvCache> {
    const model = await this.#fingerprint();
    return this.inTurn(async ({ runner }) => {
      const { vocab, ctx, slots } = runner;
      const { hidden_size: hiddenSize, num_hidden_layers: layers } = this.#config;
      const saved = await decodeCache(bytes, { model, vocab, ctx, slots, hiddenSize, layers });
      const cache = KvCache.restored(this, saved.length, saved.sequences);
      if (saved.layers.length === 0) return cache;
      this.#acquire(cache);
      try {
        for (const [b, { columns }] of saved.sequences.entries()) {
          for (const [layer, kept] of saved.layers[b].entries()) {
            runner.loadCache(this.#slotOf(cache, b), layer, columns.length, kept);
          }
        }
      } catch (error) {
        this.release(cache);
        throw error;
      }
      return cache;
    });
  }

  #fingerprint(): Promise<string> {
    return this.inTurn(({ runner }) => modelFingerprint(runner, this.#config));
  }

  readLayer(cache: KvCache, layer: number): Promise<readonly CachedLayer[]> {
    return this.inTurn(async ({ runner }) => {
      await this.#restore(cache);
      return Promise.all(
        cache.sequences.map(({ columns }, b) =>
          runner.readCache(this.#slotOf(cache, b), layer, columns.length),
        ),
      );
    });
  }

  #slotOf({ slots }: KvCache, b: number): number {
    if (!slots) throw new PronkError("engine_failed", "past_key_values: it holds no slots");
    return slots[b];
  }

  #acquire(cache: KvCache): void {
    const count = cache.batchSize;
    if (count > this.runner.slots) {
      throw new PronkError(
        "bad_request",
        `a batch of ${count}, the model was loaded with ${this.runner.slots} slots`,
        { param: "input_ids" },
      );
    }
    while (this.#free.length < count) this.release(this.#holders[0]);
    cache.slots = this.#free.splice(0, count);
    this.#holders.push(cache);
  }

  async #run(
    pieces: readonly Piece[],
    cache: KvCache,
    wanted: Wanted,
    target?: { readonly input: BatchInput; readonly output: CoreOutput },
  ): Promise<void> {
    for (const batch of packBatches(pieces, this.runner.maxRows)) {
      const embeds = batch[0].input.embeds && joined(batch, this.#config.hidden_size);
      const rows = batch.flatMap(({ b, input, from, to }) =>
        input.columns.slice(from, to).map((column) => ({ b, column })),
      );
      const all = wanted.states !== "none" || wanted.attentions;
      const logitsRows = rows.flatMap(({ column }, row) =>
        all || wanted.columns.includes(column) ? [row] : [],
      );
      const { taps, outputs } = this.built;
      if (target && all) taps.current = (tap) => this.#collect(tap, rows, cache, wanted, target);
      try {
        await this.runner.forward({
          ids: batch.flatMap(({ input, from, to }) => input.ids.slice(from, to)),
          ...(embeds && { embeds }),
          spans: batch.map((piece) =>
            spanOf(piece, this.#slotOf(cache, piece.b), wanted.attentions),
          ),
          logitsRows,
        });
      } finally {
        taps.current = undefined;
      }
      if (!target || outputs === 0) continue;
      const { data } = target.output.logits;
      for (const [i, row] of logitsRows.entries()) {
        const { b, column } = rows[row];
        const place = wanted.columns.indexOf(column);
        if (place < 0) continue;
        data.set(this.runner.logits(i), (b * wanted.columns.length + place) * outputs);
      }
    }
  }

  #collect(
    { name, data, stride, span }: Tap,
    rows: readonly { readonly b: number; readonly column: number }[],
    cache: KvCache,
    wanted: Wanted,
    { input, output }: { readonly input: BatchInput; readonly output: CoreOutput },
  ): void {
    const [kind, index] = name.split(".");
    if (kind === "hidden_states") {
      const first = this.#config.num_hidden_layers + 1 - (output.hidden_states?.length ?? 0);
      const out = output.hidden_states?.[Number(index) - first];
      if (!out) return;
      for (const [r, { b, column }] of rows.entries()) {
        const from = data.subarray(r * stride, (r + 1) * stride);
        out.data.set(from, (b * input.length + column) * stride);
      }
      return;
    }
    const out = output.attentions?.[Number(index)];
    if (!out || !span || !wanted.attentions) return;
    const b = cache.slots?.indexOf(span.slot) ?? 0;
    const kept = cache.sequences[b].columns;
    const own = input.sequences[b].columns;
    const keyColumns = [...kept, ...own.map((column) => input.cached + column)];
    const heads = this.#config.num_attention_heads;
    const keys = stride / heads;
    const width = input.cached + input.length;
    for (let r = 0; r < span.count; r++) {
      const query = own[span.start - kept.length + r];
      for (let head = 0; head < heads; head++) {
        const to = ((b * heads + head) * input.length + query) * width;
        const from = (r * heads + head) * keys;
        for (let key = 0; key < keys; key++) out.data[to + keyColumns[key]] = data[from + key];
      }
    }
  }
}

function disposed(cause?: unknown): PronkError {
  return new PronkError("engine_failed", "the model was disposed", { cause });
}
