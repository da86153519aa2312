/** What requests say of LoRA adapters: llama.cpp's list of scales, vLLM's loading and unloading. */
import * as z from "zod/mini";
import { MAX_ADAPTER_SCALE } from "../../engine/adapter-mix.ts";
import type { Maybe } from "./maybe.ts";

export interface LoraScale {
  /** As GET /lora-adapters lists it. */
  id: number;
  scale: number;
}

export interface LoadAdapterRequest {
  lora_name: string;
  /** A path, `hf:OWNER/REPO` or a URL, as the server reads it. */
  lora_path: string;
  /** Takes the place of an adapter of this name. */
  load_inplace?: Maybe<boolean>;
}

export interface UnloadAdapterRequest {
  lora_name: string;
  /** Accepted; the name decides. */
  lora_int_id?: Maybe<number>;
}

/** More than any server holds; a request's list is walked for each. */
const MAX_SCALES = 256;

/** Those that are not listed are at 0. */
export const loraScales: z.ZodMiniType<LoraScale[]> = z
  .array(
    z.object({
      id: z.int().check(z.gte(0)),
      scale: z.number().check(z.gte(-MAX_ADAPTER_SCALE), z.lte(MAX_ADAPTER_SCALE)),
    }),
  )
  .check(z.maxLength(MAX_SCALES));

export const loadAdapterRequest: z.ZodMiniType<LoadAdapterRequest> = z.object({
  lora_name: z.string().check(z.minLength(1)),
  lora_path: z.string().check(z.minLength(1)),
  load_inplace: z.nullish(z.boolean()),
});

export const unloadAdapterRequest: z.ZodMiniType<UnloadAdapterRequest> = z.object({
  lora_name: z.string().check(z.minLength(1)),
  lora_int_id: z.nullish(z.int()),
});
