/**
 * Objects behind URLs, read by range requests.
 *
 * Every answer is checked: its status, its range, and that size and ETag (else Last-Modified) are
 * those of the first one, so that a file replaced in mid-load never mixes two models. This is
 * If-Match done here: the header itself would cost browsers a preflight that buckets refuse.
 * Headers and credentials go to the URL's own origin, not where it redirects to.
 * Names in messages have no query and no user, where URLs carry credentials.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { checkRead } from "./check-read.ts";
import { copyBody, type Scratch } from "./copy-body.ts";
import { passingFailure, reasonOf } from "./failure.ts";
import { type Answer, readAnswer, type Version } from "./http-answer.ts";
import { objectNameParts } from "./object-name.ts";
import { fetchRedirected } from "./redirects.ts";
import { type Sleep, timerSleep } from "./sleep.ts";
import type { ByteSource, ReadProgress, SourceFolder } from "./source.ts";
import { LEAST_BYTES, Watchdog } from "./watchdog.ts";

export interface HttpOptions {
  readonly fetch: typeof fetch;
  /** Sent with every request to the URL's own origin, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the headers of an answer. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** In which a body has to bring 4 KiB, or its end. Default 30 s. */
  readonly stallTimeoutMs?: number;
  /** What the timeouts wait with. Default: timers. */
  readonly sleep?: Sleep;
}

export interface HttpSourceOptions extends HttpOptions {
  /**
   * Total bytes, if known: saves the request that would learn them. An object that turns out to
   * have others is "corrupt".
   */
  readonly size?: number;
  readonly signal?: AbortSignal;
}

/** Bytes of a compressed answer could not be addressed. */
const IDENTITY = "identity";

const CONNECT_TIMEOUT_MS = 10_000;
const STALL_TIMEOUT_MS = 30_000;

/**
 * A server without ranges sends everything: so much is read and dropped before the bytes that are
 * wanted. A shard's size: reading a whole shard skips nothing, going on in the middle of one works.
 */
const MAX_SKIPPED_BYTES = 16 * 1024 * 1024;

/**
 * Opens the object behind a URL, learning its size by a request for its first byte.
 *
 * @throws PronkError "bad_request" on something that is no http(s) URL; "not_found"; "source_failed"
 *   when the server refuses, does not say the size, or does not answer; "aborted".
 */
export async function httpSource(
  url: string | URL,
  options: HttpSourceOptions,
): Promise<ByteSource> {
  const target = readTarget(url, options);
  if (options.size !== undefined) {
    return new HttpSource(target, { size: options.size, validator: undefined }, options);
  }
  const { signal } = options;
  const answer = await exchange(target, [0, 1], options, signal, (answer, body) => {
    // The size is all that is wanted; a whole file may follow.
    body?.cancel().catch(() => undefined);
    return Promise.resolve(answer);
  });
  if (answer.size === undefined) {
    throw new PronkError("source_failed", `${target.name}: the server does not say its size`);
  }
  return new HttpSource(target, answer, options);
}

/** The objects below a URL; its query goes with every request. */
export function httpFolder(baseUrl: string | URL, options: HttpOptions): SourceFolder {
  const base = readTarget(baseUrl, options);
  return {
    name: base.name,
    async open(name, signal, size) {
      const parts = objectNameParts(base.name, name);
      const url = new URL(baseUrl);
      url.pathname = `${url.pathname.replace(/\/+$/, "")}/${parts.map(encodeURIComponent).join("/")}`;
      return httpSource(url, { ...options, signal, size });
    },
  };
}

interface Target {
  readonly url: string;
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

class HttpSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #target: Target;
  readonly #options: HttpOptions;
  readonly #scratch: Scratch = { idle: undefined };
  /** undefined until the first answer says it. */
  #validator: string | undefined;
  /** The size is what the caller says; no answer has agreed yet. */
  #isSizeTold: boolean;

  constructor(target: Target, version: Version, options: HttpSourceOptions) {
    this.name = target.name;
    this.size = version.size ?? 0;
    this.#validator = version.validator;
    this.#target = target;
    this.#options = options;
    this.#isSizeTold = options.size !== undefined;
  }

