/**
 * One model for many callers: continuous batching, a fair queue, prefix reuse, cancelling.
 *
 * The same request gives the same tokens whatever runs beside it, because the runner's logits are
 * the same bits for any batch and the sampler's draws depend on seed and position alone.
 */
import { PronkError } from "../errors.ts";
import { MAX_TOP_LOGPROBS } from "../generate/logprobs.ts";
import { perplexity } from "../generate/perplexity.ts";
import { BatchCost } from "./batch-cost.ts";
import { classifyTexts, requireHead, requireLanguageModel } from "./classify.ts";
import { DraftModel } from "./draft-model.ts";
import { checkEmbedding, checkTexts, embedTexts, turnLength } from "./embed.ts";
import type { Engine } from "./engine.ts";
import type { OpenAdapter } from "./load-adapters.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { type PrefixStorage, prefixStorage } from "./prefix-storage.ts";
import { readPromptLogprobs } from "./prompt-logprobs.ts";
import { checkSnapshotIds, loadSnapshot, saveSnapshot } from "./save-snapshot.ts";
import { Scheduler } from "./scheduler.ts";
import type { EngineRuntime, Grammars } from "./scheduler-options.ts";
import { checkIds, encodeContinuation, scoreRows } from "./score-continuations.ts";
import { DEFAULT_SNAPSHOT_BYTES } from "./snapshots.ts";
import { type Speculate, type Speculation, Speculator } from "./speculator.ts";

export interface EngineOptions {
  /** Requests that wait at most, beside those that run; more are "overloaded". Default 64. */
  readonly maxQueue?: number;
  /**
   * Tokens of a prompt per batch at most: how long streams wait while a prompt is read. Default: what
   * the runner takes.
   */
  readonly prefillRows?: number;
  /**
   * Runs tokens that are likely to come ahead, in one batch with the one that is known, and keeps
   * those that do come: the same output, sooner where text repeats. Takes the rows of logits that the
   * model was loaded with beyond one a slot. Default "lookup".
   */
  readonly speculate?: Speculate;
  /**
   * When the context is full, keep its start (`n_keep`), drop the older half of the rest, read what
   * is left again and go on, as far as max_tokens asks. Default false: the output ends there.
   */
  readonly contextShift?: boolean;
  /**
   * What a batch of one row counts for in `max_time_ms` where clocks stand still, as in Workers: milliseconds.
   * Default 10.
   */
  readonly stepMs?: number;
  /** Bytes of all snapshots that are loaded, at most; beside the model's memory. Default 64 MiB. */
  readonly snapshotBytes?: number;
  /**
   * What a text stands for as an adapter's source: a path, a name of the hub. The entries give one;
   * without it loadAdapter() takes folders only.
   */
  readonly openAdapter?: OpenAdapter;
}

/** An engine in this process: its caches can be kept in storage beside it. */
export interface LocalEngine extends Engine {
  readonly prefixes: PrefixStorage;
  readonly failure: PronkError | undefined;
}

/** Tokens of a window of perplexity: that of `pronk eval`. */
const DEFAULT_WINDOW = 512;

/** A minute of short chats at a second each; what waits longer has usually given up. */
const DEFAULT_MAX_QUEUE = 64;

/** Of SmolLM2-135M on a Worker's CPU. */
const DEFAULT_STEP_MS = 10;

/**
 * Takes over the model: `dispose` frees it.
 *
 * @param grammars of its tokenizer: entries differ in when their code is loaded
 * @throws PronkError "bad_request" on options out of range.
 */
