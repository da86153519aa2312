/**
 * An engine as one request sees it: what it runs is counted, and only what its key may ask for is run.
 *
 * Every route gets its engine so; none can forget to count, or to ask whether it may.
 */
import type { AdapterInfo } from "../engine/adapter-set.ts";
import type { CallOptions, Engine, Generation } from "../engine/engine.ts";
import type { WorkBudget } from "../engine/work-budget.ts";
import type {
  AdapterChoice,
  GenerateRequest,
  GenerateResult,
  TokenPart,
} from "../generate/request.ts";
import { RequestError } from "./errors.ts";
import type { RequestRecord } from "./request-record.ts";

export interface Meter {
  /** What may be computed for this request; undefined: anything. */
  readonly work?: WorkBudget | undefined;
  readonly record: RequestRecord;
  /** How long it may be expected to wait for a slot. */
  readonly waitMs: number;
  /** Whose prefixes it shares: the key's digest; undefined: everybody's. */
  readonly cacheOwner: string | undefined;
  now(): number;
  /** Called as soon as tokens are known to be the caller's. */
  spend(tokens: number): void;
  onGeneration(end: GenerationEnd): void;
}

/** How a generation ended. */
export interface GenerationEnd {
  readonly result?: GenerateResult;
  /** undefined where no token came. */
  readonly firstTokenMs: number | undefined;
  readonly error?: unknown;
}

export function meteredEngine(engine: Engine, meter: Meter): Engine {
  const { record } = meter;
  const { models } = record.caller;
  const stream: Engine["stream"] = (request, options) => {
    checkAdapters(engine, models, request.adapters);
    return metered(engine.stream(request, within(options)), request, meter);
  };
  const within = <Options extends CallOptions>(options?: Options) => ({
    ...(options as Options),
    work: meter.work,
    caller: record.caller.name,
    maxWaitMs: meter.waitMs,
    cacheSalt: saltOf(meter.cacheOwner, options?.cacheSalt),
  });
  const manages = <Args extends unknown[], Result>(run: (...args: Args) => Result) =>
    models === undefined ? run : refuseManagement;
  const encode = (text: string): number[] => engine.tokenizer.encode(text);
  /** Counts what was read without a generation behind it; what was counted already is not again. */
  const read = (texts: readonly (readonly number[])[]): void => {
    const tokens = texts.reduce((sum, ids) => sum + record.addPrompt(ids, 0), 0);
    if (tokens > 0) meter.spend(tokens);
  };
  const own: Pick<
    Engine,
    | "stream"
    | "generate"
    | "scoreContinuations"
    | "promptLogprobs"
    | "perplexity"
    | "embed"
    | "classify"
    | "saveSnapshot"
    | "loadSnapshot"
    | "unloadSnapshot"
    | "checkRoom"
    | "loadAdapter"
    | "unloadAdapter"
    | "setAdapters"
  > = {
    stream,
    generate: (request, options) => stream(request, options).result,
    async scoreContinuations(requests, options) {
      checkAdapters(engine, models, options?.adapters);
      const scores = await engine.scoreContinuations(requests, within(options));
      read(requests.map((one) => ("prompt_ids" in one ? one.prompt_ids : encode(one.prompt))));
      read(scores.map(({ token_ids }) => token_ids));
      return scores;
    },
    async promptLogprobs(prompts, options) {
      checkAdapters(engine, models, options?.adapters);
      const logprobs = await engine.promptLogprobs(prompts, within(options));
      read(prompts);
      return logprobs;
    },
    async perplexity(ids, options) {
      checkAdapters(engine, models, options?.adapters);
      const found = await engine.perplexity(ids, within(options));
      read([ids]);
      return found;
    },
    async classify(texts, options) {
      checkAdapters(engine, models, options?.adapters);
      const outputs = await engine.classify(texts, within(options));
      read(texts);
      return outputs;
    },
    async embed(texts, options) {
      checkAdapters(engine, models, options?.adapters);
      const vectors = await engine.embed(texts, within(options));
      read(texts.map((one) => (typeof one === "string" ? encode(one) : one)));
      return vectors;
    },
    async saveSnapshot(request, options) {
      checkAdapters(engine, models, request.adapters);
      const bytes = await engine.saveSnapshot(request, within(options));
      read([request.prompt_ids]);
      return bytes;
    },
    checkRoom: (options) => engine.checkRoom?.(within(options)),
    loadSnapshot: manages(engine.loadSnapshot),
    unloadSnapshot: manages(engine.unloadSnapshot),
    loadAdapter: manages(engine.loadAdapter),
    unloadAdapter: manages(engine.unloadAdapter),
    setAdapters: manages(engine.setAdapters),
  };
  // What is not named here is the engine's own.
  const seen: Engine = Object.create(engine, Object.getOwnPropertyDescriptors(own));
  if (models !== undefined) NAMED.set(seen, models);
  return seen;
}

