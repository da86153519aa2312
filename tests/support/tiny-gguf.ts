/** The tiny golden GGUF models (one layer, 256 wide, 192 tokens), opened on either backend. */
import { readFileSync } from "node:fs";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Quantization } from "../../src/pack/form-choice.ts";
import { memorySource } from "../../src/sources/memory.ts";
import type { ByteSource } from "../../src/sources/source.ts";
import type { CreateRunner } from "../conformance/backends.ts";

export interface GoldenGguf {
  readonly name: string;
  readonly file: string;
  readonly input_ids: number[];
  /** Of the last positions. */
  readonly logits: number[][];
  readonly greedy_prompt_len: number;
  readonly greedy: number[];
}

const folder = new URL("../goldens/gguf/", import.meta.url);

export const goldenGgufs: readonly GoldenGguf[] = JSON.parse(
  readFileSync(new URL("logits.json", folder), "utf8"),
);

export interface TinyOptions {
  readonly quantization: Quantization;
  readonly kv: KvType;
  readonly slots?: number;
  readonly maxRows?: number;
  readonly observe?: RunnerOptions["observe"];
  readonly ctx?: number;
}

/** The file, in memory. */
export function readGolden(file: string): ByteSource {
  return memorySource(new Uint8Array(readFileSync(new URL(file, folder))), file);
}

export async function openTiny(
  file: string,
  create: CreateRunner,
  options: TinyOptions,
): Promise<Runner> {
  const { quantization, kv, slots = 1, maxRows = 64, ctx = 128, observe } = options;
  const model = await openGguf([readGolden(file)], { quantization, profile: "default" });
  const sizes = { ctx, slots, maxRows, maxLogits: maxRows, kv, observe };
  return create(planLlama(model.config), model.entries, sizes);
}
