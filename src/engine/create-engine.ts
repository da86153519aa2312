/** An engine with everything that requests may ask of it at hand. */
import { GrammarCompiler } from "../grammar/grammar-compiler.ts";
import { assembleEngine, type EngineOptions, type LocalEngine } from "./assemble-engine.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { EngineRuntime } from "./scheduler-options.ts";

export type { EngineOptions, LocalEngine } from "./assemble-engine.ts";

/**
 * Takes over the model: `dispose` frees it.
 *
 * @throws PronkError "bad_request" on options out of range.
 */
export function createEngine(
  model: LoadedModel,
  runtime: EngineRuntime,
  options: EngineOptions = {},
): LocalEngine {
  return assembleEngine(model, runtime, new GrammarCompiler(model.tokenizer), options);
}
