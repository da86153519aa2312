/**
 * A language model small enough to check by hand: logits are a hash of all tokens so far. It holds
 * what each slot's cache would hold, so a wrong start, a stale prefix or a mixed-up slot changes the
 * output, and it throws on every batch that a real runner need not accept.
 */
import type {
  Batch,
  CachedLayer,
  Chooser,
  KvType,
  MemoryUse,
  Runner,
} from "../../../src/backends/backend.ts";
import { checkBatch } from "../../../src/backends/check-batch.ts";
import { LogitsChooser } from "../../../src/backends/logits-chooser.ts";
import { PronkError, throwIfAborted } from "../../../src/errors.ts";

export interface ToyOptions {
  readonly vocab?: number;
  readonly ctx?: number;
  readonly slots?: number;
  readonly maxRows?: number;
  readonly maxLogits?: number;
  /** Runs batches asynchronously, in a later macrotask. */
  readonly async?: boolean;
  /** The hash's start: another model. */
  readonly weights?: number;
  /** Logits depend on so many of the last tokens only: such a model soon repeats itself. */
  readonly memory?: number;
  /** It chooses tokens itself. */
  readonly chooser?: Pick<Chooser, "ahead" | "most">;
}

export const TOY_EOS = 0;

const NO_MEMORY: MemoryUse = { weights: 0, kv: 0, activations: 0, scratch: 0, total: 0 };

export class ToyRunner implements Runner {
  readonly backend: string = "toy";
  readonly kernel: string = "hash";
  readonly kv: KvType = "f32";
  readonly layers: number = 2;
  readonly memory: MemoryUse = NO_MEMORY;
  readonly weights: Uint8Array = new Uint8Array(0);
  readonly vocab: number;
  readonly width: number = 8;
  readonly ctx: number;
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  /** Every batch that was run. */
  readonly batches: Batch[] = [];
  /** Every slot that was copied. */
  readonly copies: { readonly from: number; readonly to: number; readonly positions: number }[] =
    [];
  /** Every layer that was loaded. */
  readonly loads: { readonly slot: number; readonly positions: number }[] = [];
  /** Called before a batch is run; may throw. */
  before: ((batch: Batch) => void) | undefined;
  disposed: number = 0;
  /** What it was made with, to make another. */
  readonly made: { readonly weights: number | undefined; readonly isAsync: boolean };
  readonly #async: boolean;
  readonly #seed: number;
  readonly #memory: number;
  /** Tokens in each slot's cache, each by the adapters that it was run with. */
  readonly #caches: number[][];
  #logits: Float32Array[] = [];
  readonly adapterBytes: number = 0;
  readonly positionBytes: number = 8;
  /** Names of those that are loaded, by handle. */
  readonly adapters: Map<number, string> = new Map();
  /** Waited for before an adapter is there; may throw. */
  loading: ((name: string) => Promise<void> | void) | undefined;
  #adaptersLoaded = 0;
  #busy = false;
  readonly #chooser: LogitsChooser | undefined;
  /** Layers that are being saved. */
  #saving = 0;

  constructor(options: ToyOptions = {}) {
    this.vocab = options.vocab ?? 64;
    this.ctx = options.ctx ?? 128;
    this.slots = options.slots ?? 2;
    this.maxRows = options.maxRows ?? 8;
    this.maxLogits = options.maxLogits ?? this.slots;
    this.#async = options.async ?? false;
    this.made = { weights: options.weights, isAsync: options.async ?? false };
    this.#memory = options.memory ?? Number.POSITIVE_INFINITY;
    this.#seed = options.weights ?? 0x12345678;
    this.#chooser =
      options.chooser && new LogitsChooser((index) => this.#rowLogits(index), options.chooser);
    this.#caches = Array.from({ length: this.slots }, () => []);
  }

  get chooser(): Chooser | undefined {
    return this.#chooser;
  }

  forward(batch: Batch): void | Promise<void> {
    if (this.disposed > 0) throw new Error("toy runner: used after dispose");
    if (this.#busy) throw new Error("toy runner: two batches at a time");
    if (this.#saving > 0) throw new Error("toy runner: a batch while a cache is saved");
    this.#logits = [];
    this.before?.(batch);
    this.#check(batch);
    this.batches.push(batch);
    const run = (): void => {
      if (this.#chooser) this.#chooser.run(batch, (one) => this.#run(one));
      else this.#run(batch);
    };
    if (!this.#async) return run();
    this.#busy = true;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#busy = false;
        run();
        resolve();
      });
    });
  }

  logits(index: number): Float32Array {
    this.#chooser?.checkLogits(index);
    return this.#rowLogits(index);
  }

  #rowLogits(index: number): Float32Array {
    const logits = this.#logits[index];
    if (this.#busy || logits === undefined) throw new Error(`toy runner: no logits ${index}`);
    return logits;
  }

  /** As its logits: by all tokens so far. */
  states(index: number): Float32Array {
    return this.logits(index).subarray(0, this.width);
  }

  argmax(index: number): number {
    const logits = this.logits(index);
    return logits.indexOf(Math.max(...logits));
  }

  copySlot(from: number, to: number, positions: number): void {
    if (this.#busy) throw new Error("toy runner: a slot is copied in mid-batch");
    const cache = this.#caches[from];
    if (cache === undefined || positions > cache.length) {
      throw new Error(`toy runner: ${positions} positions of slot ${from}`);
    }
    this.copies.push({ from, to, positions });
    this.#caches[to] = cache.slice(0, positions);
  }

  readCache(): CachedLayer {
    throw new Error("toy runner: it has no cache");
  }

  /** The tokens, in each layer; of an asynchronous runner as they are in a later macrotask. */
  saveCache(slot: number, _layer: number, positions: number): Uint8Array | Promise<Uint8Array> {
    if (this.#busy || this.#caches[slot] === undefined) throw new Error(`toy runner: slot ${slot}`);
    const read = (): Uint8Array => {
      const cache = this.#caches[slot] ?? [];
      const tokens = Float64Array.from({ length: positions }, (_, i) => cache[i] ?? Number.NaN);
      return new Uint8Array(tokens.buffer);
    };
    if (!this.#async) return read();
    this.#saving++;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#saving--;
        resolve(read());
      });
    });
  }

