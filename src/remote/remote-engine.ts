/**
 * Engines elsewhere as one engine: the same interface, over channels. Texts stay here: the tokenizer and the template
 * are this side's, and so are grammars' checks. What changes an engine for all (adapters, snapshots) is refused: it
 * would hold for one of them, until that is started anew.
 */
import type { CallOptions, Engine, EngineStats, ModelInfo } from "../engine/engine.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import { GrammarCompiler } from "../grammar/grammar-compiler.ts";
import type { ChatTemplate } from "../templates/chat-template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { Exchange } from "./exchange.ts";
import {
  type Asked,
  type CallName,
  type EngineDescription,
  fromWireError,
  type Told,
} from "./messages.ts";
import { type EnginePeer, peerForTry, rankPeers } from "./peers.ts";
import {
  lostError,
  pauseBefore,
  type RemoteSetting,
  remoteGeneration,
} from "./remote-generation.ts";
import { platformTimer, type Timer } from "./timer.ts";

/** Of a prompt without a key: requests that begin with the same tokens share a cache. A system prompt and some more. */
const OPENING_TOKENS = 48;

export interface RemoteEngineOptions {
  /** All with the same model. */
  readonly peers: readonly EnginePeer[];
  /** Those of that model; as promises they are waited for while an engine loads. */
  readonly tokenizer: Tokenizer | Promise<Tokenizer>;
  readonly template: ChatTemplate | undefined | Promise<ChatTemplate | undefined>;
  /** Monotonic milliseconds. */
  now(): number;
  randomSeed(): number;
  /** Default: by setTimeout. */
  readonly timer?: Timer;
  /** Which engine is asked what the model is: that of the first request, so that no other is started for it. */
  readonly key?: string | undefined;
  /** From 0 to 1, while the engine that is asked loads its model. */
  onProgress?(fraction: number): void;
  /** The engines have another model now: every request fails until there is a new remote engine. */
  onChange?(): void;
}

export interface RemoteEngine extends Engine {
  /** The same, but requests with one key go to one engine, whose cache knows their conversation. */
  withKey(key: string | undefined): Engine;
}

/** @throws PronkError "unavailable" where no engine answers; what loading the model throws there. */
export async function openRemoteEngine(options: RemoteEngineOptions): Promise<RemoteEngine> {
  const { peers, key = "", timer = platformTimer, onProgress } = options;
  const asked = { ask: "describe" } as const;
  const ranked = rankPeers(peers, key);
  const [{ description }, tokenizer, template] = await Promise.all([
    ask<{ description: EngineDescription }>(ranked, asked, { timer, onProgress }),
    options.tokenizer,
    options.template,
  ]);
  const { info } = description;
  if (tokenizer.vocabSize > info.vocab) {
    const found = `${info.id} has ${info.vocab} tokens, the tokenizer ${tokenizer.vocabSize}`;
    throw new PronkError("bad_request", `remote engine: ${found}`);
  }
  return remoteEngine(options, { tokenizer, template }, description, timer);
}

function remoteEngine(
  options: RemoteEngineOptions,
  { tokenizer, template }: Pick<Engine, "tokenizer" | "template">,
  { info, contextShift, adapters, snapshots, stats: first }: EngineDescription,
  timer: Timer,
): RemoteEngine {
  const { peers, now, randomSeed } = options;
  const grammars = new GrammarCompiler(tokenizer);
  /** As each engine last told it. */
  const stats = new Map<string, EngineStats>();
  const setting: RemoteSetting = {
    timer,
    now,
    fingerprint: info.fingerprint,
    changed: () => options.onChange?.(),
    learned: (peer, told) => stats.set(peer.name, told),
  };
  let calls = 0;
  const bind = (key: string | undefined): Engine => {
    /** What begins no conversation is as well off anywhere. */
    const ranked = (other: string | undefined): readonly EnginePeer[] =>
      rankPeers(peers, key ?? other ?? String(calls++));
    const call = async <Value>(
      method: CallName,
      first: unknown,
      { signal, work: _, ...rest }: CallOptions = {},
    ): Promise<Value> => {
      // Its CPU time is the other side's: there every ping gives it anew.
      const { fingerprint } = info;
      const asked: Asked = { ask: method, args: [first, rest], fingerprint };
      const { value } = await ask<{ value: Value }>(ranked(undefined), asked, {
        timer,
        setting,
        signal,
      });
      return value;
    };
    const stream: Engine["stream"] = (request, options = {}) => {
      const { signal, caller, maxWaitMs, isPart, cacheSalt } = options;
      const seeded = { ...request, seed: request.seed ?? randomSeed() };
      const opening = request.prompt_ids.slice(0, OPENING_TOKENS).join();
      // What begins alike under another salt is as well off anywhere.
      return remoteGeneration(seeded, ranked(opening + (cacheSalt ?? "")), setting, {
        signal,
        call: { caller, maxWaitMs, isPart, cacheSalt },
      });
    };
    return {
      info,
      tokenizer,
      template,
      contextShift,
      adapters,
      snapshots,
      stream,
      generate: (request, options) => stream(request, options).result,
      scoreContinuations: (requests, options) => call("scoreContinuations", requests, options),
      promptLogprobs: (prompts, options) => call("promptLogprobs", prompts, options),
      classify: (texts, options) => call("classify", texts, options),
      perplexity: (ids, options) => call("perplexity", ids, options),
      embed: (texts, options) => call("embed", texts, options),
      saveSnapshot: (request, options) => call("saveSnapshot", request, options),
      checkGrammar: (grammar) => grammars.check(grammar),
      loadAdapter: refuse,
      unloadAdapter: refuse,
      setAdapters: () => {
        throw refusal();
      },
      loadSnapshot: refuse,
      unloadSnapshot: () => {
        throw refusal();
      },
      stats: () => summed([...stats.values()], first, info),
      // The engines are others', too.
      dispose: async () => {},
    };
  };
  return { ...bind(undefined), withKey: bind };
}

