/** An engine over the toy model, with a clock that tests move. */
import type { Runner } from "../../../src/backends/backend.ts";
import {
  createEngine,
  type EngineOptions,
  type LocalEngine,
} from "../../../src/engine/create-engine.ts";
import type { Generation, ModelInfo } from "../../../src/engine/engine.ts";
import type { LoadedModel } from "../../../src/engine/loaded-model.ts";
import type { EngineRuntime } from "../../../src/engine/scheduler-options.ts";
import type { TokenPart } from "../../../src/generate/request.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { type ToyOptions, ToyRunner } from "./toy-runner.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

export interface TestEngine<R extends Runner> {
  readonly engine: LocalEngine;
  readonly runner: R;
  readonly clock: { ms: number; yields: number };
}

export const nextTask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export type TestEngineOptions = EngineOptions & {
  readonly tokenizer?: Tokenizer;
  readonly runtime?: Partial<EngineRuntime>;
};

export function toyEngine(
  toy: ToyOptions = {},
  options: TestEngineOptions = {},
): TestEngine<ToyRunner> {
  return engineOver(new ToyRunner(toy), options);
}

export function engineOver<R extends Runner>(
  runner: R,
  options: TestEngineOptions = {},
): TestEngine<R> {
  const clock = { ms: 0, yields: 0 };
  const { tokenizer = toyTokenizer(), runtime, ...rest } = options;
  const engine = createEngine(
    { runner, tokenizer, info: toyInfo(runner) },
    {
      yieldTask: () => {
        clock.yields++;
        return nextTask();
      },
      now: () => clock.ms,
      randomSeed: () => 42,
      ...runtime,
    },
    rest,
  );
  return { engine, runner, clock };
}

/** A toy model for engines that take one, such as a draft. */
export function toyModel(toy: ToyOptions = {}, tokenizer: Tokenizer = toyTokenizer()): LoadedModel {
  const runner = new ToyRunner(toy);
  return { runner, tokenizer, info: toyInfo(runner) };
}

function toyInfo({ backend, kernel, ctx, slots, vocab, memory }: Runner): ModelInfo {
  const known = { id: "toy", created: 1_700_000_000, fingerprint: "fp_toy", threads: 1 };
  return { ...known, backend, kernel, ctx, slots, vocab, memory };
}

export async function collect(generation: Generation): Promise<TokenPart[]> {
  const parts: TokenPart[] = [];
  for await (const part of generation) parts.push(part);
  return parts;
}

/** Lets everything that is going on go on for some macrotasks. */
export async function settle(tasks = 50): Promise<void> {
  for (let n = 0; n < tasks; n++) await nextTask();
}
