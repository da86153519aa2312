/** The golden models: a Hugging Face directory each, with outputs of transformers beside it. */
import { readFileSync } from "node:fs";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { openHfDirectory } from "../../src/checkpoints/hf-directory.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { memorySource } from "../../src/sources/memory.ts";

const root = new URL("../goldens/models/", import.meta.url);

export interface GoldenCase {
  readonly name: string;
  readonly kind: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
}

export function goldenCases(model: string): readonly GoldenCase[] {
  return JSON.parse(readFileSync(new URL(`${model}/golden.json`, root), "utf8")).cases;
}

export function goldenPath(model: string): string {
  return new URL(model, root).pathname;
}

export function openGoldenModel(model: string): Promise<Checkpoint> {
  return openHfDirectory(directoryFolder(nodeHost, goldenPath(model)));
}

/** The f32 tensors of a model's golden.safetensors, by key. */
export async function goldenTensors(model: string): Promise<Map<string, Float32Array>> {
  const bytes = new Uint8Array(readFileSync(new URL(`${model}/golden.safetensors`, root)));
  const index = await readSafetensors(memorySource(bytes, `${model}/golden.safetensors`));
  return new Map(
    [...index].flatMap(([key, { dtype, start, bytes: size }]) =>
      dtype === "F32" ? [[key, new Float32Array(bytes.slice(start, start + size).buffer)]] : [],
    ),
  );
}
