/**
 * The HTTP API as a Hono app, the same on Node, Deno, Bun, workerd and in browsers: nothing here
 * belongs to a runtime, and clocks, ids and timers can be given.
 *
 * @example Deno.serve(createApp({ engine }).fetch);
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { Accounts } from "./accounts.ts";
import { type AuthOptions, createAuthenticate } from "./auth.ts";
import type {
  AppContext,
  AppEnv,
  Clock,
  Limits,
  LogEntry,
  Ping,
  ServerContext,
} from "./context.ts";
import { type CorsOptions, cors } from "./cors.ts";
import { DIALECTS, type Dialect, dialectRoutes } from "./dialects.ts";
import { RequestError, toErrorReply } from "./errors.ts";
import { onlyHosts } from "./hosts.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { ServerMetrics } from "./metrics.ts";
import { OLLAMA_ERRORS } from "./ollama/routes.ts";
import type { Route } from "./operation.ts";
import type { PlaygroundFiles } from "./playground/files.ts";
import type { Quota, QuotaStore } from "./quota.ts";
import { requestId, traceParent } from "./request-id.ts";
import { RequestRecord } from "./request-record.ts";
import type { ResponseCacheOptions } from "./response-cache.ts";
import { memoryResponseStore } from "./responses/memory-response-store.ts";
import type { ResponsesOptions } from "./responses/response-store.ts";
import { chatRoute } from "./routes/chat.ts";
import { completionsRoute } from "./routes/completions.ts";
import { embeddingsRoute } from "./routes/embeddings.ts";
import { evaluationRoutes } from "./routes/evaluation.ts";
import { healthRoute, type Readiness } from "./routes/health.ts";
import { loraRoutes } from "./routes/lora.ts";
import { metricsRoute } from "./routes/metrics.ts";
import { modelRoutes } from "./routes/models.ts";
import { openApiRoutes } from "./routes/openapi.ts";
import { playgroundRoutes } from "./routes/playground.ts";
import { rerankRoute } from "./routes/rerank.ts";
import { responseRoutes } from "./routes/responses.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { addRoutes, isEmbeddedElsewhere, tolerantPath, unknownUrl } from "./routing.ts";
import { totalTiming } from "./usage.ts";

export { type ApiKey, type AuthOptions, parseApiKeys } from "./auth.ts";
export { saveChatSnapshot } from "./chat-snapshot.ts";
export type { Clock, Limits, LogEntry, Ping } from "./context.ts";
export type { CorsOptions } from "./cors.ts";
export type { Dialect } from "./dialects.ts";
export { createFront, type FrontOptions } from "./front/front.ts";
export {
  createLlm,
  type Llm,
  type LlmAnswer,
  type LlmEmbedOptions,
  type LlmInfo,
  type LlmOptions,
  type LlmPart,
  type LlmRequest,
} from "./llm.ts";
export { jsonLogLine, textLogLine } from "./log-line.ts";
export { createMemoryQuotaStore } from "./memory-quota-store.ts";
export type { PlaygroundFiles } from "./playground/files.ts";
export type { Admission, Quota, QuotaStore, Standing } from "./quota.ts";
export {
  memoryResponseCache,
  type ResponseCacheOptions,
  type ResponseCacheStore,
} from "./response-cache.ts";
export { type MemoryStoreOptions, memoryResponseStore } from "./responses/memory-response-store.ts";
export type { ResponseStore, ResponsesOptions } from "./responses/response-store.ts";
export type { Readiness } from "./routes/health.ts";

export interface AppOptions {
  /**
   * The engine, or how to get it: called for every request, so that it should keep what it made.
   * undefined means "not yet", and is answered with 503; a promise is waited for. On Workers `c.env` has
   * the bindings: `(c) => worker.engine(c.env, c.executionCtx)`.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the app that this one is embedded in says what c.env is
  readonly engine: Engine | ((c: Context<any>) => Promise<Engine> | Engine | undefined);
  /** For /health, and for the answer while there is no engine. */
  readonly ready?: () => Readiness;
  /** Absent: open to everybody. */
  readonly auth?: AuthOptions;
  /**
   * Whether a prompt of one key goes on from another's. It is sooner answered, and tells that somebody's prompt began alike:
   * for keys of one tenant. Default false.
   */
  readonly sharePrefixCache?: boolean;
  /** Merged over the defaults: 1 MiB of body, 128 choices, tokens as the context allows. */
  readonly limits?: Partial<Limits>;
  /**
   * Whether POST /v1/load_lora_adapter and /v1/unload_lora_adapter work: who may use them names paths
   * and URLs that this server reads. Default false.
   */
  readonly allowAdapterLoading?: boolean;
  /** Where answers that a second run would repeat are kept: greedy ones, and those by a seed. Default: nowhere. */
  readonly cache?: ResponseCacheOptions;
  /** Where /v1/responses keeps its answers, and how long. Default: in memory. */
  readonly responses?: ResponsesOptions;
  /** Default: every origin. false: no CORS headers. */
  readonly cors?: CorsOptions | false;
  /**
   * Names and addresses, without ports, that requests may be for beside `localhost` and 127.0.0.1; others are 403. For
   * servers that listen on this machine alone, without keys: a foreign page may have its name point here. Default: any.
   */
  readonly hosts?: readonly string[];
  /** Default: performance.now and Date.now. */
  readonly clock?: Clock;
  /** Unique, of letters and digits. Default: crypto.randomUUID without its dashes. */
  readonly randomId?: () => string;
  /** Comments in silent streams. Default: every 15 seconds by setTimeout. false: none. */
  readonly ping?: Ping | false;
  /** Called when an answer has ended; jsonLogLine() and textLogLine() make lines of it. */
  readonly log?: (entry: LogEntry) => void;
  /** What each key may take, where it does not say itself; without keys, all together. Default: anything. */
  readonly quota?: Quota;
  /** Where it is counted. Default: in this process, or this isolate. */
  readonly quotaStore?: QuotaStore;
  /** Who may read GET /metrics: with a key as any route, everybody, or nobody. Default "key". */
  readonly metrics?: "key" | "public" | "off";
  /** APIs of other families, beside OpenAI's: Ollama's /api routes, Anthropic's /v1/messages. Default: all. */
  readonly dialects?: readonly Dialect[];
  /** The page at `/`: `playgroundFiles()` of the runtime's entry. Default: none. */
  readonly playground?: PlaygroundFiles;
}