export function assembleEngine(
  model: LoadedModel,
  runtime: EngineRuntime,
  grammars: Grammars,
  options: EngineOptions = {},
): LocalEngine {
  const { runner, tokenizer } = model;
  const { maxQueue = DEFAULT_MAX_QUEUE, prefillRows = runner.maxRows } = options;
  const {
    speculate = "lookup",
    contextShift = false,
    snapshotBytes = DEFAULT_SNAPSHOT_BYTES,
    stepMs = DEFAULT_STEP_MS,
    openAdapter: openName = noAdapters,
  } = options;
  checkOption("maxQueue", maxQueue, 0);
  checkOption("prefillRows", prefillRows, 1);
  checkOption("snapshotBytes", snapshotBytes, 0);
  checkOption("stepMs", stepMs, 0);
  if (typeof contextShift !== "boolean") {
    throw new PronkError("bad_request", `contextShift: ${contextShift} is not true or false`, {
      param: "contextShift",
    });
  }
  const scheduler = new Scheduler(runner, tokenizer, runtime, {
    maxQueue,
    prefillRows: Math.min(prefillRows, runner.maxRows),
    contextShift,
    fingerprint: model.info.fingerprint,
    contents: model.contents,
    snapshotBytes,
    requireGenerating: () => requireLanguageModel(model.info),
    stepMs,
    grammars,
    speculation: createSpeculation(model, runtime, speculate),
  });
  /** Between the turns others get the slots. */
  const inTurns = async (
    texts: readonly (readonly number[])[],
    run: (some: readonly (readonly number[])[], isPart: boolean) => Promise<Float32Array[]>,
  ): Promise<Float32Array[]> => {
    const results: Float32Array[] = [];
    while (results.length < texts.length) {
      if (results.length > 0) await runtime.yieldTask();
      const end = results.length + turnLength(texts, results.length);
      results.push(...(await run(texts.slice(results.length, end), results.length > 0)));
    }
    return results;
  };
  return {
    info: model.info,
    tokenizer,
    contextShift,
    template: model.template,
    stream: (request, call) => scheduler.submit(request, call),
    generate: (request, call) => scheduler.submit(request, call).result,
    scoreContinuations: async (requests, { adapters, ...call } = {}) => {
      const { signal } = call;
      requireLanguageModel(model.info);
      const rows = requests.map((request, index) =>
        encodeContinuation(tokenizer, request, `request ${index}`),
      );
      return scheduler.lend((loan) => scoreRows(loan, rows, signal), call, adapters);
    },
    promptLogprobs: async (prompts, { top_logprobs: top = 0, adapters, ...call } = {}) => {
      const { signal } = call;
      requireLanguageModel(model.info);
      checkOption("top_logprobs", top, 0, MAX_TOP_LOGPROBS);
      return scheduler.lend(
        (loan) => readPromptLogprobs(loan, prompts, top, signal),
        call,
        adapters,
      );
    },
    perplexity: async (ids, { window, adapters, ...call } = {}) => {
      const { signal } = call;
      requireLanguageModel(model.info);
      checkIds(ids, runner, "ids");
      const ctx = window ?? Math.min(DEFAULT_WINDOW, runner.ctx);
      const options = { ctx, ...(signal && { signal }) };
      return scheduler.lend((loan) => perplexity(loan, ids, options), call, adapters);
    },
    embed: async (
      texts,
      { signal, work, caller, maxWaitMs, isPart, cacheSalt, adapters, ...options } = {},
    ) => {
      const ids = texts.map((text) => (typeof text === "string" ? tokenizer.encode(text) : text));
      checkEmbedding(ids, options, runner);
      return inTurns(ids, (some, goesOn) =>
        scheduler.lend(
          (loan) => embedTexts(loan, some, options, signal),
          { signal, work, caller, maxWaitMs, cacheSalt, isPart: isPart || goesOn },
          adapters,
          some.length,
        ),
      );
    },
    classify: async (texts, { adapters, ...call } = {}) => {
      const { signal, isPart } = call;
      requireHead(model.info);
      checkTexts(texts, runner);
      return inTurns(texts, (some, goesOn) =>
        scheduler.lend(
          (loan) => classifyTexts(loan, some, signal),
          { ...call, isPart: isPart || goesOn },
          adapters,
        ),
      );
    },
    get adapters() {
      return scheduler.adapters.list;
    },
    async loadAdapter(name, source, { scale = 1, replace = false, signal } = {}) {
      if (name === model.info.id) {
        throw new PronkError(
          "bad_request",
          `adapters: ${JSON.stringify(name)} is the model's name`,
          {
            param: "name",
          },
        );
      }
      return scheduler.adapters.load(name, { scale, replace, signal }, async () => {
        // Loaded only here, with the formats that adapters come in.
        const { openAdapter } = await import("./load-adapters.ts");
        return openAdapter(source, openName, signal);
      });
    },
    unloadAdapter: (name) => scheduler.adapters.unload(name),
    setAdapters: (choices) => scheduler.adapters.setDefault(choices),
    saveSnapshot: async ({ prompt_ids, adapters }, call = {}) => {
      checkSnapshotIds(prompt_ids, runner.vocab, runner.ctx);
      const { snapshots } = scheduler;
      return scheduler.lend(
        (loan) => saveSnapshot(loan, snapshots, prompt_ids, call.signal),
        call,
        adapters,
      );
    },
    loadSnapshot: (bytes) => loadSnapshot(scheduler, bytes),
    unloadSnapshot: (id) => scheduler.snapshots.unload(id),
    get snapshots() {
      return scheduler.snapshots.list;
    },
    prefixes: prefixStorage(scheduler, runtime, model.info.fingerprint),
    checkGrammar: (grammar) => scheduler.grammars.check(grammar),
    get failure() {
      return scheduler.failure;
    },
    checkRoom: (call = {}) => scheduler.checkRoom(call),
    stats: () => scheduler.stats(),
    dispose: () => scheduler.dispose(),
  };
}

async function noAdapters(name: string): Promise<never> {
  throw new PronkError("not_found", `adapters: ${name}: no names can be looked up here`);
}

function createSpeculation(
  model: LoadedModel,
  runtime: EngineRuntime,
  speculate: Speculate,
): Speculation | undefined {
  if (speculate === "off" || model.info.labels !== undefined) return undefined;
  // Rows that run ahead would change what the row before them gives.
  if (model.runner.isCutDependent) return undefined;
  // The only row of logits is the known token's.
  if (speculate === "lookup" && model.runner.maxLogits === 1) return undefined;
  const draft =
    speculate === "lookup"
      ? undefined
      : new DraftModel(speculate.draft, model, () => runtime.now());
  const cost = new BatchCost();
  const speculator = new Speculator(model.runner, cost, draft);
  return { speculator, cost, dispose: () => draft?.dispose() };
}

function checkOption(
  param: string,
  value: number,
  least: number,
  most: number = Number.POSITIVE_INFINITY,
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = Number.isFinite(most) ? `${least} to ${most}` : `${least}`;
  throw new PronkError("bad_request", `${param}: ${value} is not an integer from ${range}`, {
    param,
  });
}
