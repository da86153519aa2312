/**
 * Beginnings of texts with their keys and values, as bytes for storage and back: what a prompt that begins so need
 * not compute. Sealed (src/pack/sealed-bytes.ts): model's fingerprint, adapters and tokens in the header, then each
 * layer as the backend keeps it. Restored, they give the bits that computing them gives.
 *
 * Those that are loaded stay in memory, within a bound, and are put into a slot when a prompt wants one.
 */
import type { Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";
import type { AdapterChoice } from "../generate/request.ts";
import type { Digest } from "../pack/digest.ts";
import { openSealed, type Seal, SealedPieces, sealBytes, sealHead } from "../pack/sealed-bytes.ts";
import { Sha256 } from "../pack/sha256-pieces.ts";
import type { AdapterSet } from "./adapter-set.ts";
import { commonLength, type Slot } from "./slots.ts";

/** No cache that fits in memory has a million tokens. */
const SEAL: Seal = { magic: "PRONKSN", version: 2, what: "snapshot", maxValues: 1_000_000 };

/** Positions whose loading takes as long as computing one; a restored slot has to save more. */
const LOADED_PER_TOKEN = 64;

/** Of all that are loaded: a system prompt of 2,000 tokens with SmolLM2, beside its 130 MB. */
export const DEFAULT_SNAPSHOT_BYTES: number = 64 * 1024 * 1024;

/** One that is loaded. */
export interface SnapshotInfo {
  /** SHA-256 of its bytes, but for the hash that they end with. */
  readonly id: string;
  readonly tokens: number;
  /** That it keeps in memory. */
  readonly bytes: number;
}

interface Snapshot extends SnapshotInfo {
  readonly ids: Int32Array;
  readonly adapters: string;
  readonly layers: readonly Uint8Array[];
}

/** A snapshot that a prompt begins with, and how many of its tokens. */
export interface FoundSnapshot {
  readonly snapshot: Snapshot;
  readonly cached: number;
}

/** Adapters as another process names them: by content. */
type SavedAdapter = readonly [fingerprint: string, scale: number];

/** The text of a snapshot whose keys are another backend's. */
export interface ForeignSnapshot {
  readonly ids: readonly number[];
  readonly adapters: readonly AdapterChoice[];
}

interface Header {
  readonly model: string;
  /** What made it, and of what: another backend has other keys of the same model. */
  readonly origin?: readonly [backend: string, contents: string];
  readonly kv: string;
  readonly adapters: readonly SavedAdapter[];
  readonly ids: readonly number[];
  /** Bytes of a layer. */
  readonly layer: number;
}

type SnapshotRunner = Pick<
  Runner,
  | "backend"
  | "ctx"
  | "vocab"
  | "layers"
  | "kv"
  | "isCutDependent"
  | "positionBytes"
  | "saveCache"
  | "loadCache"
>;

export class SnapshotStore {
  readonly #runner: SnapshotRunner;
  /** Of the model; what an engine calls its fingerprint. */
  readonly #model: string;
  readonly #adapters: Pick<AdapterSet, "list" | "resolve">;
  readonly #contents: string | undefined;
  readonly #limit: number;
  readonly #digest: Digest | undefined;
  readonly #held = new Map<string, Snapshot>();

  /** @param options the model's fingerprints, and the bytes of all that are loaded at most. */
  constructor(
    runner: SnapshotRunner,
    adapters: Pick<AdapterSet, "list" | "resolve">,
    options: {
      readonly fingerprint: string;
      readonly contents?: string | undefined;
      readonly snapshotBytes: number;
    },
    digest?: Digest,
  ) {
    this.#runner = runner;
    this.#model = options.fingerprint;
    this.#contents = options.contents;
    this.#adapters = adapters;
    this.#limit = options.snapshotBytes;
    this.#digest = digest;
  }

  get list(): readonly SnapshotInfo[] {
    return [...this.#held.values()].map(({ id, tokens, bytes }) => ({ id, tokens, bytes }));
  }

  /** @throws PronkError "unsupported" where keys depend on how a text was cut. */
  check(): void {
    if (!this.#runner.isCutDependent) return;
    const why =
      "the model's keys depend on how a text is cut into batches (dynamic or longrope scaling)";
    throw new PronkError("unsupported", `snapshot: ${why}`);
  }

  /** Of the tokens in a slot's cache. No batch may run before it is done. */
  read(slot: number, tokens: number): Uint8Array[] | Promise<Uint8Array[]> {
    const { layers } = this.#runner;
    const saved = Array.from({ length: layers }, (_, layer) =>
      this.#runner.saveCache(slot, layer, tokens),
    );
    return saved.every((bytes) => bytes instanceof Uint8Array) ? saved : Promise.all(saved);
  }

  /** @param mix adapters by their loaded names, with scales. */
  async encode(
    ids: readonly number[],
    mix: readonly SavedAdapter[],
    layers: readonly Uint8Array[],
  ): Promise<Uint8Array> {
    return sealBytes(SEAL, this.#header(ids, mix, layers[0]?.length ?? 0), layers);
  }

  /**
   * The same bytes layer by layer, for who has no room for all of them: made by who drives it, between two batches
   * each, from a slot whose cache still holds the tokens then. A piece is overwritten by the next. A promise, of a runner
   * that gives one, is to be waited for before the next is asked, with no batch meanwhile.
   */
  *encodePieces(
    ids: readonly number[],
    mix: readonly SavedAdapter[],
    slot: number,
  ): Generator<Uint8Array | Promise<Uint8Array>, void, undefined> {
    const hash = new Sha256();
    const hashed = (piece: Uint8Array): Uint8Array => {
      hash.update(piece);
      return piece;
    };
    const layer = ids.length * this.#runner.positionBytes;
    yield hashed(sealHead(SEAL, this.#header(ids, mix, layer)));
    const room = new ArrayBuffer(layer);
    for (let i = 0; i < this.#runner.layers; i++) {
      const saved = this.#runner.saveCache(slot, i, ids.length, room);
      yield saved instanceof Promise ? saved.then(hashed) : hashed(saved);
    }
    yield hash.digest();
  }

  /**
   * Puts a snapshot that comes in pieces straight into a slot, and gives its tokens. Not while a batch is being run. Whatever it throws, the slot's cache holds nothing then that may be believed.
   *
   * @param adapters that it has to be of: AdapterMix.sharedKey.
   * @throws PronkError as load().
   */
  restorePieces(pieces: Iterable<Uint8Array>, slot: number, adapters: string): readonly number[] {
    this.check();
    const sealed = new SealedPieces(SEAL, pieces);
    const header = sealed.header();
    if (!isHeader(header)) throw bad("its header is not that of a snapshot");
    this.#refuse(header);
    if (this.#keyOf(header.adapters) !== adapters) {
      throw new PronkError("bad_request", "snapshot: made with other adapters");
    }
    const { ids, layer } = header;
    const room = new Uint8Array(layer);
    for (let i = 0; i < this.#runner.layers; i++) {
      sealed.readInto(room);
      this.#runner.loadCache(slot, i, ids.length, room);
    }
    sealed.end();
    return ids;
  }

  /**
   * Keeps it for prompts that begin with its tokens; the same bytes again change nothing. One of this model that another
   * backend made is not kept: its text is told.
   *
   * @throws PronkError "bad_format", "unsupported", "corrupt" on bytes that are none, of another version or changed;
   *   "bad_request" when they are of another model, cache type or adapters; "out_of_memory" beyond the bound.
   */
  async load(bytes: Uint8Array): Promise<SnapshotInfo | ForeignSnapshot> {
    this.check();
    const held = [...this.#held.values()].reduce((sum, one) => sum + one.bytes, 0);
    if (held + bytes.length > this.#limit) {
      const found = `${bytes.length} bytes, ${held} of ${this.#limit} are taken (snapshotBytes)`;
      throw new PronkError("out_of_memory", `snapshot: ${found}`);
    }
    // Not a copy: they may be a third of an isolate's memory.
    const own = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    const { header, body, hash: id } = await openSealed(SEAL, own, this.#digest);
    if (!isHeader(header)) throw bad("its header is not that of a snapshot");
    const { ids, layer, adapters } = header;
    const { layers } = this.#runner;
    if (this.#isForeign(header)) {
      this.#refuseTokens(header);
      return { ids, adapters: this.#choicesOf(adapters) };
    }
    this.#refuse(header);
    if (body.length !== layer * layers) throw bad(`${body.length} bytes of ${layers} layers`);
    const snapshot: Snapshot = {
      ...{ id, tokens: ids.length, bytes: own.length },
      ids: Int32Array.from(ids),
      adapters: this.#keyOf(adapters),
      layers: Array.from({ length: layers }, (_, i) => body.subarray(i * layer, (i + 1) * layer)),
    };
    this.#held.set(id, snapshot);
    return { id, tokens: snapshot.tokens, bytes: snapshot.bytes };
  }

  /** @throws PronkError "not_found" */
  unload(id: string): void {
    if (this.#held.delete(id)) return;
    throw new PronkError("not_found", `snapshot: ${id} is not loaded`);
  }

  /**
   * The one with most of a prompt, all but its last token, where that is worth loading over `held` tokens.
   *
   * @param adapters AdapterMix.sharedKey: snapshots are everybody's.
   */
  find(ids: Int32Array, adapters: string, held: number): FoundSnapshot | undefined {
    let best: FoundSnapshot | undefined;
    for (const snapshot of this.#held.values()) {
      if (snapshot.adapters !== adapters) continue;
      const cached = Math.min(commonLength(snapshot.ids, ids), ids.length - 1);
      const least = held + snapshot.tokens / LOADED_PER_TOKEN;
      if (cached > least && cached > (best?.cached ?? 0)) best = { snapshot, cached };
    }
    return best;
  }

  /** Puts it into a slot. Not while a batch is being run. */
  restore({ snapshot, cached }: FoundSnapshot, slot: Slot): void {
    for (const [layer, bytes] of snapshot.layers.entries()) {
      this.#runner.loadCache(slot.index, layer, snapshot.tokens, bytes);
    }
    slot.ids.set(snapshot.ids.subarray(0, cached));
    slot.length = cached;
  }

  #header(ids: readonly number[], adapters: readonly SavedAdapter[], layer: number): Header {
    const { backend, kv } = this.#runner;
    const contents = this.#contents;
    const origin = contents === undefined ? {} : { origin: [backend, contents] as const };
    return { model: this.#model, ...origin, kv, adapters, ids, layer };
  }

  /** What is of another model, or not this one's tokens and layers. */
  #refuse(header: Header): void {
    this.#refuseOthers(header);
    this.#refuseTokens(header);
    const { ids, layer } = header;
    if (layer !== ids.length * this.#runner.positionBytes) throw bad(`layers of ${layer} bytes`);
  }

  #isForeign({ origin }: Header): boolean {
    if (origin === undefined || this.#contents === undefined) return false;
    const [backend, contents] = origin;
    return backend !== this.#runner.backend && contents === this.#contents;
  }

  #refuseTokens({ ids }: Header): void {
    const { ctx, vocab } = this.#runner;
    if (ids.length > ctx) {
      const found = `${ids.length} tokens, the context has ${ctx}`;
      throw new PronkError("bad_request", `snapshot: ${found}`);
    }
    if (ids.length === 0 || !ids.every((id) => id < vocab))
      throw bad("its tokens are not the model's");
  }

  #refuseOthers({ model, kv }: Header): void {
    if (kv !== this.#runner.kv) {
      const found = `made with a cache of ${printable(kv)}, the model was loaded with ${this.#runner.kv}`;
      throw new PronkError("bad_request", `snapshot: ${found}`);
    }
    if (model === this.#model) return;
    throw new PronkError(
      "bad_request",
      `snapshot: made by ${printable(model)}, the model is ${this.#model}`,
    );
  }

  #keyOf(adapters: readonly SavedAdapter[]): string {
    return this.#adapters.resolve(this.#choicesOf(adapters)).sharedKey;
  }

  #choicesOf(adapters: readonly SavedAdapter[]): AdapterChoice[] {
    return adapters.map(([fingerprint, scale]) => {
      const loaded = this.#adapters.list.find((one) => one.fingerprint === fingerprint);
      if (loaded !== undefined) return { name: loaded.name, scale };
      const missing = `made with the adapter ${printable(fingerprint)}, which is not loaded`;
      throw new PronkError("bad_request", `snapshot: ${missing}`);
    });
  }
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== "object" || value === null) return false;
  const { model, origin, kv, adapters, ids, layer } = value as Record<string, unknown>;
  return (
    typeof model === "string" &&
    (origin === undefined || isListOf(origin, isText)) &&
    typeof kv === "string" &&
    isListOf(adapters, isAdapter) &&
    isListOf(ids, isCount) &&
    isCount(layer)
  );
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isAdapter(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  return typeof value[0] === "string" && typeof value[1] === "number";
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

function bad(what: string): PronkError {
  return new PronkError("bad_format", `snapshot: ${what}`);
}
