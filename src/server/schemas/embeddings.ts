/** The body of POST /v1/embeddings. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import type { Pooling } from "../../engine/embed.ts";
import type { TextInputs } from "../text-inputs.ts";
import { type LoraScale, loraScales } from "./lora.ts";
import type { Maybe } from "./maybe.ts";

export interface EmbeddingRequest {
  model: string;
  /** Texts or ids, one or several. */
  input: TextInputs;
  /** base64: the bytes of little-endian f32. Default float. */
  encoding_format?: Maybe<"float" | "base64">;
  /** The first so many numbers, brought to length 1 again. */
  dimensions?: Maybe<number>;
  /** Default mean. */
  pooling?: Maybe<Pooling>;
  /** Whether vectors have length 1. Default true. */
  normalize?: Maybe<boolean>;
  lora?: Maybe<LoraScale[]>;
  /** Accepted; without effect here. */
  user?: Maybe<string>;
}

/** OpenAI's bound. */
const MAX_INPUTS = 2048;

const text = z.string().check(z.minLength(1));
const tokenIds = z.array(z.int().check(z.gte(0))).check(z.minLength(1));
const several = [z.minLength(1), z.maxLength(MAX_INPUTS)] as const;

export const embeddingRequest: z.ZodMiniType<EmbeddingRequest> = z.object({
  model: z.string(),
  input: z.union([
    text,
    tokenIds,
    z.array(tokenIds).check(...several),
    z.array(text).check(...several),
  ]),
  encoding_format: z.nullish(z.enum(["float", "base64"])),
  dimensions: z.nullish(z.int().check(z.gte(1))),
  pooling: z.nullish(z.enum(["mean", "last", "none"])),
  normalize: z.nullish(z.boolean()),
  lora: z.nullish(loraScales),
  user: z.nullish(z.string()),
});
