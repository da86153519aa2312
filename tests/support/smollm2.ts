/** SmolLM2-135M-Instruct (Q4_1), the real model: its file is given by PRONK_TEST_MODEL. */

import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { type OpenedGguf, openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Profile, Quantization } from "../../src/pack/form-choice.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import type { CreateRunner } from "../conformance/backends.ts";

export const modelPath: string | undefined = process.env.PRONK_TEST_MODEL;

export interface GoldenStep {
  /** The 20 likeliest ids, with their natural log-probabilities. */
  readonly top_ids: number[];
  readonly logprobs: number[];
  /** Between the first two. */
  readonly margin: number;
}

export interface GoldenChat {
  readonly messages: { role: string; content: string }[];
  readonly rendered: string;
  readonly prompt_ids: number[];
  readonly greedy_ids: number[];
  readonly steps: GoldenStep[];
}

export interface SmolLm2Golden {
  readonly chats: GoldenChat[];
  readonly perplexity: {
    ids: number[];
    window: number;
    ppl: number;
    first64_logprobs: (number | null)[];
  };
}

export const golden: SmolLm2Golden = JSON.parse(
  readFileSync(new URL("../goldens/smollm2/golden.json", import.meta.url), "utf8"),
);

/** The question that every runtime is asked, as the chat template renders it, and its answer. */
export const WEEK_QUESTION = "How many days are in a week?";
export const WEEK_IDS: readonly number[] = [49, 2605, 314, 4723, 216, 39, 2009, 30, 2];

export interface SmolLm2Options {
  readonly quantization?: Quantization;
  readonly profile?: Profile;
  readonly kv: KvType;
  readonly ctx?: number;
  readonly maxLogits?: number;
}

export async function openSmolLm2(
  create: CreateRunner,
  options: SmolLm2Options,
): Promise<{ runner: Runner; model: OpenedGguf }> {
  if (!modelPath) throw new Error("PRONK_TEST_MODEL is not set");
  const { quantization = "auto", profile = "default", kv, ctx = 256, maxLogits = 1 } = options;
  // Opens the file for each read: whoever holds the model has nothing to close.
  const file = await directoryFolder(nodeHost, dirname(modelPath)).open(basename(modelPath));
  const model = await openGguf([file], { quantization, profile });
  const sizes = { ctx, slots: 1, maxRows: 64, maxLogits, kv };
  return { runner: await create(planLlama(model.config), model.entries, sizes), model };
}
