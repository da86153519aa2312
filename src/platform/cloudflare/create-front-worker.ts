/**
 * A Worker in front of engine objects: the same HTTP API as createWorker()'s, with the tokenizer and without the
 * model. Each request goes to the object that its conversation's beginning says.
 */
import type { Engine } from "../../engine/engine.ts";
import { PronkError } from "../../errors.ts";
import { loadBlob, readManifest } from "../../pack/loader.ts";
import type { Channel } from "../../remote/channel.ts";
import type { EnginePeer } from "../../remote/peers.ts";
import { openRemoteEngine, type RemoteEngine } from "../../remote/remote-engine.ts";
import { type WebSocketLike, webSocketChannel } from "../../remote/web-socket-channel.ts";
import { AFFINITY_HEADER, affinityKey } from "../../server/affinity.ts";
import { createApp } from "../../server/app.ts";
import { readJson } from "../../server/body.ts";
import { DEFAULT_LIMITS } from "../../server/limits.ts";
import type { Readiness } from "../../server/routes/health.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { createTemplateFor } from "../../templates/choose-template.ts";
import { loadTokenizer } from "../../tokenizers/load-tokenizer.ts";
import { now, randomSeed } from "../clock.ts";
import { boundPack } from "./bound-pack.ts";
import {
  defaultAppOptions,
  executionContext,
  type Worker,
  type WorkerContext,
  type WorkerOptions,
} from "./create-worker.ts";
import { createSharedLoad } from "./shared-load.ts";

/** What is used of DurableObjectNamespace. */
export interface EngineNamespace {
  idFromName(name: string): object;
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of an id is not ours
  get(id: any): {
    fetch(
      url: string,
      init: { headers: Record<string, string> },
    ): Promise<{ readonly status: number; readonly webSocket?: unknown }>;
  };
}

export interface FrontWorkerOptions<Env> extends Pick<WorkerOptions<Env>, "app"> {
  /** The engines' pack: of it the manifest and the tokenizer are read. */
  readonly pack: (env: Env) => SourceFolder;
  /**
   * Where the engine objects are: the binding of a script of them; several scripts have memory of their own for sure.
   */
  readonly engines: (env: Env) => EngineNamespace | readonly EngineNamespace[];
  /** Objects of each binding. Default 1: those of one script can share an isolate, and then its one thread. */
  readonly objects?: number | ((env: Env) => number);
}

interface Front {
  readonly remote: RemoteEngine;
  hasChanged: boolean;
}

/**
 * @example
 * export default createFrontWorker<Env>({
 *   pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
 *   engines: (env) => env.ENGINES,
 * });
 */
export function createFrontWorker<Env>(options: FrontWorkerOptions<Env>): Worker<Env> {
  const load = createSharedLoad<Front>(undefined, undefined, ({ hasChanged }) => hasChanged);
  const ready = (): Readiness => {
    const { result, progress, error } = load;
    if (result) return { status: "ready", loading: result.remote.info.loading };
    if (error !== undefined) return { status: "failed", progress, error: error as Error };
    return { status: "loading", progress };
  };
  const frontOf = (env: Env, context?: WorkerContext, key?: string): Promise<Front> => {
    const front = load.get((onProgress) => openFront(options, env, key, onProgress));
    context?.waitUntil(front.catch(() => undefined));
    return front;
  };
  let app: ReturnType<typeof createApp> | undefined;
  return {
    engine: async (env, context) => (await frontOf(env, context)).remote,
    async fetch(request, env, context) {
      const given = options.app?.(env) ?? defaultAppOptions(env);
      const keyed = await withKey(request, given.limits?.bodyBytes ?? DEFAULT_LIMITS.bodyBytes);
      const key = keyed.headers.get(AFFINITY_HEADER) ?? undefined;
      // Whoever comes first, be it for /health alone, has the engine load.
      void frontOf(env, context, key);
      app ??= createApp({
        responses: { store: false },
        ...given,
        engine: async (c) => {
          const { remote } = await frontOf(env);
          return remote.withKey(c.req.raw.headers.get(AFFINITY_HEADER) ?? undefined);
        },
        ready,
      });
      return app.fetch(keyed, {}, executionContext(context));
    },
  };
}

/** The request with its conversation's key, which all its turns have; without one where it begins none. */
async function withKey(request: Request, limitBytes: number): Promise<Request> {
  const headers = new Headers(request.headers);
  headers.delete(AFFINITY_HEADER);
  try {
    const isBody = request.method === "POST" && request.body !== null;
    const key = isBody ? await affinityKey(await readJson(request.clone(), limitBytes)) : undefined;
    if (key !== undefined) headers.set(AFFINITY_HEADER, key);
  } catch (error) {
    // The app reads it again, and says what is wrong with it.
    if (!(error instanceof PronkError)) throw error;
  }
  return new Request(request, { headers });
}

async function openFront<Env>(
  { pack, engines, objects = 1 }: FrontWorkerOptions<Env>,
  env: Env,
  key: string | undefined,
  onProgress: (fraction: number) => void,
): Promise<Front> {
  const count = typeof objects === "function" ? objects(env) : objects;
  if (!Number.isInteger(count) || count < 1) {
    const found = `${count} is not an integer from 1`;
    throw new PronkError("bad_request", `objects: ${found}`, { param: "objects" });
  }
  const texts = openTexts(boundPack(pack, env));
  const front: { remote?: RemoteEngine; hasChanged: boolean } = { hasChanged: false };
  front.remote = await openRemoteEngine({
    peers: [engines(env)].flat().flatMap((script, i) => objectsOf(script, i, count)),
    tokenizer: texts.then(({ tokenizer }) => tokenizer),
    template: texts.then(({ template }) => template),
    ...{ key, now, randomSeed, onProgress },
    onChange: () => {
      front.hasChanged = true;
    },
  });
  return front as Front;
}

/** What a pack holds beside the model. */
async function openTexts(folder: SourceFolder): Promise<Pick<Engine, "tokenizer" | "template">> {
  const manifest = await readManifest(folder);
  if (manifest.tokenizer === null) {
    throw new PronkError("unsupported", `${manifest.source.name}: it has no tokenizer`);
  }
  const tokenizer = loadTokenizer(await loadBlob(folder, manifest.tokenizer));
  return { tokenizer, template: createTemplateFor(manifest.chat_template, tokenizer) };
}

function objectsOf(script: EngineNamespace, index: number, count: number): EnginePeer[] {
  return Array.from({ length: count }, (_, n) => {
    const name = `engine-${index}-${n}`;
    return { name, connect: () => connectTo(script, name) };
  });
}

/** A stub is made for each: one that has failed stays so. */
async function connectTo(script: EngineNamespace, name: string): Promise<Channel> {
  // Only the class is asked: the host is none.
  const { status, webSocket } = await script
    .get(script.idFromName(name))
    .fetch("https://engine/", { headers: { upgrade: "websocket" } });
  if (!webSocket) {
    throw new PronkError("unavailable", `${name}: answered ${status}, expected a WebSocket`);
  }
  const socket = webSocket as WebSocketLike & { accept(): void };
  const channel = webSocketChannel(socket);
  socket.accept();
  return channel;
}
