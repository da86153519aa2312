/**
 * Files that are deployed with a Worker, by its Static Assets binding: a pack without any bucket.
 *
 * The binding knows neither ranges nor lengths: every read streams from the file's first byte, and a
 * size is learned, or checked, by reading to the end. Loaders read whole files, for which that is the same.
 * A file has 25 MiB at most there, shards have 16.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { checkRead } from "./check-read.ts";
import { copyBody, type Scratch } from "./copy-body.ts";
import { passingFailure, reasonOf } from "./failure.ts";
import { readAnswer } from "./http-answer.ts";
import { objectNameParts } from "./object-name.ts";
import { type Sleep, timerSleep } from "./sleep.ts";
import type { ByteSource, ReadProgress, SourceFolder } from "./source.ts";
import { LEAST_BYTES, Watchdog } from "./watchdog.ts";

/** What is used of the binding, a `Fetcher`; Cloudflare's type of a Response and the platforms' differ. */
export interface AssetsLike {
  fetch(url: string, init: { headers: Record<string, string> }): Promise<object>;
}

export interface AssetsOptions {
  /** Until the binding answers, and in which a body has to bring 4 KiB, or its end. Default 30 s. */
  readonly stallTimeoutMs?: number;
  readonly sleep?: Sleep;
}

/** The binding looks at the path alone. */
const ORIGIN = "https://assets.invalid/";

const STALL_TIMEOUT_MS = 30_000;

/** The files below a path of the assets' directory; `""` is all of it. */
export function assetsFolder(
  assets: AssetsLike,
  prefix: string,
  options: AssetsOptions = {},
): SourceFolder {
  const folder = prefix.split("/").filter((part) => part !== "");
  return {
    name: `assets:${folder.join("/")}`,
    async open(name, signal, size) {
      const parts = [...folder, ...objectNameParts(this.name, name)];
      const url = ORIGIN + parts.map(encodeURIComponent).join("/");
      const file = new AssetSource(assets, url, `assets:${parts.join("/")}`, options);
      throwIfAborted(signal);
      if (size !== undefined) return file.ofSize(size, false);
      return file.ofSize(await file.measure(signal), true);
    },
  };
}

class AssetSource {
  readonly #assets: AssetsLike;
  readonly #url: string;
  readonly #name: string;
  readonly #options: AssetsOptions;
  readonly #scratch: Scratch = { idle: undefined };
  /** `ETag …`, once an answer has said it. */
  #validator: string | undefined;

  constructor(assets: AssetsLike, url: string, name: string, options: AssetsOptions) {
    this.#assets = assets;
    this.#url = url;
    this.#name = name;
    this.#options = options;
  }

  /** Reads the file without keeping it. */
  measure(signal: AbortSignal | undefined): Promise<number> {
    return this.#copy(new Uint8Array(0), { skip: 0, drain: true, signal });
  }

  /** @param isMeasured whether the size is the file's own, not only what a caller says. */
  ofSize(size: number, isMeasured: boolean): ByteSource {
    const name = this.#name;
    let isKnown = isMeasured;
    return {
      name,
      size,
      readInto: async (destination, start, signal, onProgress) => {
        checkRead({ name, size }, destination, start, signal);
        const bytes = destination.length;
        if (bytes === 0) return void onProgress?.(0);
        const found = await this.#copy(destination, {
          skip: start,
          drain: !isKnown,
          signal,
          onProgress,
        });
        if (!isKnown && start + found !== size) {
          throw new PronkError("corrupt", `${name}: ${start + found} bytes, expected ${size}`);
        }
        isKnown = true;
        if (found < bytes) {
          throw passingFailure(`${name}: the body ended after ${found} of ${bytes} bytes`);
        }
      },
    };
  }

  async #copy(
    destination: Uint8Array,
    { skip, drain, signal, onProgress }: CopyPart,
  ): Promise<number> {
    throwIfAborted(signal);
    const { sleep = timerSleep, stallTimeoutMs = STALL_TIMEOUT_MS } = this.#options;
    const watchdog = new Watchdog(sleep, signal);
    watchdog.watch(stallTimeoutMs, "no data", LEAST_BYTES);
    let body: ReadableStream<Uint8Array> | null = null;
    try {
      const headers = { "accept-encoding": "identity" };
      const response = (await watchdog.race(
        this.#assets.fetch(this.#url, { headers }),
      )) as Response;
      ({ body } = response);
      const { validator } = readAnswer(this.#name, response);
      this.#validator ??= validator;
      if (validator !== this.#validator) {
        const found = `${this.#validator} is now ${validator}`;
        throw new PronkError(
          "source_failed",
          `${this.#name}: was changed while it was read: ${found}`,
        );
      }
      if (!body) return 0;
      const beat = (bytes: number): void => watchdog.beat(bytes);
      const { signal: stop } = watchdog;
      const scratch = this.#scratch;
      return await copyBody(body, destination, {
        scratch,
        skip,
        drain,
        onProgress,
        onChunk: beat,
        signal: stop,
      });
    } catch (error) {
      if (body && !body.locked) body.cancel().catch(() => undefined);
      throwIfAborted(signal);
      if (error instanceof PronkError) throw error;
      throw passingFailure(`${this.#name}: ${reasonOf(error)}`);
    } finally {
      watchdog.stop();
    }
  }
}

interface CopyPart {
  readonly skip: number;
  readonly drain: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress?: ReadProgress | undefined;
}