  async readInto(
    destination: Uint8Array,
    start: number,
    signal?: AbortSignal,
    onProgress?: ReadProgress,
  ): Promise<void> {
    checkRead(this, destination, start, signal);
    const { name } = this;
    const bytes = destination.length;
    if (bytes === 0) return void onProgress?.(0);

    let arrived = 0;
    let isPage = false;
    await exchange(
      this.#target,
      [start, start + bytes],
      this.#options,
      signal,
      async (answer, body, watchdog) => {
        const skip = this.#check(answer, start, start + bytes);
        isPage = answer.isPage;
        if (!body) throw passingFailure(`${name}: an answer without a body`);
        arrived = await copyBody(body, destination, {
          scratch: this.#scratch,
          skip,
          onProgress,
          onChunk: (bytes) => watchdog.beat(bytes),
          signal: watchdog.signal,
        });
      },
    );
    if (arrived < bytes) {
      const type = isPage ? ", of type text/html" : "";
      throw passingFailure(`${name}: the body ended after ${arrived} of ${bytes} bytes${type}`);
    }
  }

  /** @returns how many bytes of the body come before the wanted ones. */
  #check(answer: Answer, start: number, end: number): number {
    const failed = (what: string) => new PronkError("source_failed", `${this.name}: ${what}`);
    const { size, validator } = answer;
    if (size !== undefined && size !== this.size && this.#isSizeTold) {
      throw new PronkError("corrupt", `${this.name}: ${size} bytes, expected ${this.size}`);
    }
    this.#isSizeTold = false;
    if (size !== undefined && size !== this.size) {
      throw failed(`has ${size} bytes instead of ${this.size}: it was changed`);
    }
    this.#validator ??= validator;
    if (validator !== this.#validator) {
      throw failed(`was changed while it was read: ${this.#validator} is now ${validator}`);
    }
    if (answer.start > start || (answer.end ?? end) < end || answer.end === 0) {
      throw failed(`asked for bytes [${start}, ${end}), got [${answer.start}, ${answer.end})`);
    }
    const skip = start - answer.start;
    if (skip > MAX_SKIPPED_BYTES) {
      throw failed(`the server ignores ranges, and byte ${start} is too far from the start`);
    }
    return skip;
  }
}

/** One request for [start, end): `use` gets the checked answer and its body, under the timeouts. */
async function exchange<T>(
  { url, name, headers }: Target,
  [start, end]: readonly [number, number],
  options: HttpOptions,
  signal: AbortSignal | undefined,
  use: (answer: Answer, body: Body, watchdog: Watchdog) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  const watchdog = new Watchdog(options.sleep ?? timerSleep, signal);
  let body: Body = null;
  try {
    watchdog.watch(options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, "no answer");
    const range = `bytes=${start}-${end - 1}`;
    const plain = { "accept-encoding": headers["accept-encoding"] ?? IDENTITY, range };
    const { fetch } = options;
    const { response, where } = await watchdog.race(
      fetchRedirected({ url, name, plain, own: headers, fetch, signal: watchdog.signal }),
    );
    ({ body } = response);
    watchdog.watch(options.stallTimeoutMs ?? STALL_TIMEOUT_MS, "no data", LEAST_BYTES);
    return await use(readAnswer(where, response), body, watchdog);
  } catch (error) {
    // An unread body would hold its connection; one that is being read has been cancelled.
    if (body && !body.locked) body.cancel().catch(() => undefined);
    throwIfAborted(signal);
    if (error instanceof PronkError) throw error;
    throw passingFailure(`${name}: ${reasonOf(error)}`);
  } finally {
    watchdog.stop();
  }
}

type Body = ReadableStream<Uint8Array> | null;

function readTarget(url: string | URL, { headers = {} }: HttpOptions): Target {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // What was given may hold a credential, even if it is no URL.
    throw new PronkError("bad_request", "httpSource: not a URL");
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    throw new PronkError("bad_request", `httpSource: ${parsed.protocol} is not http(s)`);
  }
  const name = parsed.origin + parsed.pathname;
  const all: Record<string, string> = { "accept-encoding": IDENTITY };
  if (parsed.username || parsed.password) {
    // fetch refuses URLs with a user; this is what they mean.
    all.authorization = basicAuthorization(parsed);
    parsed.username = "";
    parsed.password = "";
  }
  for (const [key, value] of Object.entries(headers)) all[key.toLowerCase()] = value;
  return { url: parsed.href, name, headers: all };
}

function basicAuthorization({ username, password }: URL): string {
  let pair: string;
  try {
    pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new PronkError("bad_request", "httpSource: malformed user or password in the URL");
  }
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(pair)))}`;
}
