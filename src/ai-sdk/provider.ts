/** The provider: models of one engine, by the names of the model and of its adapters. */
import type { EmbeddingModelV3, LanguageModelV3, ProviderV3 } from "@ai-sdk/provider";
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { ChatServer } from "../server/chat-run.ts";
import type { Limits } from "../server/context.ts";
import { DEFAULT_LIMITS } from "../server/limits.ts";
import { embeddingModel } from "./embedding-model.ts";
import { languageModel } from "./language-model.ts";

export interface PronkProviderOptions {
  /** The engine, or how to get it: called for every request, so that it should keep what it made. */
  readonly engine: Engine | (() => Promise<Engine> | Engine);
  /** The model's name where `engine` is a function. Default: the engine's own. */
  readonly model?: string;
  /** Merged over the server's defaults. */
  readonly limits?: Partial<Limits>;
}

/** `pronk()` is the model, `pronk("name")` an adapter of it, or the model by its name. */
export interface PronkProvider extends ProviderV3 {
  (modelId?: string): LanguageModelV3;
  languageModel(modelId?: string): LanguageModelV3;
  /** Vectors of length 1: the mean of the last layer's states. `dimensions` of providerOptions.pronk cuts them. */
  embeddingModel(modelId?: string): EmbeddingModelV3;
  textEmbeddingModel(modelId?: string): EmbeddingModelV3;
}

/** @throws PronkError "bad_request" where `engine` is a function and no model is named, from its models. */
export function createPronk(options: PronkProviderOptions): PronkProvider {
  const { engine } = options;
  const server: ChatServer = {
    engine: () => (typeof engine === "function" ? engine() : engine),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    clock: { now: () => performance.now(), wall: () => Date.now() },
    randomId: () => crypto.randomUUID().replaceAll("-", ""),
  };
  const named = (modelId: string | undefined): string => {
    const id =
      modelId ?? options.model ?? (typeof engine === "function" ? undefined : engine.info.id);
    if (id !== undefined) return id;
    throw new PronkError("bad_request", "model: needed where the engine is a function");
  };
  const language = (modelId?: string): LanguageModelV3 =>
    languageModel("pronk.chat", named(modelId), server);
  const embedding = (modelId?: string): EmbeddingModelV3 =>
    embeddingModel("pronk.embedding", named(modelId), server);
  return Object.assign((modelId?: string) => language(modelId), {
    specificationVersion: "v3" as const,
    languageModel: language,
    embeddingModel: embedding,
    textEmbeddingModel: embedding,
    imageModel: (modelId: string) => none("image", modelId),
  });
}

function none(kind: string, modelId: string): never {
  throw new PronkError("not_found", `${modelId}: there is no ${kind} model`);
}