  loadCache(slot: number, _layer: number, positions: number, saved: Uint8Array): void {
    if (this.#busy) throw new Error("toy runner: a cache is loaded in mid-batch");
    if (saved.length !== positions * 8) throw new PronkError("bad_format", "toy runner: bytes");
    this.loads.push({ slot, positions });
    this.#caches[slot] = [...new Float64Array(saved.slice().buffer)];
  }

  async loadAdapter({ name }: { readonly name: string }, signal?: AbortSignal): Promise<number> {
    await this.loading?.(name);
    throwIfAborted(signal);
    const handle = ++this.#adaptersLoaded;
    this.adapters.set(handle, name);
    return handle;
  }

  unloadAdapter(handle: number): void {
    if (this.disposed > 0) throw new Error("toy runner: used after dispose");
    if (this.#busy) throw new Error("toy runner: an adapter is freed in mid-batch");
    if (!this.adapters.delete(handle)) throw new Error(`toy runner: adapter ${handle}`);
  }

  dispose(): void {
    if (this.#busy) throw new Error("toy runner: disposed in mid-batch");
    this.disposed++;
  }

  #check(batch: Batch): void {
    const { ids, spans, logitsRows, states } = batch;
    checkBatch(batch, this, { width: this.width, masks: false });
    const bad = (what: string): PronkError => new PronkError("bad_request", `toy runner: ${what}`);
    if (ids.length === 0 || ids.length > this.maxRows) throw bad(`${ids.length} rows`);
    if (!states && logitsRows.length > this.maxLogits) throw bad(`${logitsRows.length} logits`);
    const rows = spans.reduce((sum, { count }) => sum + count, 0);
    if (rows !== ids.length) throw bad(`spans cover ${rows} of ${ids.length} rows`);
    if (new Set(spans.map(({ slot }) => slot)).size !== spans.length) throw bad("a slot twice");
    for (const { slot, start, count, adapters = [] } of spans) {
      const unknown = adapters.find(({ handle }) => !this.adapters.has(handle));
      if (unknown) throw new Error(`toy runner: adapter ${unknown.handle} is not there`);
      const cache = this.#caches[slot];
      if (cache === undefined) throw bad(`slot ${slot}`);
      if (count < 1 || start + count > this.ctx) throw bad(`positions ${start} + ${count}`);
      if (start < 0 || start > cache.length) throw bad(`start ${start} of ${cache.length} cached`);
    }
    logitsRows.forEach((row, i) => {
      if (row >= rows || row <= (logitsRows[i - 1] ?? -1)) throw bad(`logits row ${row}`);
    });
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!Number.isInteger(id) || id < 0 || id >= this.vocab) throw bad(`id ${id}`);
    }
  }

  #run({ ids, spans, logitsRows }: Batch): void {
    this.#logits = [];
    let row = 0;
    for (const { slot, start, count, adapters = [] } of spans) {
      const salt = toySalt(adapters.map(({ handle, scale }) => [this.adapters.get(handle), scale]));
      const cache = this.#caches[slot];
      cache.length = start;
      for (let i = 0; i < count; i++, row++) {
        cache.push(ids[row] + salt);
        if (!logitsRows.includes(row)) continue;
        const seen = cache.slice(Math.max(0, cache.length - this.#memory));
        this.#logits.push(toyLogits(seen, this.vocab, this.#seed));
      }
    }
  }
}

/** Logits after these tokens, about from -4 to 4. */
export function toyLogits(ids: readonly number[], vocab: number, seed = 0x12345678): Float32Array {
  let hash = seed;
  for (const id of ids) hash = mix(hash ^ (id + 1));
  return Float32Array.from({ length: vocab }, (_, id) => mix(hash + id * 0x9e3779b9) / 2 ** 29);
}

/** The finalizer of MurmurHash3: every bit of the input changes every bit of the output. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** What is added to each token that is run with these adapters: names, each with its scale. */
export function toySalt(adapters: readonly (readonly [string | undefined, number])[]): number {
  if (adapters.length === 0) return 0;
  // Beyond any vocabulary here: a token with adapters is none without.
  let hash = 1;
  for (const character of JSON.stringify(adapters)) hash = mix(hash ^ character.charCodeAt(0));
  return 1000 + (hash >>> 8);
}

/** What greedy decoding of this prompt gives, computed without engine, slots or cache. */
export function toyGreedy(
  prompt: readonly number[],
  count: number,
  vocab = 64,
  adapters: readonly (readonly [string, number])[] = [],
): number[] {
  const ids = [...prompt];
  const salt = toySalt(adapters);
  for (let n = 0; n < count; n++) {
    const salted = ids.map((id) => id + salt);
    const logits = toyLogits(salted, vocab);
    ids.push(logits.indexOf(Math.max(...logits)));
  }
  return ids.slice(prompt.length);
}
