/**
 * The models of this browser: those beside the page, and those that are kept here, whole or in part.
 *
 * A kept model is a record (its manifest and where it came from) and its objects, which models share. Records are made
 * before the first object is fetched, so that what no record names belongs to nobody and is removed.
 */
import { PronkError } from "../../errors.ts";
import { loadBlob, loadWeights, readManifest } from "../../pack/loader.ts";
import { MANIFEST_NAME, type Manifest, type PackedObject } from "../../pack/manifest.ts";
import { parseManifest } from "../../pack/manifest-check.ts";
import { objectName } from "../../pack/shards.ts";
import type { SiteModel } from "../../pack/site-models.ts";
import { memorySource } from "../../sources/memory.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { Locks, StoredFiles } from "./stored-files.ts";
import type { StoredObjects } from "./stored-objects.ts";
import { TransferMeter, type TransferProgress } from "./transfer-progress.ts";

/** A model, for a list. */
export interface ModelEntry {
  /** Names it in calls: the checksum of its manifest. */
  readonly key: string;
  readonly id: string;
  /** Of weights and tokenizer. */
  readonly bytes: number;
  /** Of those that are kept here. */
  readonly storedBytes: number;
  readonly license: string | null;
  /** Beside the page, where it can be fetched from; else a file that was kept. */
  readonly isOnSite: boolean;
}

/** What is used of `navigator.storage`. */
export interface StorageRoom {
  estimate(): Promise<{ usage?: number; quota?: number }>;
}

export interface LibraryParts {
  /** undefined: this browser keeps nothing; every load fetches all of it. */
  readonly kept?:
    | { readonly objects: StoredObjects; readonly records: StoredFiles; readonly locks: Locks }
    | undefined;
  /** The folder of a model beside the page. */
  readonly remote: (model: SiteModel) => SourceFolder;
  readonly room: StorageRoom;
  readonly now: () => number;
}

interface KeptModel {
  readonly manifest: Manifest;
  /** As it was written, so that its checksum holds. */
  readonly json: string;
}

/** Who changes records does so alone. */
const LIBRARY_LOCK = "pronk/library";

const RECORD = /^([0-9a-f]{64})\.json$/;

export class ModelLibrary {
  readonly #parts: LibraryParts;
  #site: readonly SiteModel[] = [];

  constructor(parts: LibraryParts) {
    this.#parts = parts;
  }

  get keepsModels(): boolean {
    return this.#parts.kept !== undefined;
  }

  setSite(models: readonly SiteModel[]): void {
    this.#site = models;
  }