/** One salt of the key's and the request's own, which cannot spell another key's: digests have no colon. */
function saltOf(owner: string | undefined, own: string | undefined): string | undefined {
  return owner === undefined && own === undefined ? undefined : `${owner ?? ""}:${own ?? ""}`;
}

/** Of engines as keys see them that may ask for some names only: these. */
const NAMED = new WeakMap<Engine, readonly string[]>();

/** Whether who has this engine may be told of a model or an adapter of this name. */
export function mayBeTold(engine: Engine, name: string): boolean {
  return NAMED.get(engine)?.includes(name) ?? true;
}

/** Where an adapter came from: a path of the server's is for those who may load some. */
export function shownPath(engine: Engine, { name, path }: AdapterInfo): string {
  return NAMED.has(engine) ? name : path;
}

function metered(generation: Generation, request: GenerateRequest, meter: Meter): Generation {
  const { record } = meter;
  let count = 0;
  let firstTokenMs: number | undefined;
  const end = (result: GenerateResult | undefined, error?: unknown): void => {
    const generated = result?.ids.length ?? count;
    if (result !== undefined && firstTokenMs === undefined && generated > 0) {
      // Nobody iterated: the engine's own clock says when it came.
      firstTokenMs = result.timings.queue_ms + result.timings.prompt_ms;
    }
    if (firstTokenMs !== undefined) record.firstTokenMs ??= firstTokenMs;
    const isRead = result !== undefined || count > 0;
    const read = isRead ? record.addPrompt(request.prompt_ids, result?.timings.cached_n ?? 0) : 0;
    record.generatedTokens += generated;
    if (read + generated > 0) meter.spend(read + generated);
    meter.onGeneration({ ...(result && { result }), firstTokenMs, error });
  };
  generation.result.then(
    (result) => end(result),
    (error: unknown) => end(undefined, error),
  );
  return {
    result: generation.result,
    [Symbol.asyncIterator](): AsyncIterator<TokenPart> {
      const parts = generation[Symbol.asyncIterator]();
      return {
        async next() {
          const step = await parts.next();
          if (!step.done && count++ === 0) {
            firstTokenMs = meter.now() - record.startedMs;
            record.firstTokenMs ??= firstTokenMs;
          }
          return step;
        },
        return: async () => (await parts.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/** @throws RequestError "permission_denied" naming the model or adapter that the key may not ask for. */
function checkAdapters(
  engine: Engine,
  models: readonly string[] | undefined,
  choices: readonly AdapterChoice[] | undefined,
): void {
  if (models === undefined) return;
  const defaults = new Map(engine.adapters.map((one) => [one.name, one.default_scale]));
  const isDefault = ({ name, scale }: AdapterChoice): boolean => {
    const usual = defaults.get(name);
    return usual !== undefined && usual !== 0 && usual === scale;
  };
  const asked = (choices ?? []).filter((one) => one.scale !== 0 && !isDefault(one));
  // What the server adds to its model belongs to the model.
  const names = asked.length === 0 ? [engine.info.id] : asked.map(({ name }) => name);
  const denied = names.find((name) => !models.includes(name));
  if (denied === undefined) return;
  throw mayNotUse(denied);
}

export function mayNotUse(name: string): RequestError {
  const why = `model: this key may not use ${name}`;
  return new RequestError("permission_denied", why, { param: "model" });
}

function refuseManagement(): never {
  throw new RequestError("permission_denied", "this key may not load, unload or set adapters");
}
