/** An EmbeddingModelV3 over an engine. */
import type {
  EmbeddingModelV3,
  EmbeddingModelV3CallOptions,
  SharedV3Warning,
} from "@ai-sdk/provider";
import { PronkError } from "../errors.ts";
import type { ChatServer } from "../server/chat-run.ts";
import { embedTexts } from "../server/embed-texts.ts";
import { toSdkError } from "./errors.ts";

/** Those of /v1/embeddings. */
const MAX_TEXTS = 2048;

/** @param modelId the engine's model, or one of its adapters. */
export function embeddingModel(
  provider: string,
  modelId: string,
  server: ChatServer,
): EmbeddingModelV3 {
  return {
    specificationVersion: "v3",
    provider,
    modelId,
    maxEmbeddingsPerCall: MAX_TEXTS,
    // Calls would wait for each other: the texts of one fill its batches.
    supportsParallelCalls: false,
    async doEmbed({ values, abortSignal, providerOptions }) {
      abortSignal?.throwIfAborted();
      const { dimensions, warnings } = ownOptions(providerOptions);
      try {
        const engine = await server.engine();
        const options = { dimensions, signal: abortSignal };
        const found = await embedTexts(engine, modelId, values, "values", server.limits, options);
        return {
          embeddings: found.vectors.map((vector) => [...vector]),
          usage: { tokens: found.tokens },
          warnings,
        };
      } catch (error) {
        throw toSdkError(error, abortSignal);
      }
    },
  };
}

/** @throws PronkError "bad_request" where `dimensions` is no number. */
function ownOptions(options: EmbeddingModelV3CallOptions["providerOptions"]): {
  dimensions: number | undefined;
  warnings: SharedV3Warning[];
} {
  const { dimensions, ...others } = options?.pronk ?? {};
  if (dimensions !== undefined && typeof dimensions !== "number") {
    const param = "providerOptions.pronk.dimensions";
    throw new PronkError("bad_request", `${param}: expected a number`, { param });
  }
  const warnings = Object.keys(others).map((key) => ({
    type: "unsupported" as const,
    feature: `providerOptions.pronk.${key}`,
  }));
  return { dimensions, warnings };
}