  /** Those beside the page first, in their order. */
  async list(): Promise<ModelEntry[]> {
    const sizes = (await this.#parts.kept?.objects.sizes()) ?? new Map<string, number>();
    const kept = await this.#keptModels();
    const here = (manifest: Manifest | undefined): number =>
      manifest === undefined
        ? 0
        : objectsOf(manifest).reduce(
            (sum, object) => sum + Math.min(object.bytes, sizes.get(objectName(object)) ?? 0),
            0,
          );
    const onSite = this.#site.map(({ id, bytes, checksum: key, license }) => {
      const storedBytes = here(kept.get(key)?.manifest);
      return { key, id, bytes, storedBytes, license, isOnSite: true };
    });
    const isListed = (key: string): boolean => onSite.some((model) => model.key === key);
    const others = [...kept]
      .filter(([key]) => !isListed(key))
      .map(([key, { manifest }]) => {
        const { name: id, license } = manifest;
        const storedBytes = here(manifest);
        return { key, id, bytes: bytesOf(manifest), storedBytes, license, isOnSite: false };
      });
    return [...onSite, ...others];
  }

  /** Bytes of all that is kept here. */
  async storedBytes(): Promise<number> {
    const sizes = (await this.#parts.kept?.objects.sizes()) ?? new Map<string, number>();
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Fetches what is not here yet of a model, object by object, each verified. Cancelled, it goes on from there when it
   * is called again, by this tab or another.
   *
   * @throws PronkError "not_found"; "source_failed", also where the browser has too little room; "corrupt"; "aborted".
   */
  async download(
    key: string,
    onProgress: (progress: TransferProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { kept, now } = this.#parts;
    if (kept === undefined) return;
    const manifest = await this.#manifest(key, signal);
    const objects = objectsOf(manifest);
    const total = bytesOf(manifest);
    let here = await kept.objects.bytesOf(objects);
    if (here === total) return onProgress({ loaded: total, total });
    await this.#requireRoom(manifest.name, total - here);
    const meter = new TransferMeter(now);
    const fetched = (bytes: number): void => {
      meter.add(bytes);
      here += bytes;
    };
    onProgress(meter.at(here, total));
    const folder = kept.objects.inFrontOf(this.#folder(key), fetched);
    const report = (): void => onProgress(meter.at(Math.min(here, total), total));
    // The weights go nowhere: what is wanted of reading them is that they are kept, and right.
    const nowhere = { write: () => {} };
    await loadWeights(folder, manifest, nowhere, { signal, onProgress: report });
    if (manifest.tokenizer !== null) await loadBlob(folder, manifest.tokenizer, { signal });
    onProgress(meter.at(total, total));
  }

  /** A model as a pack: what is kept of it from here, what is missing or damaged from beside the page. */
  open(key: string): SourceFolder {
    const folder = this.#folder(key);
    return this.#parts.kept?.objects.inFrontOf(folder) ?? folder;
  }

  /**
   * Keeps a pack that is made here.
   *
   * @param make writes it where it is told
   * @returns its key
   */
  async keep(
    name: string,
    bytes: number,
    make: (target: ReturnType<StoredObjects["target"]>) => Promise<Manifest>,
  ): Promise<string> {
    const { kept } = this.#parts;
    if (kept === undefined) {
      throw new PronkError("unsupported", `${name}: this browser keeps no files for this page`);
    }
    await this.#requireRoom(name, bytes);
    // Alone: whoever removes a model meanwhile would take these objects for nobody's.
    return kept.locks.request(LIBRARY_LOCK, {}, async () => {
      let json = "";
      const target = kept.objects.target(name, async (text) => {
        json = text;
      });
      const { checksum = "" } = await make(target);
      await this.#write(checksum, json);
      return checksum;
    });
  }

  /** Forgets a model, and every object that no other one has. */
  async remove(key: string): Promise<void> {
    const { kept } = this.#parts;
    if (kept === undefined) return;
    await kept.locks.request(LIBRARY_LOCK, {}, async () => {
      await kept.records.remove(`${key}.json`);
      const names = new Set<string>();
      for (const { manifest } of (await this.#keptModels()).values()) {
        for (const object of objectsOf(manifest)) names.add(objectName(object));
      }
      const orphans = [...(await kept.objects.sizes()).keys()].filter((name) => !names.has(name));
      await kept.objects.remove(orphans);
    });
  }

  /** Of a kept model its own; else that beside the page, which is then kept. */
  async #manifest(key: string, signal: AbortSignal): Promise<Manifest> {
    const known = (await this.#keptModels()).get(key);
    if (known !== undefined) return known.manifest;
    const remote = this.#parts.remote(this.#onSite(key));
    const manifest = await readManifest(remote, signal);
    const { checksum = "" } = manifest;
    if (checksum !== key) {
      throw new PronkError("corrupt", `${remote.name}: has the checksum ${checksum}, not ${key}`);
    }
    await this.#record(key, `${JSON.stringify(manifest, null, 1)}\n`);
    return manifest;
  }

  #onSite(key: string): SiteModel {
    const model = this.#site.find(({ checksum }) => checksum === key);
    if (model !== undefined) return model;
    throw new PronkError("not_found", `models: ${key} is neither kept here nor beside the page`);
  }

  /** The model's folder, with its manifest from here where it is kept. */
  #folder(key: string): SourceFolder {
    const site = this.#site.find(({ checksum }) => checksum === key);
    const remote = site && this.#parts.remote(site);
    const name = site?.id ?? key;
    return {
      name: remote?.name ?? name,
      open: async (object, signal, size) => {
        if (object === MANIFEST_NAME) {
          const known = (await this.#keptModels()).get(key);
          if (known !== undefined) {
            return memorySource(new TextEncoder().encode(known.json), MANIFEST_NAME);
          }
        }
        if (remote !== undefined) return remote.open(object, signal, size);
        const failed = async (): Promise<never> => {
          const why = "is damaged or gone, and came from a file: open that again";
          throw new PronkError("not_found", `${object} ${why}`);
        };
        // Opened for what is kept of it: only what is missing fails.
        return { name: object, size: size ?? 0, readInto: failed };
      },
    };
  }

  async #keptModels(): Promise<ReadonlyMap<string, KeptModel>> {
    const models = new Map<string, KeptModel>();
    const records = this.#parts.kept?.records;
    if (records === undefined) return models;
    for (const name of (await records.list()).keys()) {
      const key = RECORD.exec(name)?.[1];
      if (key === undefined) continue;
      const json = await this.#parts.kept!.locks.request(`pronk/${name}`, {}, () =>
        readText(records, name),
      );
      try {
        models.set(key, { json, manifest: parseManifest(new TextEncoder().encode(json), name) });
      } catch {
        // Cut off when a tab was closed: as if it had never been written.
      }
    }
    return models;
  }

  async #record(key: string, json: string): Promise<void> {
    await this.#parts.kept?.locks.request(LIBRARY_LOCK, {}, () => this.#write(key, json));
  }

  /** Under the library's lock. */
  async #write(key: string, json: string): Promise<void> {
    const { kept } = this.#parts;
    if (kept === undefined) return;
    const name = `${key}.json`;
    const write = async (): Promise<void> => {
      const file = await kept.records.open(name);
      try {
        file.truncate(0);
        file.write(new TextEncoder().encode(json), { at: 0 });
        file.flush();
      } finally {
        file.close();
      }
    };
    await kept.locks.request(`pronk/${name}`, {}, write);
  }

  async #requireRoom(name: string, bytes: number): Promise<void> {
    const { usage = 0, quota } = await this.#parts.room.estimate();
    if (quota === undefined || usage + bytes <= quota) return;
    const left = Math.max(0, quota - usage);
    throw new PronkError(
      "source_failed",
      `storage: ${name}: ${bytes} bytes are to be kept, this browser has room for ${left}`,
    );
  }
}

function objectsOf({ shards, tokenizer }: Manifest): readonly PackedObject[] {
  return tokenizer === null ? shards : [...shards, tokenizer];
}

function bytesOf(manifest: Manifest): number {
  return objectsOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0);
}

async function readText(files: StoredFiles, name: string): Promise<string> {
  const file = await files.open(name);
  try {
    const bytes = new Uint8Array(file.getSize());
    file.read(bytes, { at: 0 });
    return new TextDecoder().decode(bytes);
  } finally {
    file.close();
  }
}
