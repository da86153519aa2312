/**
 * The engine of this page's own worker, as the page knows engines. A worker that died is started again, with the same
 * model, by the next request.
 */

import { PronkError } from "../../errors.ts";
import type { AttentionGrid } from "../../llama/attention-mask-visualizer.ts";
import type { LlmPart, LlmRequest } from "../../server/llm.ts";
import type { EngineFacts, PlaygroundEngine, TokenPiece } from "../engine.ts";
import type { OpenArgument, OpenPart } from "./tab-calls.ts";
import type { WorkerCalls } from "./worker-calls.ts";

export type OnOpening = (part: OpenPart) => void;

/**
 * Opens a model in the worker, in place of the one that is open there.
 *
 * @throws PronkError as createEngine; "aborted" when the signal fires: what was downloaded until then is kept.
 */
export async function openTabEngine(
  calls: WorkerCalls,
  argument: OpenArgument,
  onPart: OnOpening,
  signal?: AbortSignal,
): Promise<PlaygroundEngine> {
  const engine = new TabEngine(calls, argument, onPart);
  await engine.open(signal);
  return engine;
}

class TabEngine implements PlaygroundEngine {
  readonly kind = "tab";
  readonly #calls: WorkerCalls;
  readonly #argument: OpenArgument;
  readonly #onPart: OnOpening;
  #facts: Promise<EngineFacts> | undefined;

  constructor(calls: WorkerCalls, argument: OpenArgument, onPart: OnOpening) {
    this.#calls = calls;
    this.#argument = argument;
    this.#onPart = onPart;
  }

  open(signal?: AbortSignal): Promise<EngineFacts> {
    const facts = this.#calls.withParts<EngineFacts>("open", this.#argument, this.#onPart, signal);
    this.#facts = facts;
    facts.catch(() => this.#forget(facts));
    return facts;
  }

  facts(): Promise<EngineFacts> {
    return this.#facts ?? this.open();
  }

  async *chat(request: LlmRequest, signal: AbortSignal): AsyncGenerator<LlmPart> {
    const facts = this.facts();
    await facts;
    try {
      yield* this.#calls.stream<LlmPart>("chat", request, signal);
    } catch (error) {
      throw this.#failed(error, facts);
    }
  }

  tokenize(text: string): Promise<readonly TokenPiece[]> {
    return this.#ask("tokenize", text);
  }

  attentionMask(text: string): Promise<AttentionGrid> {
    return this.#ask("attentionMask", text);
  }

  async dispose(): Promise<void> {
    this.#facts = undefined;
    await this.#calls.call("close");
  }

  async #ask<Value>(method: string, argument: unknown): Promise<Value> {
    const facts = this.facts();
    await facts;
    try {
      return await this.#calls.call<Value>(method, argument);
    } catch (error) {
      throw this.#failed(error, facts);
    }
  }

  /** A kernel that trapped, or a worker that died, leaves no engine. */
  #failed(error: unknown, facts: Promise<EngineFacts>): unknown {
    const lost = ["engine_failed", "loading", "out_of_memory"];
    if (error instanceof PronkError && lost.includes(error.code)) this.#forget(facts);
    return error;
  }

  #forget(facts: Promise<EngineFacts>): void {
    if (this.#facts === facts) this.#facts = undefined;
  }
}