interface Asking {
  readonly timer: Timer;
  readonly setting?: RemoteSetting;
  readonly signal?: AbortSignal | undefined;
  onProgress?: ((fraction: number) => void) | undefined;
}

/** Asks for what is no generation, again where the engine is lost: all of it can be asked for twice. */
async function ask<Answer extends object>(
  ranked: readonly EnginePeer[],
  asked: Asked,
  { timer, setting, signal, onProgress }: Asking,
): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    throwIfAborted(signal);
    const peer = peerForTry(ranked, tries - 1);
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const aborted = (): void => {
          exchange.close();
          reject(new PronkError("aborted", "aborted", { cause: signal?.reason }));
        };
        const exchange = new Exchange(peer, asked, timer, {
          told(message, body) {
            if ("loading" in message) onProgress?.(message.loading);
            if ("loading" in message || "pong" in message) return;
            signal?.removeEventListener("abort", aborted);
            exchange.close();
            if ("stats" in message) setting?.learned(peer, message.stats);
            if ("error" in message) {
              if (message.error.changed) setting?.changed();
              reject(fromWireError(message.error));
            } else if (!answers(asked, message)) {
              throw new PronkError("bad_format", "remote engine: an answer to something else");
            } else if ("vectors" in message) {
              resolve({ value: vectorsOf(message.vectors, body) } as unknown as Answer);
            } else if ("bytes" in message) resolve({ value: body } as unknown as Answer);
            else resolve(message as unknown as Answer);
          },
          lost: (cause) => {
            signal?.removeEventListener("abort", aborted);
            reject(new Lost(cause));
          },
        });
        signal?.addEventListener("abort", aborted, { once: true });
      });
    } catch (error) {
      const isFailure = error instanceof PronkError && error.code === "engine_failed";
      if (!(error instanceof Lost) && !isFailure) throw error;
      const cause = error instanceof Lost ? error.cause : error;
      const pause = pauseBefore(tries, cause);
      if (pause === undefined) throw lostError(ranked, cause);
      await new Promise<void>((resolve) => {
        timer(pause, resolve);
      });
    }
  }
}

function answers({ ask }: Asked, message: Told): boolean {
  if (ask === "describe") return "description" in message;
  return "value" in message || "vectors" in message || "bytes" in message;
}

class Lost extends Error {
  constructor(cause: unknown) {
    super("lost", { cause });
  }
}

function vectorsOf(
  lengths: readonly number[],
  body: Uint8Array = new Uint8Array(0),
): Float32Array[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (body.length !== 4 * total) {
    throw new PronkError("bad_format", `remote engine: ${body.length} bytes of ${total} numbers`);
  }
  const all = new Float32Array(body.slice().buffer);
  let at = 0;
  return lengths.map((length) => all.slice(at, (at += length)));
}

/** Of all engines that were heard of; before one was, as the first one described itself. */
function summed(told: readonly EngineStats[], first: EngineStats, info: ModelInfo): EngineStats {
  if (told.length === 0) return first;
  const sum = (of: (stats: EngineStats) => number): number =>
    told.reduce((total, one) => total + of(one), 0);
  return {
    slots: Math.max(
      info.slots,
      sum((one) => one.slots),
    ),
    busy: sum((one) => one.busy),
    queued: sum((one) => one.queued),
    requests: sum((one) => one.requests),
    prompt_tokens: sum((one) => one.prompt_tokens),
    cached_tokens: sum((one) => one.cached_tokens),
    generated_tokens: sum((one) => one.generated_tokens),
    draft_tokens: sum((one) => one.draft_tokens),
    accepted_draft_tokens: sum((one) => one.accepted_draft_tokens),
    adapter_bytes: sum((one) => one.adapter_bytes),
    context_shifts: sum((one) => one.context_shifts),
  };
}

function refusal(): PronkError {
  return new PronkError(
    "unsupported",
    "remote engine: adapters and snapshots are the engines' own: they are loaded where these are started",
  );
}

async function refuse(): Promise<never> {
  throw refusal();
}
