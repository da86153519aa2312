/** The body of POST /v1/rerank, as Jina and Cohere have it. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import { type LoraScale, loraScales } from "./lora.ts";
import type { Maybe } from "./maybe.ts";

export interface RerankRequest {
  model: string;
  query: string;
  documents: (string | { text: string })[];
  /** The best so many. Default: all. */
  top_n?: Maybe<number>;
  /** Default false. */
  return_documents?: Maybe<boolean>;
  /** The head's own numbers instead of what lies between 0 and 1. */
  raw_scores?: Maybe<boolean>;
  lora?: Maybe<LoraScale[]>;
}

/** As of embeddings. */
const MAX_DOCUMENTS = 2048;

const text = z.string().check(z.minLength(1));

export const rerankRequest: z.ZodMiniType<RerankRequest> = z.object({
  model: z.string(),
  query: text,
  documents: z
    .array(z.union([text, z.object({ text })]))
    .check(z.minLength(1), z.maxLength(MAX_DOCUMENTS)),
  top_n: z.nullish(z.int().check(z.gte(1))),
  return_documents: z.nullish(z.boolean()),
  raw_scores: z.nullish(z.boolean()),
  lora: z.nullish(loraScales),
});
