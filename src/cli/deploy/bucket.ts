/** What uploading needs of object storage: S3's API and wrangler's commands each have it. */
export interface Bucket {
  /** For people: `pronk-models/smollm2, by the S3 API of http://127.0.0.1:4571`. Never a credential. */
  readonly name: string;
  /** How many objects may be on their way at a time. */
  readonly lanes: number;
  /** Whether has() and keys() ask the storage: wrangler's commands cannot, so what others delete meanwhile is not seen. */
  readonly asks: boolean;
  /** Makes the bucket where there is none. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Whether an immutable object is there, whole. */
  has(key: string, bytes: number, signal: AbortSignal): Promise<boolean>;
  /** Told which objects are there for sure, since a manifest that is current has them. */
  know?(keys: readonly string[]): void;
  /** A small object; undefined where there is none. */
  read(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Writes an object, whole or not at all.
   *
   * @param sha256 of the bytes, in hex: storage that can refuses others.
   */
  write(object: NewObject, signal: AbortSignal): Promise<void>;
  /** Immutable objects that are there: all, or those that are known of, where storage cannot be asked. */
  keys(signal: AbortSignal): Promise<readonly string[]>;
  /** One that is not there is as good. */
  remove(key: string, signal: AbortSignal): Promise<void>;
  /** Lets go of what it holds; asked again, it takes it again. */
  close?(): Promise<void>;
}

export interface NewObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly contentType: string;
  /** Immutable objects may be cached for ever; the others not at all. */
  readonly immutable: boolean;
}

/** What HTTP caches in front of the bucket may do. */
export function cacheControl({ immutable }: Pick<NewObject, "immutable">): string {
  return immutable ? "public, max-age=31536000, immutable" : "no-cache";
}
