/** Texts to vectors for APIs that only have texts: the pooling and the length are the server's defaults. */
import type { Engine } from "../engine/engine.ts";
import { selectModel } from "./adapters.ts";
import type { Limits } from "./context.ts";
import { checkPrompt } from "./limits.ts";
import { inputIds } from "./text-inputs.ts";

export interface EmbeddedTexts {
  readonly model: string;
  /** One of each text, of length 1. */
  readonly vectors: readonly Float32Array[];
  /** Of all texts. */
  readonly tokens: number;
}

export interface EmbedTextsOptions {
  readonly dimensions?: number | undefined;
  /** Cuts texts that are longer than the context, instead of refusing them. */
  readonly truncate?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param param where the texts stand in their request, for errors.
 * @throws RequestError "model_not_found", PronkError: as of /v1/embeddings.
 */
export async function embedTexts(
  engine: Engine,
  model: string,
  texts: readonly string[],
  param: string,
  limits: Limits,
  { dimensions, truncate = false, signal }: EmbedTextsOptions,
): Promise<EmbeddedTexts> {
  const served = selectModel(engine, model, undefined);
  const { tokenizer, info } = engine;
  const inputs = texts.map((text, i) => {
    const at = `${param}[${i}]`;
    const ids = inputIds(text, tokenizer, info.vocab, at, false);
    if (truncate) return ids.slice(0, info.ctx);
    checkPrompt(ids.length - 1, info.ctx, at, limits); // there is no answer to leave room for
    return ids;
  });
  const vectors = await engine.embed(inputs, {
    adapters: served.adapters,
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(signal === undefined ? {} : { signal }),
  });
  const tokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
  return { model: served.model, vectors, tokens };
}
