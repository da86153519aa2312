/** What the routes get of the app: the engine once it is loaded, limits, clocks and ids. */
import type { Context } from "hono";
import type { Engine } from "../engine/engine.ts";
import type { ErrorForm } from "./operation.ts";
import type { RequestRecord } from "./request-record.ts";
import type { ResponseCacheOptions } from "./response-cache.ts";
import type { ResponseStore } from "./responses/response-store.ts";

/** Bounds on one request, beside the model's own context. */
export interface Limits {
  /** Bytes of a request's body; 413 beyond. */
  readonly bodyBytes: number;
  /** Tokens of one prompt; 413 beyond. */
  readonly promptTokens: number;
  /** Tokens that one choice may ask for; 400 beyond, and the default where the model's is longer. */
  readonly maxTokens: number;
  /**
   * Milliseconds that may be computed for one request, counted as batches usually take: answers end with "length" and a
   * `resume` token, what has no part to give is 400. Default: no limit.
   */
  readonly workMs?: number;
  /**
   * Milliseconds that a request may be expected to wait for a slot, by what answers took lately; 429 beyond. Four a slot
   * may wait in any case. Default 10,000.
   */
  readonly waitMs: number;
  /** Choices of one request: n, or n times the number of prompts; 400 beyond. */
  readonly choices: number;
}

export interface Clock {
  /** Milliseconds from an arbitrary start, never running backwards. */
  now(): number;
  /** Milliseconds since 1970. */
  wall(): number;
}

/** Keeps idle streams alive through proxies that cut silent connections. */
export interface Ping {
  /** Silence after which a comment is sent, in milliseconds. */
  readonly everyMs: number;
  /** Calls `run` once after `ms`, unless the returned function was called before. */
  after(ms: number, run: () => void): () => void;
}

/** One answered request, when its answer has ended: nothing of what was asked or said. */
export interface LogEntry {
  /** Milliseconds since 1970 when it came. */
  readonly time: number;
  readonly request_id: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  /** As OpenAPI writes it; absent where there is none. */
  readonly route?: string;
  /** Of the first byte: a stream that fails later has 200, and an error. */
  readonly status: number;
  readonly ms: number;
  /** The name of the API key, where the server has some. */
  readonly key?: string;
  /** Where something was generated or scored. */
  readonly prompt_tokens?: number;
  readonly cached_tokens?: number;
  readonly generated_tokens?: number;
  readonly first_token_ms?: number;
  /** Set when the request failed, also in the middle of a stream. */
  readonly error?: unknown;
}

export interface ServerContext {
  /**
   * The engine as this request may use it, counting what it takes.
   *
   * @throws PronkError "loading" while there is no model; RequestError "load_failed".
   */
  engine(c: AppContext): Promise<Engine>;
  /**
   * The same for what will take a slot, before its prompt is encoded.
   *
   * @throws PronkError also "overloaded", where it would be refused all the same.
   */
  engineWithRoom(c: AppContext): Promise<Engine>;
  readonly limits: Limits;
  readonly allowAdapterLoading: boolean;
  readonly responses: {
    /** undefined: nothing is kept. */
    readonly store: ResponseStore | undefined;
    readonly ttlMs: number;
  };
  /** undefined: every answer is generated. */
  readonly cache: ResponseCacheOptions | undefined;
  readonly clock: Clock;
  readonly ping: Ping | undefined;
  randomId(): string;
}

/** Hono's type parameters for this app. */
export type AppEnv = {
  Variables: {
    record: RequestRecord;
    /** Set where failures are not spelled as OpenAI does. */
    errorForm: ErrorForm | undefined;
  };
};
export type AppContext = Context<AppEnv>;