/** Proxies cut silent connections after 30 seconds or more. */
const PING_MS = 15_000;

/** OpenAI's. */
const RESPONSE_TTL_SECONDS = 30 * 24 * 3600;

/** @throws PronkError "bad_request" when `auth` holds no usable key. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const authenticate = createAuthenticate(options.auth);
  const clock = options.clock ?? { now: () => performance.now(), wall: () => Date.now() };
  const metrics = new ServerMetrics();
  const accounts = new Accounts(options, metrics, clock);
  const { store, ttlSeconds = RESPONSE_TTL_SECONDS } = options.responses ?? {};
  const server: ServerContext = {
    engine: async (c) => accounts.engineFor(c, await resolveEngine(options, c)),
    engineWithRoom: async (c) => {
      const engine = await server.engine(c);
      // An answer that is kept takes no slot.
      if (options.cache === undefined) engine.checkRoom?.();
      return engine;
    },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    allowAdapterLoading: options.allowAdapterLoading ?? false,
    cache: options.cache,
    responses: {
      store: store === false ? undefined : (store ?? memoryResponseStore({ now: clock.wall })),
      ttlMs: ttlSeconds * 1000,
    },
    clock,
    ping: options.ping === false ? undefined : (options.ping ?? timerPing()),
    randomId: options.randomId ?? (() => crypto.randomUUID().replaceAll("-", "")),
  };

  const app = new Hono<AppEnv>({ getPath: tolerantPath });
  const observe: MiddlewareHandler<AppEnv> = async (c, next) => {
    const record = new RequestRecord(
      requestId(c.req.raw.headers, server.randomId),
      clock.now(),
      clock.wall(),
    );
    c.set("record", record);
    c.header("x-request-id", record.id);
    // Answers repeat what was asked; none of them is to be taken for a page or a script.
    c.header("x-content-type-options", "nosniff");
    const trace = traceParent(c.req.raw.headers);
    if (trace !== undefined) c.header("traceparent", trace);
    accounts.begin();
    await next();
    const ms = clock.now() - record.startedMs;
    c.header("openai-processing-ms", String(Math.round(ms)));
    c.header("server-timing", totalTiming(ms, record.firstTokenMs), { append: true });
    accounts.answered(c);
  };
  const answerError = (error: Error, c: AppContext): Response => {
    if (error instanceof HTTPException && error.res !== undefined) return error.res;
    const reply = toErrorReply(error);
    const body = c.get("errorForm")?.spell(reply, c) ?? reply.body;
    return c.json(body as object, reply.status as ContentfulStatusCode, reply.headers);
  };
  app.onError(answerError);
  const isKeyed = options.auth !== undefined;
  const mayKnow = async (c: AppContext): Promise<boolean> =>
    authenticate(c.req.raw.headers).then(
      ({ models }) => models === undefined,
      () => false,
    );
  const { dialects = DIALECTS } = options;
  const page = options.playground && playgroundRoutes(options.playground);
  const routes = [
    chatRoute(server),
    completionsRoute(server),
    ...responseRoutes(server),
    embeddingsRoute(server),
    rerankRoute(server),
    ...evaluationRoutes(server),
    ...tokenRoutes(server),
    ...modelRoutes(server),
    ...loraRoutes(server),
    healthRoute((c) => resolveEngine(options, c), options.ready, mayKnow),
    ...metricsRoutes(options, metrics),
    ...dialectRoutes(server, dialects),
    ...(page?.routes ?? []),
  ];
  const described = [...routes, ...openApiRoutes(routes, isKeyed)];
  const paths = new Set(described.map(({ path }) => path));
  const allow = cors(options.cors ?? { origins: "*" });
  const named = onlyHosts(options.hosts);
  for (const middleware of [observe, named, allow]) {
    app.use((c, next) => (isEmbeddedElsewhere(c, paths) ? next() : middleware(c, next)));
  }
  if (dialects.includes("ollama")) {
    // Also for what is not there, such as /api/pull.
    app.use("/api/*", async (c, next) => {
      c.set("errorForm", OLLAMA_ERRORS);
      await next();
    });
  }
  addRoutes(app, described, authenticate, (c) => accounts.admit(c), page?.home);
  // Of this app alone: below another's root, what is not here is that one's to answer.
  app.notFound(async (c) => {
    const fail = async (): Promise<void> => {
      c.error = unknownUrl(c);
      c.res = answerError(c.error, c);
    };
    await observe(c, async () => {
      try {
        await named(c, async () => {
          const answer = await allow(c, fail);
          if (answer) c.res = answer;
        });
      } catch (error) {
        c.error = error as Error;
        c.res = answerError(c.error, c);
      }
    });
    return c.res;
  });
  return app;
}

function metricsRoutes(options: AppOptions, metrics: ServerMetrics): Route[] {
  const { metrics: access = "key", ready } = options;
  if (access === "off") return [];
  const loaded = async (c: AppContext): Promise<Engine | undefined> => {
    if (ready !== undefined && ready().status !== "ready") return undefined;
    return resolveEngine(options, c).catch(() => undefined);
  };
  return [metricsRoute(metrics, loaded, access === "public")];
}

async function resolveEngine({ engine, ready }: AppOptions, c: AppContext): Promise<Engine> {
  if (typeof engine !== "function") return engine;
  try {
    const loaded = await engine(c);
    if (loaded !== undefined) return loaded;
  } catch (error) {
    throw loadFailure(error);
  }
  const state = ready?.();
  if (state?.status === "stopping") {
    throw new RequestError("server_stopping", "the server is stopping");
  }
  if (state?.status === "failed") throw loadFailure(state.error);
  const progress = state?.progress;
  const percent = progress === undefined ? "" : `: ${Math.floor(progress * 100)} %`;
  throw new PronkError("loading", `the model is loading${percent}`);
}

/** Storage may answer again, and queues empty; anything else that stops a load stays. */
function loadFailure(cause: unknown): PronkError {
  if (!(cause instanceof PronkError)) {
    return new RequestError("load_failed", "the model could not be loaded", { cause });
  }
  if (["loading", "source_failed", "overloaded", "unavailable"].includes(cause.code)) return cause;
  return new RequestError("load_failed", `the model could not be loaded: ${cause.message}`, {
    cause,
  });
}

function timerPing(): Ping {
  return {
    everyMs: PING_MS,
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
}
