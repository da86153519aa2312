/**
 * An engine as a Durable Object, in a script of its own: the script's isolate has the model, once for all its objects;
 * each object has its requests and, in its storage, the turns that it finished.
 *
 *     export class EngineObject extends createEngineObject<Env>({ kernels, pack }) {}
 */
import { MemoryPool } from "../../backends/wasm/memory-pool.ts";
import type { LocalEngine } from "../../engine/create-engine.ts";
import type { GenerateResult } from "../../generate/request.ts";
import { type EngineTurn, serveEngine } from "../../remote/serve-engine.ts";
import { type WebSocketLike, webSocketChannel } from "../../remote/web-socket-channel.ts";
import { startEngine, type WorkerOptions } from "./create-worker.ts";
import { createSharedLoad } from "./shared-load.ts";
import { type SqlLike, TurnStore } from "./turn-store.ts";

export interface EngineObjectOptions<Env> extends Omit<WorkerOptions<Env>, "app" | "cpuMs"> {
  /** Requests that wait at most, beside those that run, for all objects of the script; more get 503. Default 16. */
  readonly maxQueue?: number;
  /** Bytes of finished turns that an object keeps in its storage; 0: none. Default 1 GB, of 10. */
  readonly turnBytes?: number;
}

/** What is used of DurableObjectState. */
export interface EngineObjectState {
  readonly storage: { readonly sql: SqlLike };
}

export interface EngineObject {
  /** Takes WebSockets of front Workers; everything else is answered with 426. */
  fetch(request: Request): Promise<Response>;
  /** The isolate's engine, loaded by the first call: for what a class of one's own does with it. */
  engine(): Promise<LocalEngine>;
}

export type EngineObjectClass<Env> = new (
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a state is not ours
  state: any,
  env: Env,
) => EngineObject;

/** Some 20 seconds of short chats: who waits longer is better off with another try. */
const DEFAULT_MAX_QUEUE = 16;

/** Some 90,000 tokens of SmolLM2 with an int8 cache. */
const DEFAULT_TURN_BYTES = 1_000_000_000;

/** Tokens that computing takes longer for than reading the whole turn from storage, by a part of its length. */
const READ_PER_TOKEN = 16;

/** A turn that is shorter is computed sooner than it is looked up. */
const LEAST_TOKENS = 32;

/** Both ends of a WebSocket, as workerd makes them. */
declare class WebSocketPair {
  readonly 0: WebSocket;
  readonly 1: WebSocketLike & { accept(): void };
}

/** @example export class EngineObject extends createEngineObject<Env>({ kernels: { relaxed, plain }, pack }) {} */
export function createEngineObject<Env>(options: EngineObjectOptions<Env>): EngineObjectClass<Env> {
  const { maxQueue = DEFAULT_MAX_QUEUE, turnBytes = DEFAULT_TURN_BYTES } = options;
  // The isolate's: objects of one script can share it, and its 128 MB hold one model.
  const load = createSharedLoad<LocalEngine>(
    undefined,
    undefined,
    ({ failure }) => failure !== undefined,
  );
  const memories = new MemoryPool();
  const loaded = (env: Env, onProgress?: (fraction: number) => void): Promise<LocalEngine> =>
    load.get((told) =>
      startEngine(
        { ...options, maxQueue },
        env,
        (fraction) => {
          told(fraction);
          onProgress?.(fraction);
        },
        memories,
      ),
    );
  return class implements EngineObject {
    readonly #env: Env;
    readonly #turns: TurnStore | undefined;

    constructor(state: EngineObjectState, env: Env) {
      this.#env = env;
      if (turnBytes > 0) this.#turns = new TurnStore(state.storage.sql, turnBytes);
    }

    engine(): Promise<LocalEngine> {
      return loaded(this.#env);
    }

    async fetch(request: Request): Promise<Response> {
      if (request.headers.get("upgrade") !== "websocket") {
        return new Response("a WebSocket is expected", { status: 426 });
      }
      const { 0: theirs, 1: own } = new WebSocketPair();
      own.accept();
      const turns = this.#turns;
      void serveEngine<LocalEngine>(webSocketChannel(own), {
        engine: (onProgress) => loaded(this.#env, onProgress),
        onError: (error) => console.error(error),
        ...(turns && {
          beforeTurn: (engine, turn) => restoreTurn(engine, turns, turn),
          afterTurn: (engine, turn, result) => saveTurn(engine, turns, turn, result),
        }),
      });
      return new Response(null, { status: 101, webSocket: theirs } as ResponseInit);
    }
  };
}

/** Puts what storage has of a prompt into a slot, where that is more than the caches have. */
async function restoreTurn(
  engine: LocalEngine,
  turns: TurnStore,
  { request: { prompt_ids, output_ids = [], adapters }, cacheSalt }: EngineTurn,
): Promise<void> {
  const ids = [...prompt_ids, ...output_ids];
  const key = engine.prefixes.key(adapters, cacheSalt);
  const found = turns.find(key, ids);
  if (found === undefined) return;
  const held = engine.prefixes.held({ ids, adapters, cacheSalt });
  if (found.tokens < held + Math.max(LEAST_TOKENS, found.tokens / READ_PER_TOKEN)) return;
  try {
    await engine.prefixes.restore({ adapters, cacheSalt }, () => turns.read(found.id));
  } catch (error) {
    turns.delete(found.id);
    throw error;
  }
}

async function saveTurn(
  engine: LocalEngine,
  turns: TurnStore,
  { request: { prompt_ids, adapters }, cacheSalt }: EngineTurn,
  result: GenerateResult,
): Promise<void> {
  const ids = [...prompt_ids, ...result.ids];
  const key = engine.prefixes.key(adapters, cacheSalt);
  const kept = turns.find(key, ids)?.tokens ?? 0;
  if (engine.prefixes.held({ ids, adapters, cacheSalt }) < kept + LEAST_TOKENS) return;
  const writer = turns.begin(key, ids);
  let tokens = 0;
  try {
    tokens = await engine.prefixes.save({ ids, adapters, cacheSalt }, writer.write);
  } finally {
    writer.end(tokens);
  }
}
