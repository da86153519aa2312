/**
 * One model for many callers: continuous batching, a fair queue, prefix reuse, cancelling.
 *
 * The same request gives the same tokens whatever runs beside it, because the runner's logits are
 * the same bits for any batch and the sampler's draws depend on seed and position alone.
 */
import { PronkError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { type EngineRuntime, Scheduler } from "./scheduler.ts";

export interface EngineOptions {
  /** Requests that wait at most, beside those that run; more are "overloaded". Default 64. */
  readonly maxQueue?: number;
  /**
   * Tokens of a prompt per batch at most: how long streams wait while a prompt is read. Default: what
   * the runner takes.
   */
  readonly prefillRows?: number;
}

/** A minute of short chats at a second each; what waits longer has usually given up. */
const DEFAULT_MAX_QUEUE = 64;

/**
 * Takes over the model: `dispose` frees it.
 *
 * @throws PronkError "bad_request" on options out of range.
 */
export function createEngine(
  model: LoadedModel,
  runtime: EngineRuntime,
  options: EngineOptions = {},
): Engine {
  const { runner, tokenizer } = model;
  const { maxQueue = DEFAULT_MAX_QUEUE, prefillRows = runner.maxRows } = options;
  checkOption("maxQueue", maxQueue, 0);
  checkOption("prefillRows", prefillRows, 1);
  const scheduler = new Scheduler(runner, tokenizer, runtime, {
    maxQueue,
    prefillRows: Math.min(prefillRows, runner.maxRows),
  });
  return {
    info: model.info,
    tokenizer,
    template: model.template,
    stream: (request, { signal } = {}) => scheduler.submit(request, signal),
    generate: (request, { signal } = {}) => scheduler.submit(request, signal).result,
    stats: () => scheduler.stats(),
    dispose: () => scheduler.dispose(),
  };
}

function checkOption(param: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new PronkError("bad_request", `${param}: ${value} is not an integer from ${least}`, {
    param,
  });
}
