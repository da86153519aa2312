/** SmolLM2-135M-Instruct (Q4_1), the real model: its file is given by PRONK_TEST_MODEL. */

import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { type OpenedGguf, openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Profile, Quantization } from "../../src/pack/form-choice.ts";
import type { ByteSource } from "../../src/sources/source.ts";
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

async function openSource(path: string): Promise<ByteSource> {
  const handle = await open(path);
  const { size } = await handle.stat();
  return {
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    size,
    async readInto(destination, start) {
      for (let done = 0; done < destination.length; ) {
        const length = destination.length - done;
        const { bytesRead } = await handle.read(destination, done, length, start + done);
        if (bytesRead === 0) throw new Error(`${path} ends at ${start + done}`);
        done += bytesRead;
      }
    },
  };
}

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
  const model = await openGguf([await openSource(modelPath)], { quantization, profile });
  const sizes = { ctx, slots: 1, maxRows: 64, maxLogits, kv };
  return { runner: await create(planLlama(model.config), model.entries, sizes), model };
}
